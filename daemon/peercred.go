package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
)

// peer is who is at the other end of a unix socket, as the kernel says (SO_PEERCRED).
type peer struct {
	uid, gid, pid uint32
}

// root may act on everybody's connections.
func (p peer) root() bool { return p.uid == 0 }

// AuthType names the mechanism to gRPC.
func (peer) AuthType() string { return "SO_PEERCRED" }

// peerOf asks the kernel who connected.
func peerOf(conn syscall.Conn) (peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return peer{}, err
	}
	if credErr != nil {
		return peer{}, fmt.Errorf("SO_PEERCRED: %w", credErr)
	}
	return peer{uid: cred.Uid, gid: cred.Gid, pid: uint32(cred.Pid)}, nil
}

// peerCredentials authenticate clients by SO_PEERCRED. Nothing is encrypted: bytes don't leave the kernel.
type peerCredentials struct {
	// admit refuses a client, before gRPC spends anything on it.
	admit func(peer) error
}

func (c peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not a socket", conn)
	}
	p, err := peerOf(socket)
	if err != nil {
		return nil, nil, err
	}
	if err := c.admit(p); err != nil {
		return nil, nil, err
	}
	return conn, p, nil
}

var errServerOnly = errors.New("these credentials are for servers")

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errServerOnly
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

func (peerCredentials) OverrideServerName(string) error { return errServerOnly }
