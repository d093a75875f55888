package gvisor

import (
	"fmt"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/MUCZ/Starfish/test/differential"
)

const (
	nic       = 1
	mtu       = 1500
	queueSize = 256
	stepTime  = 10 * time.Millisecond
)

// Netstack is gVisor's TCP, with a stack for each lane.
type Netstack struct {
	lanes []*lane
}

// Name is what leeways call it.
func (*Netstack) Name() string { return "gvisor" }

// Open makes a stack for each lane.
func (n *Netstack) Open(places []differential.Place) ([]differential.Lane, error) {
	n.lanes = n.lanes[:0]
	lanes := make([]differential.Lane, 0, len(places))
	for _, p := range places {
		l, err := newLane(p)
		if err != nil {
			return nil, err
		}
		n.lanes = append(n.lanes, l)
		lanes = append(lanes, l)
	}
	return lanes, nil
}

// Settle waits until all lanes are quiet.
func (n *Netstack) Settle() error {
	if err := waitIdle(); err != nil {
		return err
	}
	for _, l := range n.lanes {
		l.clock.advance(stepTime)
	}
	return nil
}

func newLane(p differential.Place) (*lane, error) {
	l := &lane{place: p, clock: &clock{}, link: channel.New(queueSize, mtu, "")}
	l.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
		Clock:              l.clock,
	})
	if err := l.stack.CreateNIC(nic, l.link); err != nil {
		return nil, fmt.Errorf("make a device: %v", err)
	}
	prefix := netip.MustParsePrefix(differential.SubjectNet)
	address := tcpip.AddrFrom4(prefix.Addr().As4()).WithPrefix()
	address.PrefixLen = prefix.Bits()
	err := l.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: address}, stack.AddressProperties{})
	if err != nil {
		return nil, fmt.Errorf("add the address: %v", err)
	}
	l.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	sack, unlimited := tcpip.TCPSACKEnabled(true), stack.TCPInvalidRateLimitOption(0)
	if err := l.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return nil, fmt.Errorf("enable SACK: %v", err)
	}
	if err := l.stack.SetOption(unlimited); err != nil {
		return nil, fmt.Errorf("lift the limit of replies: %v", err)
	}
	return l, nil
}

func payload(packet []byte) *stack.PacketBuffer {
	return stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
}
