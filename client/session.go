package client

import (
	"context"

	"google.golang.org/grpc/credentials"
)

// sessionKey is where a context carries the number of the session that an RPC belongs to.
type sessionKey struct{}

// inSession returns a context whose RPCs reach the session of that number or nothing. Ids are good within a session: once
// the daemon was restarted, the same id is something else, maybe somebody else's.
func (c *Client) inSession(ctx context.Context, session uint64) context.Context {
	return context.WithValue(ctx, sessionKey{}, session)
}

// lost reports whether the session that the context names is over.
func (c *Client) lost(ctx context.Context) bool {
	session, ok := ctx.Value(sessionKey{}).(uint64)
	return ok && session != c.sessions.Load()
}

// sessionGuard stops an RPC of a former session. It stands in for credentials because gRPC asks those when it has
// chosen the connection: a look before the call would miss the reconnect that gRPC makes within the call.
type sessionGuard struct{ client *Client }

var _ credentials.PerRPCCredentials = sessionGuard{}

// GetRequestMetadata has no metadata to give; its error keeps the RPC from being sent.
func (g sessionGuard) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	if g.client.lost(ctx) {
		return nil, &lostError{g.client.socket}
	}
	return nil, nil
}

// RequireTransportSecurity is false: the control socket is a unix socket.
func (sessionGuard) RequireTransportSecurity() bool { return false }
