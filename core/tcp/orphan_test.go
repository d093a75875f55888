package tcp

import (
	"errors"
	"testing"
	"time"
)

// TestOrphansAreBounded: a close beyond the limit resets; one that ends makes room again.
func TestOrphansAreBounded(t *testing.T) {
	p := newPair(t, func(c *Config) { c.Limits.Orphans = 2 })
	p.check = true
	l := p.listen(nil)
	s := p.a.stack
	ids, peers := make([]ConnID, 4), make([]ConnID, 4)
	for i := range ids {
		ids[i], peers[i] = p.dial(l, nil)
	}
	for i, want := range []uint64{1, 2, 2} {
		if err := s.Close(p.now, ids[i]); err != nil {
			t.Fatal(err)
		}
		p.flow()
		if s.stats.Orphans != want || s.stats.AbortsOnOrphans != uint64(i/2) {
			t.Errorf("after %d closes: %d orphans, %d aborted", i+1, s.stats.Orphans, s.stats.AbortsOnOrphans)
		}
	}
	var st Status
	if err := p.b.stack.Status(peers[2], &st); err != nil || !errors.Is(st.Err, ErrReset) {
		t.Errorf("the peer of the third sees %v, %v", st.Err, err)
	}
	if err := p.b.stack.Close(p.now, peers[0]); err != nil {
		t.Fatal(err)
	}
	p.flow()
	if s.stats.Orphans != 1 {
		t.Errorf("%d orphans after one has ended", s.stats.Orphans)
	}
	if err := s.Close(p.now, ids[3]); err != nil {
		t.Fatal(err)
	}
	if s.stats.Orphans != 2 || s.stats.AbortsOnOrphans != 1 {
		t.Errorf("%d orphans, %d aborted", s.stats.Orphans, s.stats.AbortsOnOrphans)
	}
	p.finish()
}

// TestLingerEndsAtTheAcknowledgment: once the peer has everything, its FIN is waited for as long as without Linger.
func TestLingerEndsAtTheAcknowledgment(t *testing.T) {
	p := newPair(t, func(c *Config) { c.FinWait2 = 10 * time.Second })
	p.check = true
	ida, _ := p.connect(&Options{Linger: time.Second})
	p.a.write(p.now, ida, []byte("the end"))
	if err := p.a.stack.Close(p.now, ida); err != nil {
		t.Fatal(err)
	}
	p.advance(9 * time.Second)
	if s := p.a.stack; s.stats.Orphans != 1 || s.stats.AbortsOnLinger != 0 {
		t.Errorf("%d orphans, %d aborted", s.stats.Orphans, s.stats.AbortsOnLinger)
	}
	p.advance(2 * time.Second)
	if s := p.a.stack; s.stats.Orphans != 0 || s.stats.AbortsOnLinger != 0 {
		t.Errorf("%d orphans, %d aborted", s.stats.Orphans, s.stats.AbortsOnLinger)
	}
	p.finish()
}
