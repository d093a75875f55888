package client

import (
	"context"
	"syscall"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// call makes an RPC about this connection.
func (c *Conn) call(ctx context.Context, rpc func(ctx context.Context) error) error {
	return c.client.call(c.client.inSession(ctx, c.session), rpc)
}

// Status returns what the daemon knows about the connection, also after it ended.
func (c *Conn) Status(ctx context.Context) (*starfishv1.Connection, error) {
	var info *starfishv1.Connection
	err := c.call(ctx, func(ctx context.Context) error {
		response, err := c.client.api.GetConnection(ctx, &starfishv1.GetConnectionRequest{ConnectionId: c.id})
		info = response.GetConnection()
		return err
	})
	return info, err
}

// SetOptions changes the options that differ from zero; those that only matter while opening are refused.
func (c *Conn) SetOptions(ctx context.Context, options Options) error {
	msg, err := options.proto()
	if err != nil {
		return c.opError("set", err)
	}
	return c.setOptions(ctx, msg)
}

// SetNoDelay switches Nagle's algorithm off or on again, as net.TCPConn's method does.
func (c *Conn) SetNoDelay(noDelay bool) error {
	return c.setOptions(context.Background(), &starfishv1.Options{NoDelay: &noDelay})
}

// SetCork holds partial segments back, or lets them go again.
func (c *Conn) SetCork(cork bool) error {
	return c.setOptions(context.Background(), &starfishv1.Options{Cork: &cork})
}

func (c *Conn) setOptions(ctx context.Context, msg *starfishv1.Options) error {
	return c.opError("set", c.client.setOptions(c.client.inSession(ctx, c.session), c.id, msg))
}

// Abort ends the connection with a reset (RFC 9293 §3.10.5) instead of FIN; what was not delivered yet is lost.
func (c *Conn) Abort() error {
	ctx, cancel := context.WithTimeout(context.Background(), reconnectLimit)
	defer cancel()
	abortErr := c.client.Abort(c.client.inSession(ctx, c.session), c.id)
	if err := c.edge.Close(); err != nil {
		return c.opError("abort", err)
	}
	if hasErrno(abortErr, syscall.EBADF) {
		return nil // it has ended already
	}
	return c.opError("abort", abortErr)
}
