// Package stack is the shell around the TCP engine: it joins core/tcp to a device, to the clock and to its users.
//
// A program that embeds it makes a Stack and then dials and listens as it would with package net:
//
//	s, err := stack.New(stack.Config{Device: device, Addresses: prefixes})
//	conn, err := s.Dial("tcp", "10.0.0.1:80")
//	listener, err := s.Listen("tcp", ":8080")
//
// A Stack has one shard for each queue of its device. A shard is one goroutine in an epoll loop; it alone touches its
// engine, its queue and the sockets attached to its connections. Users reach it in two ways: commands, which are
// answered, and notes, which say that a connection's user has done something worth a look. There is no goroutine for a
// connection.
//
// Packets between two addresses that the Stack owns take the internal link from engine to engine and never cross the
// device.
package stack
