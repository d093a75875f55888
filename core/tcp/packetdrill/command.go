package packetdrill

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// command carries out what stands between backticks, as far as it has a meaning for the engine: settings by name, time
// that passes, questions about states. Everything else is refused by name: a script that depends on it would not show
// what it claims to.
func (r *runner) command(c *Command) error {
	pipelines, err := shellPipelines(c.Text)
	if err != nil {
		return at(c.Line, err)
	}
	for i := range pipelines {
		p := &pipelines[i]
		if len(p.stages) > 1 {
			err = r.question(p)
		} else {
			err = r.simpleCommand(p.stages[0], p.output)
		}
		if err != nil {
			return at(c.Line, err)
		}
	}
	return nil
}

// noMeaning are commands that prepare or clean up what a script of ours never shares: modules, caches, files.
var noMeaning = []string{
	"true", ":", "kldload", "kldunload", "modprobe", "rm", "dd", "sync", "exit", "date", "tcpdump", "pkill", "killall", "tcpdrop",
}

func (r *runner) simpleCommand(words []string, output string) error {
	switch name := path.Base(words[0]); {
	case name == "sysctl" || strings.HasPrefix(name, "set_sysctls"):
		return r.setting(func() error { return r.set.assignments(words[1:]) })
	case (name == "source" || name == ".") && len(words) > 1:
		return r.settingsFile(words[1:])
	case strings.HasPrefix(name, "defaults"):
		return r.settingsFile(words)
	case strings.HasPrefix(name, "sysctl_restore"), slices.Contains(noMeaning, name):
		return nil // every script has a stack of its own
	case name == "echo" && strings.Contains(output, "/sys/"):
		return r.setting(func() error { return r.set.sysctl(output, strings.Join(words[1:], " ")) })
	case name == "sleep" && len(words) == 2:
		return r.sleep(words[1])
	case name == "ip":
		return r.setting(func() error { return r.ipCommand(words[1:]) })
	case name == "ifconfig" && slices.Contains(words, "mtu"):
		return r.setting(func() error { return r.linkMTU(words) })
	case name == "tc":
		return r.setting(func() error { return r.set.queueing(words[1:]) })
	case name == "ethtool" && len(words) > 1 && words[1] == "-K":
		return nil // segments are compared as they are after all offloads
	case name == "nstat":
		return r.resetCounters() // it prints, and begins to count anew
	default:
		return failf(Unsupported, 0, "command %s: there is no shell behind a script", name)
	}
}

// setting makes a change of settings. What a running stack can't change begins with a new one, as long as no connection
// would notice.
func (r *runner) setting(change func() error) error {
	before := r.set.config
	if err := change(); err != nil {
		return err
	}
	if r.stack == nil || sameConfig(&before, &r.set.config) {
		return nil
	}
	if r.inUse() {
		r.later = func() error { return failf(Unsupported, 0, "a setting of the whole stack while it has connections") }
		return nil
	}
	r.later = nil
	return r.restart(r.set)
}

// settingsFile applies the settings in a file of commands, the ones of a script's set named defaults above all. Its
// other commands prepare a network that is not there.
func (r *runner) settingsFile(words []string) error {
	if r.opt.IgnoreDefaults {
		return r.chained(words[1:])
	}
	text, known := linuxDefaults, strings.HasPrefix(path.Base(words[0]), "defaults")
	if r.opt.ReadFile != nil {
		if b, err := r.opt.ReadFile(words[0]); err == nil {
			text, known = string(b), true
		}
	}
	if !known {
		return failf(Unsupported, 0, "command %s: no such file", words[0])
	}
	pipelines, err := shellPipelines(text)
	if err != nil {
		return err
	}
	return r.setting(func() error {
		for _, p := range pipelines {
			if words := p.stages[0]; path.Base(words[0]) == "sysctl" && len(p.stages) == 1 {
				if err := r.set.assignments(words[1:]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// chained goes on with what stood behind a command on its line.
func (r *runner) chained(words []string) error {
	for i, w := range words {
		if strings.Contains(w, "sysctl") {
			return r.simpleCommand(words[i:], "")
		}
	}
	return nil
}

// sleep lets time pass.
func (r *runner) sleep(text string) error {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || seconds < 0 || seconds > 1e6 {
		return failf(ParseError, 0, "sleep %s", text)
	}
	r.last = r.now.Add(time.Duration(seconds * float64(time.Second)))
	return r.advanceTo(r.last)
}

// ipCommand is what of iproute2 has a meaning: the MTU of the link, and the metrics of routes.
func (r *runner) ipCommand(words []string) error {
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.HasPrefix(w, "-") })
	switch {
	case len(words) > 0 && words[0] == "tcp_metrics": // there are none
		return nil
	case len(words) > 1 && words[0] == "link" && slices.Contains(words, "mtu"):
		return r.linkMTU(words)
	case len(words) > 1 && words[0] == "route" && (words[1] == "change" || words[1] == "replace" || words[1] == "add"):
		return r.set.routeMetrics(words[2:])
	default:
		return failf(Unsupported, 0, "command ip %s", strings.Join(words[:min(2, len(words))], " "))
	}
}

func (r *runner) linkMTU(words []string) error {
	i := slices.Index(words, "mtu")
	if i+1 >= len(words) {
		return failf(ParseError, 0, "mtu without a number")
	}
	mtu, err := strconv.Atoi(words[i+1])
	if err != nil {
		return failf(ParseError, 0, "mtu %s", words[i+1])
	}
	if r.stack == nil || !r.inUse() {
		r.set.config.MTU = mtu
		return nil
	}
	if err := r.stack.SetMTU(r.now, mtu); err != nil {
		return failf(Unsupported, 0, "mtu %d: %v", mtu, err)
	}
	return nil
}

// question answers a pipeline that counts the sockets in a state, as sockstat … | grep -c TIME_WAIT | grep 1 does.
func (r *runner) question(p *pipeline) error {
	name := path.Base(p.stages[0][0])
	if name == "nstat" {
		return r.counterQuestion(p)
	}
	if name != "sockstat" && name != "netstat" && name != "ss" {
		return failf(Unsupported, 0, "command %s: there is no shell behind a script", name)
	}
	state, want := tcp.State(0), -1
	asks := false
	for _, stage := range p.stages[1:] {
		pattern := strings.TrimSpace(stage[len(stage)-1])
		if path.Base(stage[0]) != "grep" || slices.Contains(stage, "-v") {
			return failf(Unsupported, 0, "command %s behind %s", strings.Join(stage, " "), name)
		}
		if n, err := strconv.Atoi(pattern); err == nil {
			want = n
		} else if s, ok := stateByName(pattern); ok {
			state, asks = s, true
		}
	}
	if !asks {
		return failf(Unsupported, 0, "command %s that asks for no state", name)
	}
	if got := r.socketsIn(state); got != want && (want >= 0 || got == 0) {
		return failf(WrongState, 0, "%d connections are in %v, the script wants %d", got, state, max(want, 1))
	}
	return nil
}

// stateByName finds a state by the name that a tool gives it: TIME_WAIT, TIME-WAIT, FIN_WAIT_1, ESTAB, SYN_RCVD.
func stateByName(name string) (tcp.State, bool) {
	canonical := func(s string) string { return strings.NewReplacer("_", "", "-", "").Replace(strings.ToUpper(s)) }
	name = canonical(name)
	switch name {
	case "ESTAB":
		name = "ESTABLISHED"
	case "SYNRCVD", "SYNRECV":
		name = "SYNRECEIVED"
	case "CLOSE":
		name = "CLOSED"
	}
	for s := tcp.StateClosed; s <= tcp.StateTimeWait; s++ {
		if canonical(s.String()) == name {
			return s, true
		}
	}
	return 0, false
}

// socketsIn counts connections in a state.
func (r *runner) socketsIn(state tcp.State) int {
	if r.stack == nil {
		return 0
	}
	if state == tcp.StateTimeWait {
		return r.stack.TimeWaits()
	}
	n := 0
	if state == tcp.StateSynReceived {
		n = r.stack.Handshakes()
	}
	var st tcp.Status
	for _, id := range r.stack.Connections(nil) {
		if err := r.stack.OrphanStatus(id, &st); err == nil && st.State == state {
			n++
		}
	}
	if state == tcp.StateListen {
		n = len(r.stack.Listeners(nil))
	}
	return n
}
