// Package daemon is starfishd: Starfish's stack behind the API of package starfishv1.
//
// A gRPC connection is a session, and a session owns what was opened through it. Policy, limits and the life of ids are
// kept here; TCP itself is in package stack. Nothing in here is on the path of packets, and of payload only for the
// Stream method: a data socket's bytes go straight between the client's descriptor and the stack's shard.
package daemon
