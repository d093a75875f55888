package ctl

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/MUCZ/Starfish/internal/chargen"
)

// transfers move characters over several connections at once, in one direction.
type transfers struct {
	send bool
	each []*chargen.Transfer
}

// newTransfers divides what the flags ask for among the connections.
func newTransfers(conns []net.Conn, flags *chargenFlags) *transfers {
	w := &transfers{send: flags.reverse == flags.listen}
	for i, conn := range conns {
		count := int64(len(conns))
		share := int64(flags.bytes) / count
		if int64(i) < int64(flags.bytes)%count {
			share++
		}
		if share == 0 && flags.bytes > 0 {
			break // more connections than bytes
		}
		w.each = append(w.each, &chargen.Transfer{Conn: conn.(chargen.Conn), Bytes: share, Duration: flags.duration})
	}
	return w
}

// count returns how many bytes were moved so far.
func (w *transfers) count() int64 {
	sum := int64(0)
	for _, t := range w.each {
		sum += t.Count()
	}
	return sum
}

// run moves the characters. When one connection fails, or ctx ends, all are closed; the report says how far they came.
func (w *transfers) run(ctx context.Context) (*transferReport, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		for _, t := range w.each {
			_ = t.Conn.Close()
		}
	})
	defer stop()
	began, ends := time.Now(), make([]time.Time, len(w.each))
	var moving sync.WaitGroup
	for i, t := range w.each {
		move := t.Receive
		if w.send {
			move = t.Send
		}
		moving.Go(func() {
			end, err := move()
			ends[i] = end
			if err != nil {
				cancel(err)
			}
		})
	}
	moving.Wait()
	last := began
	for _, end := range ends {
		if end.After(last) {
			last = end
		}
	}
	return w.report(last.Sub(began)), context.Cause(ctx)
}

// transferReport is the outcome. Its JSON names are part of the program's interface.
type transferReport struct {
	Network       string  `json:"network"`
	Remote        string  `json:"remote"`
	Direction     string  `json:"direction"`
	Connections   int     `json:"connections"`
	Bytes         int64   `json:"bytes"`
	Seconds       float64 `json:"seconds"`
	BitsPerSecond float64 `json:"bits_per_second"`
}

func (w *transfers) report(took time.Duration) *transferReport {
	r := &transferReport{Direction: "received", Connections: len(w.each), Bytes: w.count(), Seconds: took.Seconds()}
	if w.send {
		r.Direction = "sent"
	}
	if took > 0 {
		r.BitsPerSecond = float64(r.Bytes) * 8 / r.Seconds
	}
	return r
}

func (r *transferReport) String() string {
	line := fmt.Sprintf("%-9s %s %s in %.2f s: %s, %s", r.Network, r.Direction, siUnits(float64(r.Bytes), "B"), r.Seconds,
		siUnits(r.BitsPerSecond, "bps"), r.Remote)
	if r.Connections > 1 {
		line += fmt.Sprintf(", %d connections", r.Connections)
	}
	return line
}

func (a *app) showReport(r *transferReport) error {
	if a.json {
		return a.printJSON(r)
	}
	return a.print(r.String() + "\n")
}
