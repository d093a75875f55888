package main

import (
	"errors"
	"fmt"
	"net"
)

// rolePeer is the process at the other end of every connection.
const rolePeer = "peer"

// The ports of the peer's services.
const (
	sinkPort   = 5001 // reads until the end
	sourcePort = 5002 // writes until nobody reads
	echoPort   = 5003
	endPort    = 5010 // ends at once
	// endPorts are many, because a connection's ports stay in TIME-WAIT for a minute: 28,000 of one client to each.
	endPorts = 32
	// goodputPort is that of the first flow whose goodput is counted; the others follow.
	goodputPort = 5050
)

// bufferSize is what every program here reads and writes at a time.
const bufferSize = 256 << 10

// peer serves with kernel sockets.
type peer struct {
	listeners []net.Listener
	flows     [maxFlows]*net.TCPListener // that goodput is counted of
}

func newPeer(s *setup) (service, error) {
	if err := setCongestionControl(s.Kernel); err != nil {
		return nil, err
	}
	if s.Link.Device != "" {
		if err := errors.Join(s.Link.configure(), tuneKernel()); err != nil {
			return nil, err
		}
	}
	p := new(peer)
	services := map[int]func(net.Conn){sinkPort: sink, sourcePort: source, echoPort: echo}
	for i := range endPorts {
		services[endPort+i] = end
	}
	for port, serve := range services {
		l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.listeners = append(p.listeners, l)
		go accept(l, serve)
	}
	for i := range p.flows {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: goodputPort + i})
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.listeners = append(p.listeners, l)
		p.flows[i] = l
	}
	return p, nil
}

func (p *peer) run(l *load) (map[string]float64, error) {
	if l.Work != workGoodput {
		return nil, fmt.Errorf("the peer serves; it has no work %q of its own", l.Work)
	}
	return p.countGoodput(l)
}

func (p *peer) close() error {
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // it is closed
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

func end(net.Conn) {}

func sink(c net.Conn) {
	buf := make([]byte, bufferSize)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

func source(c net.Conn) {
	buf := make([]byte, bufferSize)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

func echo(c net.Conn) {
	var b [1]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
		if _, err := c.Write(b[:]); err != nil {
			return
		}
	}
}
