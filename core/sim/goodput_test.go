package sim

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// goodputRow is a path, and the least share of its rate that each congestion control must get to the receiver's user.
type goodputRow struct {
	name  string
	link  Link    // of the data; ACKs come back by a link with the same delay and rate, and nothing else
	queue float64 // of the bottleneck, in bandwidth-delay products
	want  map[tcp.CongestionControl]float64
	quick bool // runs with every test
}

const mbit = 1_000_000

func every(share float64) map[tcp.CongestionControl]float64 {
	return map[tcp.CongestionControl]float64{tcp.CongestionReno: share, tcp.CongestionCubic: share, tcp.CongestionBBR: share}
}

func onlyBBR(share float64) map[tcp.CongestionControl]float64 {
	return map[tcp.CongestionControl]float64{tcp.CongestionBBR: share}
}

var goodputRows = []goodputRow{
	{"clean", Link{Rate: 10 * mbit, Delay: 10 * time.Millisecond}, 1, every(0.85), true},
	{"clean", Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond}, 1, every(0.85), false},
	{"clean", Link{Rate: 100 * mbit, Delay: 50 * time.Millisecond}, 1, every(0.7), false},
	{"clean", Link{Rate: 500 * mbit, Delay: 500 * time.Microsecond}, 2, every(0.85), false},
	{"short queue", Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond}, 0.1, onlyBBR(0.8), true},
	{"long queue", Link{Rate: 10 * mbit, Delay: 20 * time.Millisecond}, 8, every(0.85), true},
	{"0.1 % lost", Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond, Loss: 0.001}, 1, onlyBBR(0.8), false},
	{"1 % lost", Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond, Loss: 0.01}, 1, onlyBBR(0.75), true},
	{"1 % lost", Link{Rate: 50 * mbit, Delay: 50 * time.Millisecond, Loss: 0.01}, 1, onlyBBR(0.6), false},
	{"5 % lost", Link{Rate: 20 * mbit, Delay: 25 * time.Millisecond, Loss: 0.05}, 1, nil, false},
	{"1 % up to 5 ms late", Link{Rate: 100 * mbit, Delay: 10 * time.Millisecond, Reorder: 0.01, ReorderDelay: 5 * time.Millisecond}, 1, onlyBBR(0.8), false},
	{"jitter 4 ms", Link{Rate: 50 * mbit, Delay: 20 * time.Millisecond, Jitter: 4 * time.Millisecond}, 1, onlyBBR(0.6), false},
}

// bdp is what is in flight on a full path, in bytes.
func (r *goodputRow) bdp() float64 { return float64(r.link.Rate) / 8 * (2 * r.link.Delay).Seconds() }

func (r *goodputRow) String() string {
	return fmt.Sprintf("%4d Mbit/s, %v, %.1f BDP, %s", r.link.Rate/mbit, 2*r.link.Delay, r.queue, r.name)
}

var goodputFlag = flag.Bool("sim.goodput", false, "TestGoodput measures all rows, not only the quick ones")

const goodputTime = 8 * time.Second

var goodputControls = []tcp.CongestionControl{tcp.CongestionReno, tcp.CongestionCubic, tcp.CongestionBBR}

// TestGoodput measures, in the network's time, what of a path's rate one connection gets to its user. With -v and
// -sim.goodput it prints the table of docs/goodput.md.
func TestGoodput(t *testing.T) {
	var table strings.Builder
	table.WriteString("| Rate, RTT, queue, path | reno | cubic | bbr |\n|---|---|---|---|\n")
	for i := range goodputRows {
		row := &goodputRows[i]
		if !row.quick && !*goodputFlag {
			continue
		}
		fmt.Fprintf(&table, "| %v |", row)
		for _, cc := range goodputControls {
			got := runGoodput(t, row, cc)[0]
			fmt.Fprintf(&table, " %.1f %% |", 100*got)
			if want := row.want[cc]; got < want {
				t.Errorf("%v: %v gets %.1f %% of the rate, want %.0f %%", row, cc, 100*got, 100*want)
			}
		}
		table.WriteString("\n")
	}
	t.Logf("\n%s", table.String())
}

// TestGoodputFairness has two connections share a path: like beside like, one later than the other.
func TestGoodputFairness(t *testing.T) {
	var table strings.Builder
	table.WriteString("| Flows | shares | Jain |\n|---|---|---|\n")
	row := &goodputRow{"clean", Link{Rate: 50 * mbit, Delay: 10 * time.Millisecond}, 1, nil, true}
	for _, pair := range [][]tcp.CongestionControl{
		{tcp.CongestionReno, tcp.CongestionReno},
		{tcp.CongestionCubic, tcp.CongestionCubic},
		{tcp.CongestionBBR, tcp.CongestionBBR},
		{tcp.CongestionCubic, tcp.CongestionBBR},
	} {
		share := runGoodput(t, row, pair...)
		sum, squares := share[0]+share[1], share[0]*share[0]+share[1]*share[1]
		jain := sum * sum / (2 * squares)
		fmt.Fprintf(&table, "| %v beside %v | %.0f %%, %.0f %% | %.3f |\n", pair[0], pair[1], 100*share[0], 100*share[1], jain)
		if pair[0] == pair[1] && jain < 0.95 {
			t.Errorf("%v beside %v: %.3f, shares %v", pair[0], pair[1], jain, share)
		}
		if sum < 0.85 {
			t.Errorf("%v beside %v: %.0f %% in all", pair[0], pair[1], 100*sum)
		}
	}
	t.Logf("%v, the second flow a second later, %v:\n%s", row, fairTime, table.String())
}

const fairTime = 20 * time.Second

// goodputHosts is a sender and a receiver. What the receiver gets is consumed at once; the sender always has more.
type goodputHosts struct {
	t        *testing.T
	net      *Network
	from, to *Host
	block    zbuf.Slice
	port     map[tcp.ConnID]uint16 // of the sender, by the receiver's handle
	received map[uint16]int
}

// runGoodput runs a flow for each congestion control over one path, and returns the share of the rate that each got: a single
// flow from its start, several after the first quarter of the time.
func runGoodput(t *testing.T, row *goodputRow, controls ...tcp.CongestionControl) []float64 {
	t.Helper()
	x := &goodputHosts{t: t, net: New(1), port: map[tcp.ConnID]uint16{}, received: map[uint16]int{}}
	x.from, x.to = x.host("a", 1), x.host("b", 2)
	link := row.link
	link.Queue = max(int(row.queue*row.bdp()), 10*1500)
	x.net.Connect(x.from, x.to, link, Link{Rate: link.Rate, Delay: link.Delay})
	x.block, _ = x.from.Pool.Get(zbuf.MaxBlock)
	clear(x.block.Bytes())
	x.from.OnEvent, x.to.OnEvent = x.onSender, x.onReceiver
	opt := tcp.Options{RecvBuffer: 16 << 20, SendBuffer: 16 << 20}
	listen := tcp.Endpoint{Addr: x.to.Addr(false), Port: 80}
	if _, err := x.to.Stack.Listen(listen, 0, &opt); err != nil {
		t.Fatal(err)
	}
	for i, cc := range controls {
		opt := opt
		opt.Congestion = cc
		local := tcp.Endpoint{Addr: x.from.Addr(false), Port: uint16(1000 + i)}
		x.net.At(tcp.Time(1).Add(time.Duration(i)*time.Second), func() {
			if _, err := x.from.Stack.Connect(x.net.Now(), local, listen, &opt); err != nil {
				t.Error(err)
			}
		})
	}
	begin, end := time.Duration(0), goodputTime
	if len(controls) > 1 {
		begin, end = fairTime/4, fairTime
	}
	x.runUntil(begin)
	before := make([]int, len(controls))
	for i := range before {
		before[i] = x.received[uint16(1000+i)]
	}
	x.runUntil(end)
	shares := make([]float64, len(controls))
	for i := range shares {
		bits := 8 * float64(x.received[uint16(1000+i)]-before[i])
		shares[i] = bits / (end - begin).Seconds() / float64(row.link.Rate)
	}
	return shares
}

func (x *goodputHosts) host(name string, n byte) *Host {
	h, err := x.net.AddHost(name, HostConfig{
		Addrs: []wire.Addr{wire.Addr4([4]byte{10, 0, 0, n})}, Join: true, Batch: 20 * time.Microsecond,
		Stack: tcp.Config{
			SegmentationOffload4: true, ChecksumOffload: true,
		},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return h
}

func (x *goodputHosts) runUntil(at time.Duration) {
	x.t.Helper()
	for time.Duration(x.net.Now()) < at {
		if more, err := x.net.Step(); err != nil || !more {
			x.t.Fatalf("at %v: more %v, %v", x.net.Now(), more, err)
		}
	}
}

// onSender fills the send buffer whenever there is room.
func (x *goodputHosts) onSender(e tcp.Event) {
	if e.Flags&(tcp.EventEstablished|tcp.EventWritable) == 0 {
		return
	}
	for more := true; more; {
		var data zbuf.Chain
		for range 4 {
			data.Push(x.block.Retain())
		}
		if _, err := x.from.Stack.Send(x.net.Now(), e.Conn, &data); err != nil {
			x.t.Error(err)
		}
		more = data.Len() == 0
		data.Clear()
	}
}

func (x *goodputHosts) onReceiver(e tcp.Event) {
	if e.Flags&tcp.EventAccepted != 0 {
		id, err := x.to.Stack.Accept(e.Listener)
		if err != nil {
			x.t.Error(err)
		}
		var st tcp.Status
		if err := x.to.Stack.Status(id, &st); err != nil {
			x.t.Error(err)
		}
		x.port[id] = st.Remote.Port
		return
	}
	for {
		var data zbuf.Chain
		n, err := x.to.Stack.Receive(e.Conn, &data, 1<<20)
		data.Clear()
		if n == 0 || err != nil {
			return
		}
		x.received[x.port[e.Conn]] += n
		x.to.Stack.Consumed(x.net.Now(), e.Conn, n)
	}
}
