package packetdrill

import (
	"maps"
	"strconv"
	"strings"
	"time"
)

// Parse reads a script. Defines are the names that -D gives on the command line.
func Parse(src string, defines map[string]string) (*Script, error) {
	defines = maps.Clone(defines)
	if defines == nil {
		defines = map[string]string{}
	}
	src, err := preprocess(src, defines)
	if err != nil {
		return nil, err
	}
	p := &parser{scanner: scanner{src: src}, defines: defines}
	s := &Script{}
	if err := p.head(s); err != nil {
		return nil, err
	}
	for p.peek() != 0 {
		e, err := p.event()
		if err != nil {
			return nil, err
		}
		s.Events = append(s.Events, e)
	}
	return s, nil
}

type parser struct {
	scanner
	defines map[string]string
	v6      bool // the script is for IPv6: "icmp" means its ICMP
}

// head reads settings and commands before the first event.
func (p *parser) head(s *Script) error {
	for {
		switch {
		case p.accept("--"):
			line := p.line()
			text, _, _ := strings.Cut(p.rest(), "\n")
			p.through("\n")
			text, _, _ = strings.Cut(strings.TrimSpace(text)+" ", "//") // a comment, or an option of its own on the line
			words := strings.Fields(text)
			if len(words) == 0 {
				return failf(ParseError, line, "-- without a name")
			}
			name, value, _ := strings.Cut(words[0], "=")
			if name == "define" {
				name, value, _ = strings.Cut(value, "=")
				p.defines[name] = value
				continue
			}
			p.v6 = p.v6 || name == "ip_version" && value == "ipv6"
			s.Settings = append(s.Settings, Setting{Name: name, Value: strings.Trim(value, "`\""), Line: line})
		case p.peek() == '`':
			c, err := p.command()
			if err != nil {
				return err
			}
			s.Init = append(s.Init, *c)
		default:
			return nil
		}
	}
}

func (p *parser) command() (*Command, error) {
	line := p.line()
	if err := p.expect("`"); err != nil {
		return nil, err
	}
	text, err := p.until("`")
	return &Command{Text: strings.TrimSpace(text), Line: line}, err
}

func (p *parser) event() (e Event, err error) {
	p.space()
	e.Line = p.line()
	if strings.HasPrefix(p.rest(), "%{") || p.peek() == '`' {
		e.At = When{Relative: true} // these may stand without a time
	} else if e.At, err = p.when(); err != nil {
		return e, err
	}
	var returns *time.Duration
	if p.accept("...") {
		p.accept("+")
		d, err := p.seconds()
		if err != nil {
			return e, err
		}
		returns = &d
	}
	switch c := p.peek(); {
	case c == '<' || c == '>':
		e.Packet, err = p.packet()
	case c == '`':
		e.Command, err = p.command()
	case p.accept("%{"):
		var text string
		text, err = p.until("}%")
		e.Code = &text
	case isWordByte(c):
		e.Call, err = p.call()
	default:
		err = p.errorf("want a packet, a call, a command or code before %q", p.excerpt())
	}
	if err == nil && returns != nil {
		if e.Call == nil {
			return e, p.errorf("only calls have an end")
		}
		e.Call.Blocks, e.Call.Returns = true, *returns
	}
	return e, err
}

func (p *parser) when() (w When, err error) {
	if p.accept("*") {
		return When{Any: true}, nil
	}
	w.Relative = p.accept("+")
	if w.First, err = p.seconds(); err != nil {
		return w, err
	}
	w.Last = w.First
	if p.accept("~") {
		w.Range = true
		p.accept("+")
		w.Last, err = p.seconds()
	}
	return w, err
}

// seconds reads a time in seconds, to the nanosecond.
func (p *parser) seconds() (time.Duration, error) {
	text := p.number()
	if text == "" {
		return 0, p.errorf("want a time before %q", p.excerpt())
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f > 1e9 {
		return 0, p.errorf("%q is no time", text)
	}
	return time.Duration(f*1e6+0.5) * time.Microsecond, nil
}
