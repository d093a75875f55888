package client

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// fakeDaemon is the API over the kernel's own TCP on loopback: a second implementation of the contract, against which
// the client is tested without a stack, and which can be made to fail.
type fakeDaemon struct {
	starfishv1.UnimplementedStarfishServer
	server     *grpc.Server
	socket     string
	dataSocket net.Listener
	dataPath   string // as clients are told

	mu        sync.Mutex
	nextID    uint64
	conns     map[uint64]*fakeConn
	listeners map[uint64]*net.TCPListener
	tokens    map[string]*fakeConn
	connects  int // Connect RPCs
	queries   int // GetConnection RPCs
	options   *starfishv1.Options
}

type fakeConn struct {
	*net.TCPConn
	id    uint64
	mu    sync.Mutex
	ended bool
	end   string
}

func (c *fakeConn) finish(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.ended, c.end = true, reason
	}
}

func startFake(t testing.TB) *fakeDaemon {
	t.Helper()
	dir := t.TempDir()
	f := &fakeDaemon{
		socket: filepath.Join(dir, "s"), dataPath: filepath.Join(dir, "d"),
		conns: map[uint64]*fakeConn{}, listeners: map[uint64]*net.TCPListener{}, tokens: map[string]*fakeConn{},
	}
	f.serve(t)
	t.Cleanup(f.stop)
	return f
}

func (f *fakeDaemon) serve(t testing.TB) {
	t.Helper()
	control, err := net.Listen("unix", f.socket)
	if err != nil {
		t.Fatal(err)
	}
	if f.dataSocket, err = net.Listen("unix", filepath.Join(filepath.Dir(f.socket), "d")); err != nil {
		t.Fatal(err)
	}
	f.server = grpc.NewServer(grpc.InitialWindowSize(streamWindow), grpc.InitialConnWindowSize(sessionWindow))
	starfishv1.RegisterStarfishServer(f.server, f)
	go func() { _ = f.server.Serve(control) }()
	go f.acceptData(f.dataSocket)
}

func (f *fakeDaemon) stop() {
	f.server.Stop()
	_ = f.dataSocket.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	for _, l := range f.listeners {
		_ = l.Close()
	}
}

// forget makes it a daemon that was just started: ids begin anew.
func (f *fakeDaemon) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextID = 0
	clear(f.conns)
	clear(f.listeners)
	clear(f.tokens)
}

func failWith(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	for reason, known := range errnoByReason {
		if known == errno {
			return failure(codes.Aborted, reason, errno.Error())
		}
	}
	return err
}

func failure(code codes.Code, reason, message string) error {
	st, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain})
	if err != nil {
		return err
	}
	return st.Err()
}

func (f *fakeDaemon) add(c net.Conn) *fakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextID++
	conn := &fakeConn{TCPConn: c.(*net.TCPConn), id: f.nextID}
	f.conns[conn.id] = conn
	return conn
}

func (f *fakeDaemon) conn(id uint64) (*fakeConn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.conns[id]; c != nil {
		return c, nil
	}
	return nil, failure(codes.NotFound, "EBADF", "no such connection")
}

func toEndpoint(a net.Addr) *starfishv1.Endpoint { return endpoint(a.(*net.TCPAddr).AddrPort()) }

func (c *fakeConn) info() *starfishv1.Connection {
	return &starfishv1.Connection{Id: c.id, Local: toEndpoint(c.LocalAddr()), Remote: toEndpoint(c.RemoteAddr())}
}

func (f *fakeDaemon) dial(ctx context.Context, r *starfishv1.ConnectRequest) (*fakeConn, error) {
	f.mu.Lock()
	f.connects++
	f.options = r.GetOptions()
	f.mu.Unlock()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", tcpAddr(r.GetRemote()).String())
	if err != nil {
		return nil, failWith(err)
	}
	return f.add(c), nil
}

func (f *fakeDaemon) Connect(ctx context.Context, r *starfishv1.ConnectRequest) (*starfishv1.ConnectResponse, error) {
	c, err := f.dial(ctx, r)
	if err != nil {
		return nil, err
	}
	return &starfishv1.ConnectResponse{Connection: c.info(), DataSocket: f.token(c)}, nil
}

func (f *fakeDaemon) Listen(_ context.Context, r *starfishv1.ListenRequest) (*starfishv1.ListenResponse, error) {
	l, err := net.ListenTCP("tcp", tcpAddr(r.GetLocal()))
	if err != nil {
		return nil, failWith(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.nextID++
	f.listeners[f.nextID] = l
	return &starfishv1.ListenResponse{Listener: &starfishv1.Listener{Id: f.nextID, Local: toEndpoint(l.Addr())}}, nil
}

func (f *fakeDaemon) accept(id uint64) (*fakeConn, error) {
	f.mu.Lock()
	l := f.listeners[id]
	f.mu.Unlock()
	if l == nil {
		return nil, failure(codes.NotFound, "EBADF", "no such listener")
	}
	c, err := l.Accept()
	if err != nil {
		return nil, failure(codes.NotFound, "EBADF", "listener was closed")
	}
	return f.add(c), nil
}

func (f *fakeDaemon) Accept(_ context.Context, r *starfishv1.AcceptRequest) (*starfishv1.AcceptResponse, error) {
	c, err := f.accept(r.GetListenerId())
	if err != nil {
		return nil, err
	}
	return &starfishv1.AcceptResponse{Connection: c.info(), DataSocket: f.token(c)}, nil
}

func (f *fakeDaemon) Close(_ context.Context, r *starfishv1.CloseRequest) (*starfishv1.CloseResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l := f.listeners[r.GetListenerId()]; l != nil {
		delete(f.listeners, r.GetListenerId())
		return &starfishv1.CloseResponse{}, l.Close()
	}
	if c := f.conns[r.GetConnectionId()]; c != nil {
		return &starfishv1.CloseResponse{}, c.Close()
	}
	return nil, failure(codes.NotFound, "EBADF", "nothing of that id")
}

func (f *fakeDaemon) Abort(_ context.Context, r *starfishv1.AbortRequest) (*starfishv1.AbortResponse, error) {
	c, err := f.conn(r.GetConnectionId())
	if err != nil {
		return nil, err
	}
	_ = c.SetLinger(0)
	return &starfishv1.AbortResponse{}, c.TCPConn.Close()
}

func (f *fakeDaemon) GetConnection(_ context.Context, r *starfishv1.GetConnectionRequest) (*starfishv1.GetConnectionResponse, error) {
	f.mu.Lock()
	f.queries++
	f.mu.Unlock()
	c, err := f.conn(r.GetConnectionId())
	if err != nil {
		return nil, err
	}
	info := c.info()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		info.End = &starfishv1.ConnectionEnd{Reason: c.end}
	}
	return &starfishv1.GetConnectionResponse{Connection: info}, nil
}

func (f *fakeDaemon) token(c *fakeConn) *starfishv1.DataSocket {
	var raw [tokenSize / 2]byte
	_, _ = rand.Read(raw[:])
	token := hex.EncodeToString(raw[:])
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tokens[token] = c
	return &starfishv1.DataSocket{Path: f.dataPath, Token: token}
}

func (f *fakeDaemon) acceptData(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go f.carry(conn.(*net.UnixConn))
	}
}

// carry moves bytes between a data socket and its connection, and ends it as the contract says.
func (f *fakeDaemon) carry(data *net.UnixConn) {
	defer data.Close()
	var token [tokenSize]byte
	if _, err := io.ReadFull(data, token[:]); err != nil {
		return
	}
	f.mu.Lock()
	c := f.tokens[string(token[:])]
	delete(f.tokens, string(token[:]))
	f.mu.Unlock()
	if c == nil {
		return
	}
	up := make(chan error, 1)
	go func() {
		_, err := io.Copy(onlyWriter{c.TCPConn}, onlyReader{data})
		if err == nil {
			err = c.CloseWrite()
		}
		up <- err
	}()
	_, err := io.Copy(onlyWriter{data}, onlyReader{c.TCPConn})
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		c.finish("ECONNRESET")
		_ = c.TCPConn.Close()
		return
	case err == nil:
		_ = data.CloseWrite()
	}
	if err == nil {
		<-up
	}
	c.finish("")
	_ = c.TCPConn.Close()
}

type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

func (f *fakeDaemon) Stream(rpc grpc.BidiStreamingServer[starfishv1.StreamRequest, starfishv1.StreamResponse]) error {
	first, err := rpc.Recv()
	if err != nil {
		return err
	}
	var c *fakeConn
	switch from := first.GetOpen().GetFrom().(type) {
	case *starfishv1.StreamOpen_Connect:
		c, err = f.dial(rpc.Context(), from.Connect)
	case *starfishv1.StreamOpen_Accept:
		c, err = f.accept(from.Accept.GetListenerId())
	case *starfishv1.StreamOpen_ConnectionId:
		c, err = f.conn(from.ConnectionId)
	}
	if err != nil {
		return err
	}
	if err := rpc.Send(&starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Opened{Opened: c.info()}}); err != nil {
		return err
	}
	up := make(chan error, 1)
	go func() { up <- f.streamUp(rpc, c) }()
	down := make(chan error, 1)
	go func() { down <- f.streamDown(rpc, c) }()
	for range 2 {
		select {
		case err = <-up:
		case err = <-down:
		}
		if errors.Is(err, errLetGo) {
			return nil
		}
		if err != nil {
			_ = c.SetLinger(0)
			_ = c.TCPConn.Close()
			return failWith(err)
		}
	}
	return c.TCPConn.Close()
}

var errLetGo = errors.New("the client let go")

func (f *fakeDaemon) streamUp(rpc grpc.BidiStreamingServer[starfishv1.StreamRequest, starfishv1.StreamResponse], c *fakeConn) error {
	for {
		request, err := rpc.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return c.CloseWrite()
		case err != nil:
			return err
		case request.GetClose() != nil:
			_ = c.TCPConn.Close()
			return errLetGo
		}
		if _, err := c.Write(request.GetData()); err != nil {
			return err
		}
	}
}

func (f *fakeDaemon) streamDown(rpc grpc.BidiStreamingServer[starfishv1.StreamRequest, starfishv1.StreamResponse], c *fakeConn) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if errors.Is(err, io.EOF) {
			return rpc.Send(&starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Eof{Eof: &starfishv1.StreamEof{}}})
		}
		if errors.Is(err, net.ErrClosed) {
			return nil // the other half says how it ends
		}
		if err != nil {
			return err
		}
		if err := rpc.Send(&starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Data{Data: buf[:n]}}); err != nil {
			return err
		}
	}
}
