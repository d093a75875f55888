package main

import (
	"net/netip"
	"time"
)

// The bench process and its children talk in lines of JSON: an order on the child's standard input, a report on its
// standard output.

// order is what a child is told. The first one sets it up, the others are loads for a worker.
type order struct {
	Setup *setup `json:",omitempty"`
	Load  *load  `json:",omitempty"`
}

// setup is what a child needs to know before it starts.
type setup struct {
	Way     string     // of a worker
	Link    link       // that the child opens or configures; zero for none
	Socket  string     // the daemon's
	Profile string     // file for a CPU profile, empty for none
	Kernel  string     // congestion control of the kernel's TCP where the child runs
	Peer    netip.Addr // that a worker's loads go to
}

// link is a device and the addresses at its ends.
type link struct {
	Device string
	MTU    int
	Local  netip.Prefix // the worker's or the stack's
	Peer   netip.Prefix // the peer's
	Onward bool         // the way to everything else
}

// load is one piece of work to measure.
type load struct {
	Work        string
	Connections int
	Duration    time.Duration
	Processes   []int // whose processor time counts

	// Of workGoodput only:
	Congestion string        // of the connections; empty for the default
	First      int           // which flow of all the worker's first connection is
	Stagger    time.Duration // between the beginnings of flows
	WarmUp     time.Duration // from the beginning of the last flow until the peer counts
	Samples    string        // file for what the flows look like over time, empty for none
}

// report answers an order.
type report struct {
	Error   string             `json:",omitempty"`
	Figures map[string]float64 `json:",omitempty"` // by name of metric
}
