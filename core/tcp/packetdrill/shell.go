package packetdrill

import (
	"strconv"
	"strings"
)

// pipeline is a command of a shell: its stages with their words. What redirections say is left out, except the file that
// the last stage writes to.
type pipeline struct {
	stages [][]string
	output string
}

// shellPipelines takes the text between backticks apart, as far as scripts use a shell: lines, ; && || | # > quotes,
// continued lines and $((arithmetic)).
func shellPipelines(text string) ([]pipeline, error) {
	text = strings.NewReplacer("\\\r\n", " ", "\\\n", " ").Replace(text)
	var all []pipeline
	var p pipeline
	var words []string
	stage := func() {
		if len(words) > 0 {
			p.stages = append(p.stages, words)
			words = nil
		}
	}
	end := func() {
		if stage(); len(p.stages) > 0 {
			all = append(all, p)
		}
		p = pipeline{}
	}
	s := scanner{src: text}
	for s.pos < len(s.src) {
		rest := s.rest()
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\\':
			s.pos++
		case c == '#':
			s.through("\n")
			end()
		case c == '\n' || c == ';':
			s.pos++
			end()
		case strings.HasPrefix(rest, "&&") || strings.HasPrefix(rest, "||"):
			s.pos += 2
			end()
		case c == '|':
			s.pos++
			stage()
		case redirection(rest) > 0:
			s.pos += redirection(rest)
			target, err := s.shellWord()
			if err != nil {
				return nil, err
			}
			if !strings.HasPrefix(rest, "2") && target != "/dev/null" {
				p.output = target
			}
		default:
			word, err := s.shellWord()
			if err != nil {
				return nil, err
			}
			words = append(words, word)
		}
	}
	end()
	return all, nil
}

// redirection is the length of the redirection that text begins with.
func redirection(text string) int {
	for _, r := range []string{"2>&1", "2>>", "2>", "1>", ">>", ">", "&>", "<"} {
		if strings.HasPrefix(text, r) {
			return len(r)
		}
	}
	return 0
}

// shellWord takes a word, without the quotes that it has; it is empty where the next operator begins.
func (s *scanner) shellWord() (string, error) {
	for s.pos < len(s.src) && s.src[s.pos] == ' ' {
		s.pos++
	}
	var word strings.Builder
	var quote byte
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case quote != '\'' && strings.HasPrefix(s.rest(), "$(("):
			s.pos += len("$((")
			sum, err := s.until("))")
			if err != nil {
				return "", err
			}
			x := &evaluator{scanner: scanner{src: sum}, value: func(name string) (float64, error) {
				return 0, failf(Unsupported, 0, "variable %s in a command", name)
			}}
			v, err := x.expression()
			if err != nil {
				return "", err
			}
			word.WriteString(strconv.FormatInt(int64(v), 10))
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(" \t\r\n;|&><", c) >= 0:
			if word.Len() == 0 && c != ' ' && c != '\n' && c != ';' {
				s.pos++ // a lone operator that nothing above knows
			}
			return word.String(), nil
		default:
			word.WriteByte(c)
		}
		s.pos++
	}
	return word.String(), nil
}
