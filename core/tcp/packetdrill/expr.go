package packetdrill

import (
	"strconv"
	"strings"
)

// ExprKind is the kind of an expression.
type ExprKind uint8

// The kinds of expressions.
const (
	ExprEllipsis ExprKind = iota // ...: anything
	ExprInt
	ExprString
	ExprName   // a constant of the system, kept by name
	ExprList   // [a, b]
	ExprStruct // {a, name=b}
	ExprCall   // htons(80)
	ExprOp     // a | b
)

// Expr is an argument or a result of a system call.
type Expr struct {
	Kind  ExprKind
	Int   int64
	Text  string // of a string, name, call or operator
	Field string // its name in the struct that it is part of
	Args  []Expr
}

// call reads name(args) = result ERRNO (note).
func (p *parser) call() (*Call, error) {
	c := &Call{Name: p.word()}
	var err error
	if err = p.expect("("); err != nil {
		return nil, err
	}
	if c.Args, err = p.exprList(")"); err != nil {
		return nil, err
	}
	if !p.accept("=") {
		c.NoResult = true
		return c, nil
	}
	if p.accept("?") {
		c.NoResult = true
		return c, nil
	}
	if c.Result, err = p.exprWith("|"); err != nil { // a + or * would begin the next event
		return nil, err
	}
	if w := p.peekWord(); len(w) > 1 && w[0] == 'E' && !isDigit(p.peek()) {
		c.Errno = p.word()
	}
	if p.accept("(") {
		if _, err = p.until(")"); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// exprList reads expressions up to closing.
func (p *parser) exprList(closing string) ([]Expr, error) {
	var list []Expr
	for !p.accept(closing) {
		if len(list) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
			if p.accept(closing) {
				break
			}
		}
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// exprOps are the operators in constants, all of one precedence: scripts join flags, and not much else.
var exprOps = []string{"|", "<<", "&", "*", "+", "-"}

func (p *parser) expr() (Expr, error) { return p.exprWith(exprOps...) }

func (p *parser) exprWith(operators ...string) (Expr, error) {
	left, err := p.primary()
	if err != nil {
		return left, err
	}
	for {
		op := ""
		p.space()
		for _, o := range operators {
			if strings.HasPrefix(p.rest(), o) && !strings.HasPrefix(p.rest(), "->") {
				op = o
				break
			}
		}
		if op == "" || left.Kind == ExprEllipsis {
			return left, nil
		}
		p.accept(op)
		right, err := p.primary()
		if err != nil {
			return left, err
		}
		left = Expr{Kind: ExprOp, Text: op, Args: []Expr{left, right}}
	}
}

func (p *parser) primary() (Expr, error) {
	switch c := p.peek(); {
	case p.accept("..."):
		return Expr{Kind: ExprEllipsis}, nil
	case c == '"':
		p.pos++
		text, err := p.until(`"`)
		return Expr{Kind: ExprString, Text: text}, err
	case c == '[':
		p.pos++
		args, err := p.exprList("]")
		return Expr{Kind: ExprList, Args: args}, err
	case c == '{':
		p.pos++
		args, err := p.exprList("}")
		return Expr{Kind: ExprStruct, Args: args}, err
	case c == '(':
		p.pos++
		e, err := p.expr()
		if err != nil {
			return e, err
		}
		return e, p.expect(")")
	case c == '-' || c == '+':
		p.pos++
		e, err := p.primary()
		if c == '-' {
			e = Expr{Kind: ExprOp, Text: "-", Args: []Expr{{Kind: ExprInt}, e}}
		}
		return e, err
	case isDigit(c):
		return p.intExpr()
	case isWordByte(c):
		return p.nameExpr()
	default:
		return Expr{}, p.errorf("want an expression before %q", p.excerpt())
	}
}

func (p *parser) intExpr() (Expr, error) {
	text := p.number()
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		var u uint64
		if u, err = strconv.ParseUint(text, 0, 64); err != nil {
			return Expr{}, p.errorf("%q is no whole number", text)
		}
		n = int64(u)
	}
	return Expr{Kind: ExprInt, Int: n}, nil
}

// nameExpr reads a constant, a call, or a field with its value: name=value, name(type)=value.
func (p *parser) nameExpr() (Expr, error) {
	name := p.word()
	e := Expr{Kind: ExprName, Text: name}
	if value, ok := p.defines[name]; ok {
		sub := parser{scanner: scanner{src: value}}
		var err error
		if e, err = sub.expr(); err != nil {
			return e, p.errorf("%s is defined as %q, which is no expression", name, value)
		}
	}
	if p.accept("(") {
		args, err := p.exprList(")")
		if err != nil {
			return e, err
		}
		e = Expr{Kind: ExprCall, Text: name, Args: args}
	}
	p.space()
	if strings.HasPrefix(p.rest(), "=") && !strings.HasPrefix(p.rest(), "==") {
		p.pos++
		value, err := p.expr()
		value.Field = name
		return value, err
	}
	return e, nil
}

// field returns the named part of a struct.
func (e *Expr) field(name string) (Expr, bool) {
	for _, a := range e.Args {
		if a.Field == name {
			return a, true
		}
	}
	return Expr{}, false
}
