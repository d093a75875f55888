package ctl

import (
	"net/netip"
	"strconv"
	"strings"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// filter says what ss shows: everything that passes all of its tests.
type filter struct {
	listening    bool
	state        string // as ssStates writes it; "" for all
	exclude      string
	sport, dport uint32 // 0 for all
	src, dst     netip.Prefix
	id           uint64 // 0 for all
}

// connected is the filter's word for every state but LISTEN.
const connected = "CONNECTED"

// ssStates are the names of ss.
var ssStates = map[starfishv1.ConnectionState]string{
	starfishv1.ConnectionState_CONNECTION_STATE_CLOSED:       "UNCONN",
	starfishv1.ConnectionState_CONNECTION_STATE_LISTEN:       "LISTEN",
	starfishv1.ConnectionState_CONNECTION_STATE_SYN_SENT:     "SYN-SENT",
	starfishv1.ConnectionState_CONNECTION_STATE_SYN_RECEIVED: "SYN-RECV",
	starfishv1.ConnectionState_CONNECTION_STATE_ESTABLISHED:  "ESTAB",
	starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_1:   "FIN-WAIT-1",
	starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_2:   "FIN-WAIT-2",
	starfishv1.ConnectionState_CONNECTION_STATE_CLOSE_WAIT:   "CLOSE-WAIT",
	starfishv1.ConnectionState_CONNECTION_STATE_CLOSING:      "CLOSING",
	starfishv1.ConnectionState_CONNECTION_STATE_LAST_ACK:     "LAST-ACK",
	starfishv1.ConnectionState_CONNECTION_STATE_TIME_WAIT:    "TIME-WAIT",
}

// stateName returns ss's name of a state.
func stateName(s starfishv1.ConnectionState) string {
	if name, ok := ssStates[s]; ok {
		return name
	}
	return "UNKNOWN"
}

// parseFilter reads a filter's words.
func parseFilter(words []string) (*filter, error) {
	f := new(filter)
	given := make(map[string]bool)
	words = splitWords(words)
	for len(words) > 0 {
		key := words[0]
		words = words[1:]
		if key == "and" || key == "&&" {
			continue
		}
		if len(words) > 0 && (words[0] == "eq" || words[0] == "==") {
			words = words[1:]
		}
		if len(words) == 0 {
			return nil, usagef("filter: a value is missing after %q", key)
		}
		if err := f.set(key, words[0]); err != nil {
			return nil, err
		}
		if given[key] {
			return nil, usagef("filter: %s is given twice, and all that is given must hold", key)
		}
		given[key] = true
		words = words[1:]
	}
	return f, nil
}

// splitWords takes apart what users put into one argument, such as "dport = :443" or "dport=:443".
func splitWords(arguments []string) []string {
	var words []string
	for _, argument := range arguments {
		words = append(words, strings.Fields(strings.ReplaceAll(argument, "=", " "))...)
	}
	return words
}

func (f *filter) set(key, value string) (err error) {
	switch key {
	case "state":
		f.state, err = parseState(value)
	case "exclude":
		f.exclude, err = parseState(value)
	case "sport":
		f.sport, err = parsePort(value)
	case "dport":
		f.dport, err = parsePort(value)
	case "src":
		f.src, err = parsePrefix(value)
	case "dst":
		f.dst, err = parsePrefix(value)
	case "id":
		if f.id, err = strconv.ParseUint(value, 10, 64); err != nil {
			err = usagef("filter: %q is not an id", value)
		}
	default:
		err = usagef("filter: %q is none of state, exclude, sport, dport, src, dst, id", key)
	}
	return err
}

func parseState(text string) (string, error) {
	upper := strings.ToUpper(text)
	switch upper {
	case "ALL":
		return "", nil
	case connected:
		return connected, nil
	case "ESTABLISHED":
		return "ESTAB", nil
	case "LISTENING":
		return "LISTEN", nil
	case "SYN-RECEIVED":
		return "SYN-RECV", nil
	case "CLOSED":
		return "UNCONN", nil
	}
	for _, name := range ssStates {
		if name == upper {
			return name, nil
		}
	}
	return "", usagef("filter: %q is not a state", text)
}

func parsePort(text string) (uint32, error) {
	port, err := strconv.ParseUint(strings.TrimPrefix(text, ":"), 10, 16)
	if err != nil || port == 0 {
		return 0, usagef("filter: %q is not a port", text)
	}
	return uint32(port), nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), nil
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Prefix{}, usagef("filter: %q is not an address or prefix", text)
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// match reports whether ss shows a connection.
func (f *filter) match(c *starfishv1.Connection) bool {
	return !f.listening && (f.id == 0 || f.id == c.GetId()) && f.matchState(stateName(c.GetState())) &&
		matchEnd(c.GetLocal(), f.src, f.sport) && matchEnd(c.GetRemote(), f.dst, f.dport)
}

// matchListener reports whether ss shows a listener.
func (f *filter) matchListener(l *starfishv1.Listener) bool {
	return f.id == 0 && f.dport == 0 && !f.dst.IsValid() && f.matchState("LISTEN") && matchEnd(l.GetLocal(), f.src, f.sport)
}

func (f *filter) matchState(name string) bool {
	is := func(wanted string) bool { return wanted == name || wanted == connected && name != "LISTEN" }
	return (f.state == "" || is(f.state)) && (f.exclude == "" || !is(f.exclude))
}

func matchEnd(e *starfishv1.Endpoint, prefix netip.Prefix, port uint32) bool {
	if port != 0 && port != e.GetPort() {
		return false
	}
	if !prefix.IsValid() {
		return true
	}
	addr, err := netip.ParseAddr(e.GetAddress())
	return err == nil && prefix.Contains(addr.Unmap())
}
