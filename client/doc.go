// Package client opens, accepts and uses TCP connections of a Starfish daemon, as package net does those of the kernel.
//
//	d := client.Dialer{}
//	conn, err := d.Dial("tcp", "192.0.2.1:80")
//
// A [Conn] is a net.Conn and a [Listener] a net.Listener: http.Transport, http.Server and whatever else takes those
// run on them unchanged. Errors are those of package net too: *net.OpError around a syscall.Errno, io.EOF after the
// peer's FIN, net.ErrClosed after a local Close, os.ErrDeadlineExceeded after a deadline.
//
// The bytes of a connection travel through a data socket of its own, or inside a gRPC stream; see [Transport].
// Everything a process opened through the daemon ends with the process, as it would in the kernel.
package client
