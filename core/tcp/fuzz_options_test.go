package tcp

import (
	"testing"
	"time"
)

// FuzzOptions: what Validate accepts, a connection can run with.
func FuzzOptions(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := input{data}
		opt := fuzzOptions(&in)
		opt.Cork = in.byte()&1 != 0
		opt.InitialRTO = time.Duration(int32(in.int(1<<16))<<16|int32(in.int(1<<16))) * time.Microsecond
		opt.MinRTO = time.Duration(int16(in.int(1<<16))) * time.Millisecond
		opt.KeepAliveInterval = time.Duration(int16(in.int(1<<16))) * time.Millisecond
		opt.KeepAliveCount, opt.SynRetries = int(int8(in.byte())), int(int8(in.byte()))
		opt.ConnectTimeout = time.Duration(int16(in.int(1<<16))) * time.Second
		opt.UserTimeout = time.Duration(int16(in.int(1<<16))) * time.Second
		opt.MaxSegment = int(int16(in.int(1 << 16)))
		opt.TTL, opt.TrafficClass = in.byte(), in.byte()
		opt.Congestion = CongestionControl(in.byte())
		opt.SynAckRetries = int(int8(in.byte()))
		if opt.Validate() != nil {
			return
		}
		p := newPair(t)
		p.check = true
		ida, idb := p.connect(&opt)
		const total = 3000
		got := 0
		for sent := 0; got < total; {
			if n := min(total-sent, p.a.stack.SendSpace(ida)); n > 0 {
				sent += p.a.send(p.now, ida, n)
			}
			if opt.Cork && sent == total {
				opt.Cork = false
				if err := p.a.stack.SetOptions(p.now, ida, &opt); err != nil {
					t.Fatal(err)
				}
			}
			p.advance(time.Second)
			n := p.b.receive(p.now, idb)
			got += n
			if n == 0 && !opt.Cork {
				t.Fatalf("stalled at %d of %d bytes with %+v", got, total, opt)
			}
			if got+total/10 < total && opt.SendBuffer < 10 || opt.RecvBuffer < 10 {
				break // byte by byte: it moves, that will do
			}
		}
		p.finish()
	})
}
