package daemon

import (
	"context"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

const (
	// streamWindow is HTTP/2's window of one Stream, and with that the bytes that a client can send ahead of the
	// connection: more brings nothing, since a unix socket has no delay to cover.
	streamWindow = 4 << 20

	// sessionWindow is HTTP/2's window of one session: a few streams that nobody reads must not block the others.
	// Both windows have to be set: one alone leaves the other at 64 KiB.
	sessionWindow = 16 << 20

	// socketBuffer is how much is read from and written to a session's socket at a time: one large message.
	socketBuffer = 128 << 10

	// maxMessage is the largest request: the data of one Stream message, and the fields around it.
	maxMessage = maxStreamData + 4<<10

	// maxCalls bounds the calls of a session that run at the same time. Each Stream is one.
	maxCalls = 100_000

	// greetingTimeout bounds the time from connecting to the end of HTTP/2's preface.
	greetingTimeout = 10 * time.Second

	// minPing is how often clients may ask whether the daemon is there.
	minPing = 5 * time.Second
)

// newServer makes the gRPC server of a daemon, with health checks and reflection.
func newServer(d *Daemon) (*grpc.Server, *health.Server) {
	server := grpc.NewServer(
		grpc.Creds(peerCredentials{admit: d.admitSession}),
		grpc.StatsHandler(sessionTracker{d}),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(sessionWindow),
		grpc.ReadBufferSize(socketBuffer),
		grpc.WriteBufferSize(socketBuffer),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ConnectionTimeout(greetingTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	)
	starfishv1.RegisterStarfishServer(server, d)
	checks := health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, checks)
	reflection.Register(server)
	return server, checks
}

func (d *Daemon) admitSession(p peer) error {
	err := d.registry.admitSession(p)
	if err != nil {
		d.counters.refused.Add(1)
	}
	return err
}

// setServing answers health checks.
func (d *Daemon) setServing(serving bool) {
	status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = grpc_health_v1.HealthCheckResponse_SERVING
	}
	d.health.SetServingStatus("", status)
	d.health.SetServingStatus(starfishv1.Starfish_ServiceDesc.ServiceName, status)
}

// runControl serves the control socket until it is closed by runStop.
func (d *Daemon) runControl(_ context.Context, ready func()) error {
	d.setServing(false)
	ready() // the kernel has been taking clients since the socket was made
	err := d.server.Serve(d.control)
	if d.stopping.Load() && errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// runData serves the data socket until it is closed by runStop.
func (d *Daemon) runData(_ context.Context, ready func()) error {
	ready()
	return d.serveData(d.data)
}
