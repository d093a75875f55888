// Package packetdrill runs scripts in the packetdrill language against the engine, under a virtual clock.
//
// A script says which system calls a program makes, which packets its peer sends, and which packets the engine has to
// answer with, each at its time:
//
//	0    socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
//	+0   bind(3, ..., ...) = 0
//	+0   listen(3, 1) = 0
//	+0   < S 0:0(0) win 32792 <mss 1460>
//	+0   > S. 0:0(0) ack 1 <mss 1460>
//	+.1  < . 1:1(0) ack 1 win 257
//	+0   accept(3, ..., ...) = 4
//
// Parse reads a script; Run plays it and returns nil or a *Failure, whose Cause says what kind of failure it is. Nobody
// sleeps: the clock jumps from one deadline or event to the next.
package packetdrill
