package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/client"
)

const (
	crowdSize    = 1000
	crowdMessage = 4 << 10 // bytes that each of them sends and gets back
	queueSize    = 10000
)

// echo sends everything back on every connection of l, until the listener is closed.
func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, struct{ io.Reader }{c})
		}()
	}
}

// TestThousandAtOnce has a thousand connections open at the same time, opened by the stack and by the kernel, and moves
// data on all of them.
func TestThousandAtOnce(t *testing.T) {
	h := newHost(t)
	had := h.daemon.descriptors(t)
	for _, transport := range transports {
		t.Run("opened/"+transport.String(), func(t *testing.T) {
			l := h.kernelListen(t, kernelV4)
			go echo(l)
			crowd(t, h, func() (net.Conn, error) { return h.daemon.dialer(transport).Dial("tcp", l.Addr().String()) })
		})
		t.Run("accepted/"+transport.String(), func(t *testing.T) {
			l := h.daemon.listen(t, transport, net.JoinHostPort(ourV6, "0"))
			go echo(l)
			crowd(t, h, func() (net.Conn, error) { return h.Dial(l.Addr().String()) })
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		h.daemon.wantNoLeak(t, 5*time.Second, had)
	}
}

// crowd opens the connections, moves data on all of them at once, and closes them.
func crowd(t *testing.T, h *host, dial func() (net.Conn, error)) {
	t.Helper()
	conns := make([]net.Conn, crowdSize)
	began := time.Now()
	// At most 64 at a time: the kernel's listener has a queue of its own, which has a bound.
	each(t, 64, func(i int) (err error) {
		conns[i], err = dial()
		return err
	})
	opened := time.Since(began)
	defer func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	}()
	if t.Failed() {
		return
	}
	eventually(t, 30*time.Second, "all connections are there at once", func() error {
		if n, _ := h.daemon.connections(t); n < crowdSize {
			return fmt.Errorf("%d connections, want %d", n, crowdSize)
		}
		return nil
	})
	began = time.Now()
	each(t, crowdSize, func(i int) error { return askEcho(conns[i], byte(i)) })
	t.Logf("opened in %v, answered in %v", opened.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// each calls f for every member of the crowd, some at a time.
func each(t *testing.T, atOnce int, f func(i int) error) {
	t.Helper()
	errs := make([]error, crowdSize)
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range crowdSize {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = f(i)
			<-slots
		})
	}
	wg.Wait()
	failed := 0
	for _, err := range errs {
		if err == nil {
			continue
		}
		if failed++; failed <= 3 {
			t.Error(err)
		}
	}
	if failed > 3 {
		t.Errorf("and %d more", failed-3)
	}
}

// askEcho sends a message of its own and wants it back.
func askEcho(c net.Conn, seed byte) error {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	message, answer := make([]byte, crowdMessage), make([]byte, crowdMessage)
	_, _ = io.ReadFull(content(seed, crowdMessage), message)
	if _, err := c.Write(message); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, answer); err != nil {
		return err
	}
	if sha256.Sum256(message) != sha256.Sum256(answer) {
		return fmt.Errorf("%s got another's bytes back", c.LocalAddr())
	}
	return nil
}

// TestTenThousandInSequence opens and closes connections one after the other from one address to one address and port.
// Each leaves its port in TIME-WAIT, since this side closes first.
func TestTenThousandInSequence(t *testing.T) {
	h := newHost(t)
	l := h.kernelListen(t, kernelV4)
	go echo(l)
	source := netip.MustParseAddr("10.144.3.4")
	d := h.daemon.dialer(client.DataSocket)
	d.LocalAddr = netip.AddrPortFrom(source, 0)
	began := time.Now()
	for i := range queueSize {
		if err := oneByte(d, l.Addr(), source); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	took := time.Since(began)
	t.Logf("%d connections in %v: %.0f a second", queueSize, took.Round(time.Millisecond), queueSize/took.Seconds())
	h.daemon.wantIdle(t, second)
}

func oneByte(d *client.Dialer, address net.Addr, source netip.Addr) error {
	c, err := d.Dial("tcp", address.String())
	if err != nil {
		return err
	}
	defer c.Close()
	if from := c.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); from != source {
		return fmt.Errorf("from %s, want %s", from, source)
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	b := []byte{42}
	if _, err := c.Write(b); err != nil {
		return err
	}
	if err := c.(*client.Conn).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && len(got) != 1 {
		err = errors.New("the byte did not come back")
	}
	return err
}
