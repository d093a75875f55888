package client

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// resolveTransport turns Auto into what has worked so far.
func (c *Client) resolveTransport(t Transport) Transport {
	if t == Auto && c.noSockets.Load() {
		return GRPCStream
	}
	return t
}

// streamConn opens a connection as a Stream RPC.
func (c *Client) streamConn(ctx context.Context, open *starfishv1.StreamOpen) (*Conn, error) {
	s, info, err := c.openStream(ctx, open)
	if err != nil {
		return nil, err
	}
	conn := newConn(c, info)
	conn.edge = s
	return conn, nil
}

// attach connects to the data socket of a connection that the daemon has opened. If that fails the connection is
// aborted, or streamed instead where the way was not prescribed.
func (c *Client) attach(ctx context.Context, info *starfishv1.Connection, at *starfishv1.DataSocket, t Transport) (*Conn, error) {
	conn := newConn(c, info)
	edge, err := dialDataSocket(ctx, c.socket, at, conn.whyEnded)
	if err == nil {
		conn.edge = edge
		return conn, nil
	}
	if t == Auto && ctx.Err() == nil {
		open := &starfishv1.StreamOpen{From: &starfishv1.StreamOpen_ConnectionId{ConnectionId: info.GetId()}}
		if streamed, streamErr := c.streamConn(c.inSession(ctx, conn.session), open); streamErr == nil {
			if outOfReach(err) {
				c.noSockets.Store(true)
			}
			return streamed, nil
		}
	}
	conn.abandon()
	if ctx.Err() != nil {
		return nil, fromContext(ctx)
	}
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return nil, cause(err) // temporary: http.Server's Accept tries again
	}
	return nil, &UnreachableError{Socket: at.GetPath(), Err: err}
}

// abandon aborts a connection that nobody will use. The session owns it until then, so that an error here costs no more
// than the time until the session ends.
func (c *Conn) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), reconnectLimit)
	defer cancel()
	_ = c.client.Abort(c.client.inSession(ctx, c.session), c.id)
}

// outOfReach reports whether no data socket can be reached from here, whatever the connection: other errors, such as
// too many open files, pass.
func outOfReach(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ECONNREFUSED)
}

const (
	// endRetries and endRetryDelay bound the wait for the record of a connection whose socket was closed already.
	endRetries    = 20
	endRetryDelay = 5 * time.Millisecond
)

// whyEnded asks the daemon why the connection ended; nil means in order.
func (c *Conn) whyEnded(ctx context.Context) error {
	for retry := 0; ; retry++ {
		info, err := c.Status(ctx)
		if err != nil {
			return c.unknownEnd(err)
		}
		if end := info.GetEnd(); end != nil {
			return endError(end)
		}
		if retry == endRetries || closedHere(info.GetState()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(endRetryDelay):
		}
	}
}

// unknownEnd is the end of a connection that the daemon can't explain any more: a reset.
func (c *Conn) unknownEnd(err error) error {
	var unreachable *UnreachableError
	var lost *lostError
	if errors.As(err, &unreachable) || errors.As(err, &lost) {
		return &lostError{c.client.socket}
	}
	return syscall.ECONNRESET
}

// closedHere reports whether our FIN was sent, and the connection still lives.
func closedHere(state starfishv1.ConnectionState) bool {
	switch state {
	case starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_1, starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_2,
		starfishv1.ConnectionState_CONNECTION_STATE_CLOSING, starfishv1.ConnectionState_CONNECTION_STATE_LAST_ACK,
		starfishv1.ConnectionState_CONNECTION_STATE_TIME_WAIT:
		return true
	default:
		return false
	}
}

func endError(end *starfishv1.ConnectionEnd) error {
	if end.GetReason() == "" {
		return nil
	}
	errno, ok := errnoByReason[end.GetReason()]
	if !ok {
		errno = syscall.ECONNRESET
	}
	return &Error{Errno: errno, Message: end.GetMessage()}
}
