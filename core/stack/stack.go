package stack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MUCZ/Starfish/core/fragment"
	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Stack is a user-space TCP. Its methods may be called from any goroutine.
type Stack struct {
	cfg    Config
	owned  *ownedSet
	memory memory
	shards []*shard
	epoch  time.Time
	tap    atomic.Pointer[Tap]

	fragments fragments

	nextShard atomic.Uint32 // whose turn it is to open a connection
	listening sync.Mutex    // a listener is made on all shards or on none

	writesWithoutBuffers atomic.Uint64 // times that Write had to wait for the pool

	closing   sync.Once
	closeErr  error
	listeners listenerSet
}

// New starts a Stack.
func New(cfg Config) (*Stack, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return nil, fmt.Errorf("stack: random secret: %w", err)
	}
	s := &Stack{cfg: cfg, owned: newOwnedSet(cfg.Addresses, cfg.KernelAddresses), memory: newMemory(cfg.Pool), epoch: time.Now()}
	s.fragments.held = fragment.New(cfg.Pool, fragment.Limits{})
	s.SetTap(cfg.Tap)
	for i := range cfg.Shards {
		shard, err := newShard(s, i, secret)
		if err != nil {
			for _, other := range s.shards {
				err = errors.Join(err, other.poll.close())
			}
			return nil, err
		}
		s.shards = append(s.shards, shard)
	}
	for _, shard := range s.shards {
		go shard.run()
	}
	return s, nil
}

// Close aborts all connections, closes all listeners and frees what they hold. The device stays open, for its owner to
// close afterwards.
func (s *Stack) Close() error {
	s.closing.Do(func() {
		for _, part := range s.shards {
			// An error says that it has stopped already.
			_ = part.call(func(s *shard) { s.stopping = true })
		}
		for _, shard := range s.shards {
			<-shard.done
		}
		s.fragments.clear()
		// Only now, so that no shard hands anything to one that is gone.
		for _, shard := range s.shards {
			shard.inbox.clear()
			s.closeErr = errors.Join(s.closeErr, shard.poll.close())
		}
	})
	return s.closeErr
}

// MTU returns the largest packet in bytes.
func (s *Stack) MTU() int { return s.cfg.MTU }

// Device returns the device, nil when there is only the internal link.
func (s *Stack) Device() tun.Device { return s.cfg.Device }

// Pool returns the pool that the Stack's buffers come from.
func (s *Stack) Pool() *zbuf.Pool { return s.cfg.Pool }

// Addresses returns the prefixes that the Stack owns.
func (s *Stack) Addresses() []netip.Prefix { return s.cfg.Addresses }

// Owns reports whether a is one of the Stack's addresses, the kernel's not among them.
func (s *Stack) Owns(a netip.Addr) bool {
	return s.owned.has(tcp.EndpointFrom(netip.AddrPortFrom(a, 0)).Addr)
}

// now is the time on the engines' scale.
func (s *Stack) now() tcp.Time { return tcp.Time(time.Since(s.epoch)) + 1 }

// Time returns the point of wall-clock time that an engine's t stands for.
func (s *Stack) Time(t tcp.Time) time.Time { return s.epoch.Add(time.Duration(t)) }

// shardOf returns the shard that has the flow between two endpoints.
func (s *Stack) shardOf(a, b tcp.Endpoint) *shard {
	if len(s.shards) == 1 {
		return s.shards[0]
	}
	return s.shards[tcp.FlowHash(a, b)%uint32(len(s.shards))]
}
