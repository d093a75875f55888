package daemon

import (
	"context"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// Shutdown implements the API.
func (d *Daemon) Shutdown(ctx context.Context, request *starfishv1.ShutdownRequest) (*starfishv1.ShutdownResponse, error) {
	c, err := d.subject(ctx, "shutdown", request.GetConnectionId())
	if err != nil {
		return nil, err
	}
	switch request.GetHow() {
	case starfishv1.ShutdownHow_SHUTDOWN_HOW_UNSPECIFIED, starfishv1.ShutdownHow_SHUTDOWN_HOW_WRITE:
		err = c.conn.CloseWrite()
	case starfishv1.ShutdownHow_SHUTDOWN_HOW_READ:
		err = c.conn.CloseRead()
	case starfishv1.ShutdownHow_SHUTDOWN_HOW_BOTH:
		if err = c.conn.CloseWrite(); err == nil {
			err = c.conn.CloseRead()
		}
	default:
		return nil, invalid("shutdown", "unknown direction %d", request.GetHow())
	}
	if err != nil {
		return nil, failed("shutdown", connectionName(c.id), err)
	}
	return &starfishv1.ShutdownResponse{}, nil
}

// Close implements the API.
func (d *Daemon) Close(ctx context.Context, request *starfishv1.CloseRequest) (*starfishv1.CloseResponse, error) {
	switch target := request.GetTarget().(type) {
	case *starfishv1.CloseRequest_ConnectionId:
		c, err := d.subject(ctx, "close", target.ConnectionId)
		if err != nil {
			return nil, err
		}
		d.closeConnection(c)
	case *starfishv1.CloseRequest_ListenerId:
		s, err := sessionOf(ctx)
		if err != nil {
			return nil, err
		}
		l, err := d.findListener("close", s, target.ListenerId)
		if err != nil {
			return nil, err
		}
		d.closeListener(l)
	default:
		return nil, invalid("close", "neither a connection nor a listener is named")
	}
	return &starfishv1.CloseResponse{}, nil
}

// Abort implements the API.
func (d *Daemon) Abort(ctx context.Context, request *starfishv1.AbortRequest) (*starfishv1.AbortResponse, error) {
	c, err := d.subject(ctx, "abort", request.GetConnectionId())
	if err != nil {
		return nil, err
	}
	d.abort(c)
	return &starfishv1.AbortResponse{}, nil
}

// SetOptions implements the API.
func (d *Daemon) SetOptions(ctx context.Context, request *starfishv1.SetOptionsRequest) (*starfishv1.SetOptionsResponse, error) {
	c, err := d.subject(ctx, "set options", request.GetConnectionId())
	if err != nil {
		return nil, err
	}
	if name := onlyWhileOpening(request.GetOptions()); name != "" {
		return nil, invalid("set options", "%s can be set only when the connection is opened", name)
	}
	c.mu.Lock()
	defer c.mu.Unlock() // two callers' options are merged, one after the other
	options, err := overlay("set options", c.options, request.GetOptions())
	if err != nil {
		return nil, err
	}
	if err := c.conn.SetOptions(&options); err != nil {
		return nil, failed("set options", connectionName(c.id), err)
	}
	c.options = options
	return &starfishv1.SetOptionsResponse{}, nil
}

// subject returns the connection that a call is about.
func (d *Daemon) subject(ctx context.Context, op string, id uint64) (*connection, error) {
	s, err := sessionOf(ctx)
	if err != nil {
		return nil, err
	}
	return d.findConnection(op, s, id)
}
