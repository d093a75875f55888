package tcp

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestOptionsValidate(t *testing.T) {
	for name, c := range map[string]struct {
		o  Options
		ok bool
	}{
		"zero":                       {Options{}, true},
		"defaults":                   {DefaultOptions(), true},
		"keep-alive off":             {Options{KeepAlive: -1}, true},
		"one byte of buffer":         {Options{RecvBuffer: 1, SendBuffer: 1}, true},
		"initial RTO of 1 µs":        {Options{InitialRTO: time.Microsecond}, false},
		"initial RTO negative":       {Options{InitialRTO: -time.Second}, false},
		"minimum RTO beyond maximum": {Options{MinRTO: maxRTO + 1}, false},
		"maximum RTO of a second":    {Options{MaxRTO: time.Second}, true},
		"maximum RTO below that":     {Options{MaxRTO: time.Second - 1}, false},
		"maximum RTO of an hour":     {Options{MaxRTO: time.Hour}, false},
		"keep-alive of 1 ns":         {Options{KeepAlive: 1}, false},
		"keep-alive of a century":    {Options{KeepAlive: 100 * maxKeepAlive}, false},
		"keep-alive interval":        {Options{KeepAliveInterval: -1}, false},
		"keep-alive count":           {Options{KeepAliveCount: 128}, false},
		"user timeout":               {Options{UserTimeout: -1}, false},
		"connect timeout":            {Options{ConnectTimeout: 1}, false},
		"linger off":                 {Options{Linger: -1}, true},
		"linger":                     {Options{Linger: time.Nanosecond}, false},
		"SYN retries":                {Options{SynRetries: -1}, false},
		"SYN-ACK retries":            {Options{SynAckRetries: 128}, false},
		"receive buffer negative":    {Options{RecvBuffer: -1}, false},
		"receive buffer of 2 GiB":    {Options{RecvBuffer: 2 << 30}, false},
		"send buffer of 2 GiB":       {Options{SendBuffer: 2 << 30}, false},
		"maximum segment of 10":      {Options{MaxSegment: 10}, false},
		"maximum segment of 65,535":  {Options{MaxSegment: 65_535}, false},
		"congestion control":         {Options{Congestion: numCongestionControls}, false},
		"ECN bits":                   {Options{TrafficClass: 0xb9}, false},
		"expedited forwarding":       {Options{TrafficClass: 0xb8}, true},
	} {
		if err := c.o.Validate(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fill sets every field of a struct to something that is not zero.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int, reflect.Int64:
			f.SetInt(int64(100 + i))
		case reflect.Uint8:
			f.SetUint(uint64(1 + i))
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		}
	}
}

// TestOptionsDefaultsReachEveryField holds withDefaults to the fields of Options.
func TestOptionsDefaultsReachEveryField(t *testing.T) {
	var full, empty Options
	fill(reflect.ValueOf(&full).Elem())
	if got := empty.withDefaults(&full); got != full {
		t.Errorf("from defaults: %+v\nwant %+v", got, full)
	}
	if got := full.withDefaults(&empty); got != full {
		t.Errorf("set: %+v\nwant %+v", got, full)
	}
	other := DefaultOptions()
	if got := full.withDefaults(&other); got != full {
		t.Errorf("defaults override what is set: %+v", got)
	}
}

func TestSetOptions(t *testing.T) {
	p := newPair(t)
	p.check = true
	ida, _ := p.connect(&Options{Congestion: CongestionReno, NoDelay: true})
	s, c := p.a.stack, p.a.conn(ida)
	for name, o := range map[string]*Options{
		"bad":       {RecvBuffer: -1},
		"ECN":       {TrafficClass: 1},
		"too large": {SendBuffer: 2 << 30},
	} {
		before := c.opt
		if err := s.SetOptions(p.now, ida, o); !errors.Is(err, ErrInvalid) || c.opt != before {
			t.Errorf("%s: %v", name, err)
		}
	}
	iss := uint32(7)
	o := Options{
		Congestion: CongestionCubic, MaxSegment: 500, NoSACK: true, NoTimestamps: true, NoWindowScale: true, FixedISN: &iss,
		KeepAlive: time.Minute, SendBuffer: 1 << 10,
	}
	window := c.cc.cwnd()
	if err := s.SetOptions(p.now, ida, &o); err != nil {
		t.Fatal(err)
	}
	switch {
	case c.cc.name() != CongestionCubic || c.cc.cwnd() > window:
		t.Errorf("congestion control is %v with %d bytes, before it were %d", c.cc.name(), c.cc.cwnd(), window)
	case c.mss != 500-timestampsLen:
		t.Errorf("segments of %d bytes", c.mss)
	case c.opt.NoDelay:
		t.Error("a switch that is off stays on")
	case c.opt.NoSACK || c.opt.NoTimestamps || c.opt.NoWindowScale || c.opt.FixedISN != nil:
		t.Error("what the SYN has settled changes")
	case !c.timers.on(timerKeepAlive):
		t.Error("no keep-alive timer")
	}
	if err := s.SetOptions(p.now, ida, &Options{KeepAlive: -1}); err != nil || c.timers.on(timerKeepAlive) {
		t.Errorf("keep-alive stays on: %v", err)
	}
	p.a.send(p.now, ida, 1<<10)
	p.a.mustCheck()
	p.flow()
	p.finish()
}
