package packetdrill

import (
	"math"
	"strconv"
	"strings"
)

// evaluator computes the expressions of code blocks: Python's operators on numbers, with its precedence.
type evaluator struct {
	scanner
	value func(name string) (float64, error)
	seen  []string // names with their values, for messages
}

func (x *evaluator) seenText() string {
	if len(x.seen) == 0 {
		return ""
	}
	return " (" + strings.Join(x.seen, ", ") + ")"
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// keyword takes a word if it comes next.
func (x *evaluator) keyword(w string) bool {
	if x.peekWord() != w {
		return false
	}
	x.word()
	return true
}

func (x *evaluator) expression() (float64, error) {
	v, err := x.conjunction()
	for err == nil && x.keyword("or") {
		var w float64
		w, err = x.conjunction()
		v = truth(v != 0 || w != 0)
	}
	return v, err
}

func (x *evaluator) conjunction() (float64, error) {
	v, err := x.negation()
	for err == nil && x.keyword("and") {
		var w float64
		w, err = x.negation()
		v = truth(v != 0 && w != 0)
	}
	return v, err
}

func (x *evaluator) negation() (float64, error) {
	if x.keyword("not") {
		v, err := x.negation()
		return truth(v == 0), err
	}
	return x.comparison()
}

var comparisons = []struct {
	text string
	op   func(a, b float64) bool
}{
	{"==", func(a, b float64) bool { return a == b }},
	{"!=", func(a, b float64) bool { return a != b }},
	{"<=", func(a, b float64) bool { return a <= b }},
	{">=", func(a, b float64) bool { return a >= b }},
	{"<", func(a, b float64) bool { return a < b }},
	{">", func(a, b float64) bool { return a > b }},
}

// comparison reads a chain: a < b <= c.
func (x *evaluator) comparison() (float64, error) {
	left, err := x.binary(0)
	if err != nil {
		return 0, err
	}
	result, compared := true, false
next:
	for {
		for _, c := range comparisons {
			if !x.accept(c.text) {
				continue
			}
			right, err := x.binary(0)
			if err != nil {
				return 0, err
			}
			result, compared = result && c.op(left, right), true
			left = right
			continue next
		}
		if compared {
			return truth(result), nil
		}
		return left, nil
	}
}

// binaryOps are the levels of operators, the loosest first.
var binaryOps = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"//", "*", "/", "%"}}

func (x *evaluator) binary(level int) (float64, error) {
	if level == len(binaryOps) {
		return x.unary()
	}
	left, err := x.binary(level + 1)
next:
	for err == nil {
		for _, op := range binaryOps[level] {
			if !x.acceptOp(op) {
				continue
			}
			var right float64
			if right, err = x.binary(level + 1); err == nil {
				left, err = compute(op, left, right)
			}
			continue next
		}
		break
	}
	return left, err
}

// acceptOp is accept, without taking // for a comment as scripts do.
func (x *evaluator) acceptOp(op string) bool {
	for x.pos < len(x.src) && strings.IndexByte(" \t\r\n", x.src[x.pos]) >= 0 {
		x.pos++
	}
	if !strings.HasPrefix(x.rest(), op) {
		return false
	}
	x.pos += len(op)
	return true
}

func compute(op string, a, b float64) (float64, error) {
	i, j := int64(a), int64(b)
	switch op {
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	case "|":
		return float64(i | j), nil
	case "^":
		return float64(i ^ j), nil
	case "&":
		return float64(i & j), nil
	case "<<", ">>":
		if j < 0 || j > 62 {
			return 0, failf(ParseError, 0, "shift by %d", j)
		}
		if op == "<<" {
			return float64(i << j), nil
		}
		return float64(i >> j), nil
	}
	if b == 0 {
		return 0, failf(ParseError, 0, "division by zero")
	}
	switch op {
	case "/":
		return a / b, nil
	case "//":
		return math.Floor(a / b), nil
	default:
		return a - b*math.Floor(a/b), nil
	}
}

func (x *evaluator) unary() (float64, error) {
	switch c := x.peek(); {
	case c == '-':
		x.pos++
		v, err := x.unary()
		return -v, err
	case c == '(':
		x.pos++
		v, err := x.expression()
		if err != nil {
			return 0, err
		}
		return v, x.expect(")")
	case isDigit(c) || c == '.':
		return x.literal()
	case isWordByte(c):
		return x.name()
	default:
		return 0, failf(Unsupported, 0, "code %q", x.src)
	}
}

func (x *evaluator) literal() (float64, error) {
	text := x.number()
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return float64(n), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, failf(ParseError, 0, "%q is no number", text)
	}
	if x.peekWord() == "e" {
		return 0, failf(Unsupported, 0, "code %q", x.src)
	}
	return v, nil
}

func (x *evaluator) name() (float64, error) {
	name := x.word()
	if !x.accept("(") {
		v, err := x.value(name)
		if err == nil && !strings.HasPrefix(name, "TCP") {
			x.seen = append(x.seen, name+" is "+strconv.FormatFloat(v, 'f', -1, 64))
		}
		return v, err
	}
	var args []float64
	for !x.accept(")") {
		v, err := x.expression()
		if err != nil {
			return 0, err
		}
		args = append(args, v)
		x.accept(",")
	}
	switch {
	case name == "abs" && len(args) == 1:
		return math.Abs(args[0]), nil
	case name == "int" && len(args) == 1:
		return math.Trunc(args[0]), nil
	case name == "float" && len(args) == 1:
		return args[0], nil
	case name == "min" && len(args) == 2:
		return min(args[0], args[1]), nil
	case name == "max" && len(args) == 2:
		return max(args[0], args[1]), nil
	default:
		return 0, failf(Unsupported, 0, "%s() in code", name)
	}
}
