// Command bench measures Starfish beside the kernel's own TCP, in one run, on one machine.
//
// It makes network namespaces of its own, which end with it:
//
//	namespace "peer"                                   namespace "local"
//	┌───────────────────────────────────────────────┐  ┌────────────────┐
//	│ peer: kernel sockets, the same for every way ─┼veth─ kernel worker │
//	│   │ TUN            │ TUN                      │  └────────────────┘
//	│ in-process worker  daemon ─ data socket worker│
//	│                           ─ gRPC worker       │
//	└───────────────────────────────────────────────┘
//
// A TUN device takes the place of the veth pair and of the kernel's TCP behind it. Each box is a process of its own, and
// every worker runs the same loops on its net.Conn. The processor time of all processes that take part is counted.
//
// "bench goodput" measures what both get of a bad path, alone and side by side:
//
//	namespace of the senders                 relay               namespace "peer"
//	┌─────────────────────────────────┐   ┌───────────┐          ┌──────────────┐
//	│ kernel worker ──────────────┐   │   │ rate      │          │ peer: counts │
//	│                           route ─ TUN queue     TUN ────── │ what arrives │
//	│ in-process worker ── TUN ───┘   │   │ loss, …   │          └──────────────┘
//	└─────────────────────────────────┘   └───────────┘
//
// What both send is cut to packets before it comes to the relay, so that it loses packets of both, not super-segments.
// docs/goodput.md says how it is measured and what it has shown.
package main
