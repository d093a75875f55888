package stack

import (
	"context"
	"errors"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
)

// drainInterval is how often Drain looks whether the connections are gone.
const drainInterval = 20 * time.Millisecond

// Drain ends the Stack's work in good order: it closes all listeners, sends FIN on all connections behind what was
// written, and waits until they have ended or ctx does. Then it aborts the rest, and returns ctx's error if there was any.
// Close is still to be called.
func (s *Stack) Drain(ctx context.Context) error {
	var errs error
	for _, l := range s.Listeners() {
		errs = errors.Join(errs, l.Close())
	}
	err := s.eachLive(func(c *Conn) { _ = c.CloseWrite() }) // an error says that it has ended
	if errs = errors.Join(errs, err); errs != nil {
		return errs
	}
	tick := time.NewTicker(drainInterval)
	defer tick.Stop()
	for {
		live := false
		if err := s.eachStatus(func(*ConnInfo) { live = true }); err != nil || !live {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.abortAll())
		}
	}
}

// eachLive calls f for every connection that a user holds and that has not ended.
func (s *Stack) eachLive(f func(*Conn)) error {
	return s.eachStatus(func(info *ConnInfo) {
		if info.Conn != nil {
			f(info.Conn)
		}
	})
}

// eachStatus calls f for every connection that has not ended, whoever holds it.
func (s *Stack) eachStatus(f func(*ConnInfo)) error {
	return s.Connections(func(info *ConnInfo) bool {
		if info.Status.State != tcp.StateClosed && info.Status.State != tcp.StateTimeWait {
			f(info)
		}
		return true
	})
}

func (s *Stack) abortAll() error {
	err := s.eachLive(func(c *Conn) { _ = c.Abort() }) // an error says that it was closed meanwhile
	for _, part := range s.shards {
		err = errors.Join(err, part.call((*shard).abortOrphans))
	}
	return err
}
