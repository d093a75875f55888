package packetdrill

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// runner plays one script.
type runner struct {
	*engine
	opt *Options
	set *settings

	sockets   map[int64]*socket
	epolls    map[int64]*epoll
	files     map[int64]bool
	flows     []*flow
	focus     *flow   // the connection that packets are of which don't say
	listening *socket // the last one

	last    tcp.Time // when the event before was, for relative times
	waiting []*pendingCall
	wakes   []tcp.Time // deadlines of poll calls
	names   map[string]float64
	counted tcp.Stats         // when nstat was called last
	cookies map[string][]byte // Fast Open cookies by the name that the script has for them
	failure error             // of a blocked call
	later   func() error      // why nothing may happen any more: a setting that has to wait for a new stack

	retrying, again bool
}

// pendingCall is a call that blocks.
type pendingCall struct {
	begun
	call    *Call
	line    int
	returns tcp.Time
	timed   bool // the script says when it returns
	done    bool
}

// patience bounds the wait for a blocked call whose end the script doesn't say.
const patience = 2 * time.Hour

// Run plays a script. It returns nil when the engine did what the script says, and a *Failure otherwise.
func Run(src string, opt *Options) error {
	script, err := Parse(src, withStandard(opt.Defines))
	if err != nil {
		return err
	}
	r := newRunner(opt)
	if err := r.prepare(src, script); err != nil {
		return err
	}
	if r.set.dryRun {
		return nil
	}
	defer r.close()
	for i := range script.Events {
		e := &script.Events[i]
		if err := r.event(e); err != nil {
			return r.failed(e.Line, err)
		}
	}
	if n := len(script.Events); n > 0 {
		if err := r.finish(); err != nil {
			return r.failed(script.Events[n-1].Line, err)
		}
	}
	return nil
}

// withStandard defines STANDARD, under which scripts for several systems have what the RFCs say, unless the user names a
// system.
func withStandard(defines map[string]string) map[string]string {
	for _, system := range []string{"STANDARD", "Linux", "FreeBSD"} {
		if _, ok := defines[system]; ok {
			return defines
		}
	}
	all := map[string]string{"STANDARD": "1"}
	maps.Copy(all, defines)
	return all
}

func newRunner(opt *Options) *runner {
	return &runner{
		engine: newEngine(), opt: opt, set: newSettings(opt), sockets: map[int64]*socket{}, epolls: map[int64]*epoll{}, files: map[int64]bool{},
		names: map[string]float64{}, cookies: map[string][]byte{},
	}
}

// failed makes any error a *Failure.
func (r *runner) failed(line int, err error) error {
	var f *Failure
	if errors.As(err, &f) {
		return at(line, f)
	}
	return failf(WrongResult, line, "%v", err)
}

// prepare applies the settings that come before the first event.
func (r *runner) prepare(src string, script *Script) error {
	lines := append(slices.Clone(r.opt.Lines), script.Settings...)
	for _, l := range lines {
		if err := r.set.line(l.Name, l.Value); err != nil {
			return at(l.Line, err)
		}
	}
	if r.set.dialect == DialectByScript {
		r.set.dialect = dialectOf(src)
	}
	r.set.dialect.begin(r.set)
	if _, ok := withStandard(r.opt.Defines)["STANDARD"]; ok && r.set.dialect == DialectFreeBSD {
		r.set.config.Choices.TimeWaitUnopened = true // its scripts' reading of the RFCs; the system itself does reopen
	}
	for _, s := range r.opt.Settings {
		if err := r.set.sysctl(s.Name, s.Value); err != nil {
			return err
		}
	}
	r.onChange = func() {
		r.observe()
		r.retry()
	}
	r.last = r.now
	for i := range script.Init {
		if err := r.command(&script.Init[i]); err != nil {
			return err
		}
	}
	return nil
}

// close lets go of everything, so that the pool's memory can be used again.
func (r *runner) close() {
	r.onChange = func() {}
	for _, s := range r.sockets {
		s.peeked.Clear()
		if s.listener != 0 {
			_ = r.stack.CloseListener(r.now, s.listener)
		}
	}
	if r.stack == nil {
		return
	}
	for _, id := range r.stack.Connections(nil) {
		_ = r.stack.Abort(r.now, id)
	}
	_ = r.drain() // what is sent now is of no interest
}

// event waits for an event's time and lets it happen.
func (r *runner) event(e *Event) error {
	if r.stack == nil && e.Command == nil {
		if err := r.restart(r.set); err != nil { // settings may come as events, up to here
			return err
		}
	}
	if err := r.waitsForStack(e); err != nil {
		return err
	}
	base := r.last
	if !e.At.Relative {
		base = startOfTime
	}
	first, last := base.Add(e.At.First), base.Add(e.At.Last)
	if e.Packet != nil && e.Packet.Out {
		return r.outbound(e, first, last)
	}
	if e.At.Any {
		first = r.now
	}
	if err := r.advanceTo(first); err != nil {
		return err
	}
	r.last = first
	switch {
	case e.Packet != nil:
		return r.inbound(e.Packet)
	case e.Call != nil:
		return r.systemCall(e.Call, e.Line, base)
	case e.Command != nil:
		return r.command(e.Command)
	default:
		return r.code(*e.Code)
	}
}

// waitsForStack says why an event can't happen: settings of the whole stack were changed while it had connections, which is
// no matter as long as nothing comes but their end.
func (r *runner) waitsForStack(e *Event) error {
	if r.later == nil || e.Command != nil || e.Call != nil && e.Call.Name == "close" {
		return nil
	}
	if !r.inUse() {
		r.later = nil
		return r.restart(r.set)
	}
	return r.later()
}

// advanceTo moves the clock to end, and wakes blocked polls on the way.
func (r *runner) advanceTo(end tcp.Time) error {
	for len(r.wakes) > 0 && r.wakes[0] <= end {
		wake := r.wakes[0]
		r.wakes = r.wakes[1:]
		if err := r.advance(wake); err != nil {
			return err
		}
		if err := r.uncork(); err != nil {
			return err
		}
		r.retry()
	}
	if err := r.advance(end); err != nil {
		return err
	}
	return r.overdue()
}

// wakeAt makes the clock stop at a time.
func (r *runner) wakeAt(t tcp.Time) {
	i, _ := slices.BinarySearch(r.wakes, t)
	r.wakes = slices.Insert(r.wakes, i, t)
}

// systemCall begins a call, and waits for its end unless the script says that it ends later.
func (r *runner) systemCall(c *Call, line int, base tcp.Time) error {
	begin, known := calls[c.Name]
	if !known {
		return failf(Unsupported, line, "system call %s: %s", c.Name, cmp.Or(refusedCalls[c.Name], "the runner does not know it"))
	}
	p := &pendingCall{call: c, line: line, timed: c.Blocks, returns: base.Add(c.Returns)}
	var err error
	p.begun, err = begin(r, c)
	if err != nil {
		if e, ok := errnoOf(err); ok {
			return p.check(0, e)
		}
		return at(line, err)
	}
	r.waiting = append(r.waiting, p)
	r.retry()
	if r.failure != nil || p.done || p.timed {
		return r.failure
	}
	end := r.now.Add(patience)
	for range maxSteps {
		if p.done || r.failure != nil {
			r.last = r.now
			return r.failure
		}
		if len(r.wakes) > 0 {
			if err := r.advanceTo(r.wakes[0]); err != nil {
				return err
			}
		} else if more, err := r.step(end); err != nil || !more {
			break
		}
	}
	return failf(WrongResult, line, "%s never returns", c.Name)
}

// retry tries the calls that wait. What they change is tried again here, not from within.
func (r *runner) retry() {
	r.again = true
	if r.retrying {
		return
	}
	r.retrying = true
	defer func() { r.retrying = false }()
	for range maxSteps {
		if !r.again {
			return
		}
		r.again = false
		for _, p := range r.waiting {
			n, err := p.try()
			if errors.Is(err, tcp.ErrWouldBlock) && !p.dontWait {
				continue
			}
			p.done = true
			if e := p.finish(r, n, err); e != nil && r.failure == nil {
				r.failure = e
			}
		}
		r.waiting = slices.DeleteFunc(r.waiting, func(p *pendingCall) bool { return p.done })
	}
	r.failure = failf(WrongResult, 0, "blocked calls keep changing the connection without end")
}

// finish compares the end of a call with what the script says.
func (p *pendingCall) finish(r *runner, n int64, err error) error {
	if p.timed {
		if off := r.now.Sub(p.returns); off.Abs() > r.set.tolerance {
			return failf(WrongTime, p.line, "%s returns %v off its time", p.call.Name, off)
		}
	}
	if err == nil {
		return p.check(n, "")
	}
	if e, ok := errnoOf(err); ok {
		return p.check(-1, e)
	}
	return at(p.line, err)
}

// check compares a result with what the script says.
func (p *pendingCall) check(n int64, e errno) error {
	c := p.call
	if c.NoResult || c.Result.Kind == ExprEllipsis {
		return nil
	}
	want, err := eval(&c.Result)
	if err != nil {
		return at(p.line, err)
	}
	switch {
	case e != "" && (want != -1 || c.Errno != "" && !sameErrno(c.Errno, string(e))):
		return failf(WrongResult, p.line, "%s gives -1 %s, want %d %s", c.Name, e, want, c.Errno)
	case e == "" && want != n:
		return failf(WrongResult, p.line, "%s gives %d, want %d %s", c.Name, n, want, c.Errno)
	}
	return nil
}

// overdue says whether a blocked call should have returned.
func (r *runner) overdue() error {
	if r.failure != nil {
		return r.failure
	}
	for _, p := range r.waiting {
		if p.timed && r.now > p.returns.Add(r.set.tolerance) {
			return failf(WrongTime, p.line, "%s should have returned %v ago", p.call.Name, r.now.Sub(p.returns))
		}
	}
	return nil
}

// finish lets blocked calls end, and looks at what is left.
func (r *runner) finish() error {
	for _, p := range slices.Clone(r.waiting) {
		if err := r.advanceTo(p.returns.Add(r.set.tolerance)); err != nil {
			return err
		}
		if err := r.overdue(); err != nil {
			return err
		}
		if !p.done {
			return failf(WrongTime, p.line, "%s does not return", p.call.Name)
		}
	}
	if r.opt.Strict && len(r.sent) > 0 {
		p := &r.sent[0]
		return failf(WrongPacket, 0, "left, and is not in the script: %s (%d such packets)", r.flowOfSent(p).format(p, true), len(r.sent))
	}
	return nil
}
