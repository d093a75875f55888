package packetdrill

import (
	"strings"
)

// code runs a %{ … }% block: the assertions and assignments of it, one a line or between semicolons. Names that begin
// with tcpi_ are fields of Linux's tcp_info, at this moment.
func (r *runner) code(text string) error {
	for _, statement := range statements(text) {
		words := strings.Fields(statement)
		switch {
		case words[0] == "import" || words[0] == "print" || strings.HasPrefix(words[0], "print("):
			continue
		case words[0] == "assert" || strings.HasPrefix(words[0], "assert("):
			if err := r.assert(strings.TrimSpace(strings.TrimPrefix(statement, "assert"))); err != nil {
				return err
			}
		default:
			if err := r.assign(statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// statements splits code. A line that ends within parentheses goes on in the next.
func statements(text string) []string {
	var list []string
	var b strings.Builder
	depth := 0
	var quote rune
	comment := false
	end := func() {
		if s := strings.TrimSpace(b.String()); s != "" {
			list = append(list, s)
		}
		b.Reset()
	}
	for _, c := range strings.ReplaceAll(text, "\\\n", "\n") {
		switch {
		case comment && c != '\n':
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			comment = true
			continue
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == '\n' && depth <= 0 || c == ';':
			comment = false
			end()
			continue
		}
		comment = false
		b.WriteRune(c)
	}
	end()
	return list
}

// assert evaluates `condition` or `condition, message`.
func (r *runner) assert(text string) error {
	x := &evaluator{scanner: scanner{src: text}, value: r.value}
	v, err := x.expression()
	if err != nil {
		return err
	}
	if rest := x.peek(); rest != 0 && rest != ',' {
		return failf(Unsupported, 0, "code %q", text)
	}
	if v == 0 {
		return failf(WrongState, 0, "assert %s%s", text, x.seenText())
	}
	return nil
}

func (r *runner) assign(statement string) error {
	name, expression, ok := strings.Cut(statement, "=")
	name = strings.TrimSpace(name)
	if !ok || strings.HasPrefix(expression, "=") || strings.ContainsAny(name, " ()+-*/<>![]") {
		return failf(Unsupported, 0, "code %q", statement)
	}
	x := &evaluator{scanner: scanner{src: expression}, value: r.value}
	v, err := x.expression()
	if err != nil {
		return err
	}
	if x.peek() != 0 {
		return failf(Unsupported, 0, "code %q", statement)
	}
	r.names[name] = v
	return nil
}

// value is what a name in code stands for.
func (r *runner) value(name string) (float64, error) {
	if strings.HasPrefix(name, "tcpi_") {
		return r.info(name)
	}
	if v, ok := r.names[name]; ok {
		return v, nil
	}
	if n, ok := constants[name]; ok {
		return float64(n), nil
	}
	switch st := r.statusOf(r.focus); name {
	case "SK_MEMINFO_RCVBUF":
		return float64(st.RecvBuffer), nil
	case "SK_MEMINFO_SNDBUF":
		return float64(st.SendBuffer), nil
	case "SK_MEMINFO_BACKLOG", "SK_MEMINFO_DROPS", "SK_MEMINFO_OPTMEM":
		return 0, nil // the engine has none of these
	}
	return 0, failf(Unsupported, 0, "name %s in code", name)
}
