package packetdrill

import (
	"path"
	"strings"
)

// command carries out what stands between backticks, as far as it changes settings of TCP. Everything else is refused by
// name: a script that depends on it would not show what it claims to.
func (s *settings) command(c *Command, ignoreDefaults bool) error {
	for _, line := range strings.FieldsFunc(c.Text, func(r rune) bool { return r == '\n' || r == ';' }) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.ReplaceAll(strings.ReplaceAll(line, "&&", " "), "\\", " ")
		words := shellWords(line)
		if len(words) == 0 {
			continue
		}
		if err := at(c.Line, s.shellCommand(words, ignoreDefaults)); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) shellCommand(words []string, ignoreDefaults bool) error {
	switch name := path.Base(words[0]); {
	case name == "sysctl" || strings.HasPrefix(name, "set_sysctls"):
		return s.assignments(words[1:])
	case strings.HasPrefix(name, "defaults") && ignoreDefaults:
		return s.chained(words[1:], ignoreDefaults)
	case strings.HasPrefix(name, "sysctl_restore"), name == "true":
		return nil // every script has a stack of its own
	case name == "echo" || name == "sleep":
		return failf(Unsupported, 0, "command %s: time is virtual and there is no shell", name)
	default:
		return failf(Unsupported, 0, "command %s", name)
	}
}

// chained goes on with what stood behind a command on its line.
func (s *settings) chained(words []string, ignoreDefaults bool) error {
	for i, w := range words {
		if strings.Contains(w, "sysctl") {
			return s.shellCommand(words[i:], ignoreDefaults)
		}
	}
	return nil
}

// assignments applies the name=value among the arguments of sysctl.
func (s *settings) assignments(words []string) error {
	for _, w := range words {
		if strings.HasPrefix(w, "-") || path.Base(w) == "sysctl" || strings.HasPrefix(w, ">") || w == "2>&1" {
			continue
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			continue // it only prints
		}
		if err := s.sysctl(name, value); err != nil {
			return err
		}
	}
	return nil
}

// shellWords splits at blanks outside quotes.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	started := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, started = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\r'):
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
