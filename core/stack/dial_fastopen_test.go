package stack

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// TestDialFastOpen: the first data are there whatever way they go, and from the second connection on they go with the SYN.
func TestDialFastOpen(t *testing.T) {
	noLeaks(t)
	a, b := startPair(t, 1500, tun.Offload{})
	l, err := b.ListenTCP(netip.AddrPort{}, 0, &tcp.Options{FastOpen: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := netip.AddrPortFrom(b.Addresses()[0].Addr(), port(l))
	for name, size := range map[string]int{"a few bytes": 100, "more than a segment": 20_000, "more than a send buffer": 200_000} {
		for i := range 2 {
			data := bytes.Repeat([]byte(name), size/len(name))
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			client, err := a.DialFastOpen(ctx, netip.AddrPort{}, to, &tcp.Options{SendBuffer: 64 << 10}, data)
			if err != nil {
				t.Fatal(err)
			}
			server, err := l.AcceptContext(ctx)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(data)+4)
			if _, err := client.Write([]byte("more")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(server, got); err != nil || string(got) != string(data)+"more" {
				t.Errorf("%s, connection %d: received other bytes, or %v", name, i, err)
			}
			for _, c := range []*Conn{client, server} {
				st, err := c.Status()
				if err != nil {
					t.Fatal(err)
				}
				if i == 1 && !st.FastOpen {
					t.Errorf("%s, connection %d: no data went with the SYN", name, i)
				}
				c.Close()
			}
		}
	}
	if n := counter(t, b, "TcpExtTCPFastOpenPassive"); n < 5 {
		t.Errorf("%d connections by Fast Open, want 5 of 6 at least", n)
	}
}
