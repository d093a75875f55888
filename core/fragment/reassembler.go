package fragment

import (
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

// Limits bound what a Reassembler holds. A zero field means the default.
type Limits struct {
	Packets int           // incomplete ones; the oldest goes first; default 1,024
	Bytes   int           // of their fragments; default 4 MiB, as Linux's ipfrag_high_thresh
	Timeout time.Duration // from the first fragment on; default 60 s (RFC 8200 §4.5)
}

// maxPieces bounds the fragments of one packet: 65,535 bytes take 119 over the smallest MTU that hosts must support.
const maxPieces = 128

// Reassembler holds fragments until their packets are whole. Its methods may not be called at the same time.
type Reassembler struct {
	pool    *zbuf.Pool
	limits  Limits
	packets map[key]*packet
	oldest  *packet // the list of packets by age
	newest  *packet
	bytes   int
}

// key names a packet (RFC 791 §3.2, RFC 8200 §4.5).
type key struct {
	src, dst wire.Addr
	id       uint32
	protocol wire.Protocol // of IPv4 only
}

// packet is one that is not whole yet.
type packet struct {
	key        key
	older      *packet
	newer      *packet
	deadline   time.Duration
	first      wire.IP // the header of the fragment at offset 0
	pieces     []piece // by offset, none overlapping
	bytes      int     // of the pieces
	total      int     // payload of the whole; 0 until the last fragment has come
	ecn        ecnSeen
	haveHeader bool
}

type piece struct {
	start int
	data  zbuf.Slice
}

func (p *piece) end() int { return p.start + p.data.Len() }

// New returns an empty Reassembler.
func New(pool *zbuf.Pool, limits Limits) *Reassembler {
	if limits.Packets == 0 {
		limits.Packets = 1024
	}
	if limits.Bytes == 0 {
		limits.Bytes = 4 << 20
	}
	if limits.Timeout == 0 {
		limits.Timeout = time.Minute
	}
	return &Reassembler{pool: pool, limits: limits, packets: make(map[key]*packet)}
}

// Add takes in a fragment, whose parsed header is ip and whose bytes are head and body. now is the time on any clock that
// does not go back. It returns the whole packet once nothing is missing, whose reference passes to the caller, and how
// many packets were given up: this one, or others that waited for too long or had to make room.
func (r *Reassembler) Add(now time.Duration, ip *wire.IP, head, body []byte) (whole zbuf.Slice, lost int) {
	lost = r.expire(now)
	k := key{src: ip.Src, dst: ip.Dst, id: ip.ID}
	if ip.Src.Is4() {
		k.protocol = ip.Protocol
	}
	p := r.packets[k]
	if p == nil {
		p = &packet{key: k, deadline: now + r.limits.Timeout}
		r.enter(p)
	}
	if !r.insert(p, ip, head, body) {
		r.drop(p)
		return zbuf.Slice{}, lost + 1
	}
	if p.total > 0 && p.bytes == p.total && p.haveHeader {
		whole = r.join(p)
		if whole.IsZero() {
			lost++
		}
		r.drop(p)
	}
	// The newest is the last to go, so that a flood of beginnings can't keep packets from being finished.
	for r.bytes > r.limits.Bytes || len(r.packets) > r.limits.Packets {
		r.drop(r.oldest)
		lost++
	}
	return whole, lost
}

// insert puts a fragment in its place. It reports false when the packet can't come about any more.
func (r *Reassembler) insert(p *packet, ip *wire.IP, head, body []byte) bool {
	start, n := ip.FragmentOffset, ip.PayloadLen()
	end := start + n
	if !ip.MoreFragments {
		if p.total != 0 && p.total != end {
			return false
		}
		p.total = end
	}
	at := len(p.pieces)
	for at > 0 && p.pieces[at-1].start >= start {
		at--
	}
	if at < len(p.pieces) && p.pieces[at].start == start && p.pieces[at].data.Len() == n {
		return true // the same again, which a network may do
	}
	// RFC 5722 §4, RFC 8200 §4.5: overlapping fragments, which only attacks have, cost the whole packet.
	if at > 0 && p.pieces[at-1].end() > start || at < len(p.pieces) && p.pieces[at].start < end ||
		len(p.pieces) == maxPieces || p.total != 0 && p.last() > p.total {
		return false
	}
	data, ok := r.pool.Get(n)
	if !ok {
		return false
	}
	copyPayload(data.Bytes(), ip, head, body)
	p.pieces = append(p.pieces, piece{})
	copy(p.pieces[at+1:], p.pieces[at:])
	p.pieces[at] = piece{start: start, data: data}
	p.bytes += n
	r.bytes += n
	p.ecn.note(ip.ECN())
	if start == 0 {
		p.first, p.haveHeader = *ip, true
	}
	return p.total == 0 || p.last() <= p.total
}

// last is where the pieces end.
func (p *packet) last() int {
	if len(p.pieces) == 0 {
		return 0
	}
	return p.pieces[len(p.pieces)-1].end()
}

// copyPayload copies what follows the network header out of a packet in two parts.
func copyPayload(dst []byte, ip *wire.IP, head, body []byte) {
	n := 0
	if len(head) > ip.HeaderLen {
		n = copy(dst, head[ip.HeaderLen:])
	}
	if n < len(dst) {
		copy(dst[n:], body[max(ip.HeaderLen-len(head), 0):])
	}
}

// join builds the whole packet, with a header that has neither options nor extensions: nobody reads them any more.
func (r *Reassembler) join(p *packet) zbuf.Slice {
	ip := p.first
	ip.MoreFragments, ip.FragmentOffset = false, 0
	header := wire.IPv6HeaderLen
	if ip.Src.Is4() {
		header = wire.IPv4HeaderLen
	}
	ecn, ok := p.ecn.joined()
	if !ok || header+p.total > wire.MaxPacketLen {
		return zbuf.Slice{}
	}
	ip.TrafficClass = ip.TrafficClass&^3 | uint8(ecn)
	whole, ok := r.pool.Get(header + p.total)
	if !ok {
		return zbuf.Slice{}
	}
	b := whole.Bytes()
	wire.PutIP(b, &ip, p.total)
	for i := range p.pieces {
		copy(b[header+p.pieces[i].start:], p.pieces[i].data.Bytes())
	}
	return whole
}

// Clear drops everything.
func (r *Reassembler) Clear() {
	for r.oldest != nil {
		r.drop(r.oldest)
	}
}

// expire drops what has waited for too long.
func (r *Reassembler) expire(now time.Duration) (lost int) {
	for r.oldest != nil && r.oldest.deadline <= now {
		r.drop(r.oldest)
		lost++
	}
	return lost
}

func (r *Reassembler) enter(p *packet) {
	r.packets[p.key] = p
	p.older = r.newest
	if r.newest != nil {
		r.newest.newer = p
	} else {
		r.oldest = p
	}
	r.newest = p
}

func (r *Reassembler) drop(p *packet) {
	delete(r.packets, p.key)
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		r.oldest = p.newer
	}
	if p.newer != nil {
		p.newer.older = p.older
	} else {
		r.newest = p.older
	}
	r.bytes -= p.bytes
	for i := range p.pieces {
		p.pieces[i].data.Release()
	}
}
