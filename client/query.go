package client

import (
	"context"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// listPage is how many entries Connections asks for at a time.
const listPage = 1000

// Info describes the daemon: version, device, addresses, limits.
func (c *Client) Info(ctx context.Context) (*starfishv1.GetInfoResponse, error) {
	var response *starfishv1.GetInfoResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		response, err = c.api.GetInfo(ctx, &starfishv1.GetInfoRequest{})
		return err
	})
	return response, err
}

// Stats returns the daemon's counters, in a fixed order.
func (c *Client) Stats(ctx context.Context) ([]*starfishv1.Counter, error) {
	var response *starfishv1.GetStatsResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		response, err = c.api.GetStats(ctx, &starfishv1.GetStatsRequest{})
		return err
	})
	return response.GetCounters(), err
}

// Connections returns the daemon's connections and listeners, as far as its policy shows them.
func (c *Client) Connections(ctx context.Context) ([]*starfishv1.Connection, []*starfishv1.Listener, error) {
	var connections []*starfishv1.Connection
	var listeners []*starfishv1.Listener
	request := &starfishv1.ListConnectionsRequest{PageSize: listPage}
	for {
		var response *starfishv1.ListConnectionsResponse
		err := c.call(ctx, func(ctx context.Context) (err error) {
			response, err = c.api.ListConnections(ctx, request)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		connections = append(connections, response.GetConnections()...)
		listeners = append(listeners, response.GetListeners()...)
		if request.PageToken = response.GetNextPageToken(); request.PageToken == "" {
			return connections, listeners, nil
		}
	}
}

// Connection returns what the daemon knows about a connection; also about one that ended a short while ago.
func (c *Client) Connection(ctx context.Context, id uint64) (*starfishv1.Connection, error) {
	var response *starfishv1.GetConnectionResponse
	err := c.call(ctx, func(ctx context.Context) (err error) {
		response, err = c.api.GetConnection(ctx, &starfishv1.GetConnectionRequest{ConnectionId: id})
		return err
	})
	return response.GetConnection(), err
}

// CloseConnection has a connection closed: FIN after the data that was sent. It need not be one of this client's.
func (c *Client) CloseConnection(ctx context.Context, id uint64) error {
	return c.call(ctx, func(ctx context.Context) error {
		request := &starfishv1.CloseRequest{Target: &starfishv1.CloseRequest_ConnectionId{ConnectionId: id}}
		_, err := c.api.Close(ctx, request)
		return err
	})
}

// CloseListener has a listener closed. It need not be one of this client's.
func (c *Client) CloseListener(ctx context.Context, id uint64) error {
	return c.call(ctx, func(ctx context.Context) error {
		request := &starfishv1.CloseRequest{Target: &starfishv1.CloseRequest_ListenerId{ListenerId: id}}
		_, err := c.api.Close(ctx, request)
		return err
	})
}

// Shutdown has one direction of a connection closed, or both. It need not be one of this client's.
func (c *Client) Shutdown(ctx context.Context, id uint64, how starfishv1.ShutdownHow) error {
	return c.call(ctx, func(ctx context.Context) error {
		_, err := c.api.Shutdown(ctx, &starfishv1.ShutdownRequest{ConnectionId: id, How: how})
		return err
	})
}

// SetOptions changes options of a connection; those that only matter while opening are refused. It need not be one of this
// client's.
func (c *Client) SetOptions(ctx context.Context, id uint64, options Options) error {
	msg, err := options.proto()
	if err != nil {
		return err
	}
	return c.setOptions(ctx, id, msg)
}

func (c *Client) setOptions(ctx context.Context, id uint64, msg *starfishv1.Options) error {
	return c.call(ctx, func(ctx context.Context) error {
		_, err := c.api.SetOptions(ctx, &starfishv1.SetOptionsRequest{ConnectionId: id, Options: msg})
		return err
	})
}

// Abort has a connection reset. It need not be one of this client's.
func (c *Client) Abort(ctx context.Context, id uint64) error {
	return c.call(ctx, func(ctx context.Context) error {
		_, err := c.api.Abort(ctx, &starfishv1.AbortRequest{ConnectionId: id})
		return err
	})
}
