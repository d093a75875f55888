package stack

import (
	"encoding/binary"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
	"github.com/MUCZ/Starfish/core/wire"
)

// What the shell makes of a packet. The engine parses those of TCP, and counts what is wrong with them.
type protocol uint8

const (
	protocolOther protocol = iota
	protocolTCP
	protocolICMP
	protocolFragment
	protocolMalformed
)

// Offsets of the protocol's number in the network header.
const (
	protocolOffset4 = 9
	protocolOffset6 = 6
)

// Of IPv4's fragmentation word: offset and "more fragments" (RFC 791 §3.1).
const (
	fragmentOffset4 = 6
	fragmentMask4   = 0x3fff
)

// protocolOf looks at the protocol's number, where no IPv6 extension header is in the way without a whole parse.
func protocolOf(p *tun.Packet) protocol {
	head := p.Head.Bytes()
	switch {
	case len(head) >= wire.IPv4HeaderLen && head[0]>>4 == 4:
		if binary.BigEndian.Uint16(head[fragmentOffset4:])&fragmentMask4 != 0 {
			return protocolFragment
		}
		return protocolNumber(wire.Protocol(head[protocolOffset4]))
	case len(head) >= wire.IPv6HeaderLen && head[0]>>4 == 6:
		if n := protocolNumber(wire.Protocol(head[protocolOffset6])); n != protocolOther {
			return n
		}
		var ip wire.IP
		if wire.ParseIPSplit(head, p.Body.Len(), &ip) != wire.None {
			return protocolMalformed
		}
		if ip.IsFragment() {
			return protocolFragment
		}
		return protocolNumber(ip.Protocol)
	}
	return protocolMalformed
}

func protocolNumber(n wire.Protocol) protocol {
	switch n {
	case wire.TCP:
		return protocolTCP
	case wire.ICMP, wire.ICMPv6:
		return protocolICMP
	}
	return protocolOther
}

// flowOwner returns the shard of a TCP packet's flow. What has no ports to tell it by is for the own engine to count.
func (s *shard) flowOwner(p *tun.Packet) *shard {
	if len(s.stack.shards) == 1 {
		return s
	}
	var ip wire.IP
	head := p.Head.Bytes()
	if wire.ParseIPSplit(head, p.Body.Len(), &ip) != wire.None || len(head) < ip.HeaderLen+4 {
		return s
	}
	ports := head[ip.HeaderLen:]
	return s.stack.shardOf(
		tcp.Endpoint{Addr: ip.Src, Port: binary.BigEndian.Uint16(ports)},
		tcp.Endpoint{Addr: ip.Dst, Port: binary.BigEndian.Uint16(ports[2:])},
	)
}
