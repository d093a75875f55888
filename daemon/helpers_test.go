package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/daemon/config"
)

// patience bounds every wait of the tests. It is long, for machines that are busy.
const patience = 20 * time.Second

// testAddress is an address of the test daemons' stacks.
const testAddress = "10.144.0.2"

// testDaemon is a daemon on a link in memory, in this process.
type testDaemon struct {
	*Daemon
	cfg  *config.Config
	stop context.CancelFunc
	done chan error
}

// startDaemon runs a daemon until the test ends. Change may alter its configuration.
func startDaemon(t testing.TB, change func(*config.Config)) *testDaemon {
	t.Helper()
	directory, err := os.MkdirTemp("", "sfd") // t.TempDir's paths can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Link = config.LinkMemory
	cfg.Socket = filepath.Join(directory, "starfishd.sock")
	cfg.SocketGroup = ""
	cfg.BufferMemory = 256 << 20
	cfg.StopTimeout = time.Second
	cfg.Engine.TimeWait = 100 * time.Millisecond
	if err := config.Parse([]byte("address: ["+testAddress+"/16, 'fd00:144::2/64']"), cfg); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	d, err := New(cfg, zap.NewNop(), zap.NewAtomicLevel())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	td := &testDaemon{Daemon: d, cfg: cfg, stop: cancel, done: make(chan error, 1)}
	go func() { td.done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := td.wait(); err != nil {
			t.Errorf("daemon: %v", err)
		}
		if n := d.network.Pool().InUse(); n != 0 {
			t.Errorf("%d bytes of buffers are in use after the end", n)
		}
		_ = os.RemoveAll(directory)
	})
	eventually(t, "the daemon to be ready", d.ready.Load)
	return td
}

// wait returns the daemon's last word.
func (d *testDaemon) wait() error {
	select {
	case err := <-d.done:
		d.done <- err
		return err
	case <-time.After(patience):
		return errors.New("it does not stop")
	}
}

// testSession is a client's gRPC connection.
type testSession struct {
	starfishv1.StarfishClient
	t    testing.TB
	grpc *grpc.ClientConn
}

// dial begins a session.
func (d *testDaemon) dial(t testing.TB) *testSession {
	t.Helper()
	cc, err := grpc.NewClient("unix:"+d.cfg.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return &testSession{StarfishClient: starfishv1.NewStarfishClient(cc), t: t, grpc: cc}
}

// end ends the session as a client that dies.
func (s *testSession) end() {
	if err := s.grpc.Close(); err != nil {
		s.t.Error(err)
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// listen opens a listener and returns its id and port.
func (s *testSession) listen() (uint64, uint32) {
	s.t.Helper()
	r, err := s.Listen(testContext(s.t), &starfishv1.ListenRequest{Local: &starfishv1.Endpoint{Address: testAddress}})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetListener().GetId(), r.GetListener().GetLocal().GetPort()
}

func connectTo(port uint32) *starfishv1.ConnectRequest {
	return &starfishv1.ConnectRequest{Remote: &starfishv1.Endpoint{Address: testAddress, Port: port}}
}

// pair opens a connection and accepts it, and returns the ids of both ends.
func (s *testSession) pair() (dialled, accepted uint64) {
	s.t.Helper()
	listenerID, port := s.listen()
	c, err := s.Connect(testContext(s.t), connectTo(port))
	if err != nil {
		s.t.Fatal(err)
	}
	a, err := s.Accept(testContext(s.t), &starfishv1.AcceptRequest{ListenerId: listenerID})
	if err != nil {
		s.t.Fatal(err)
	}
	return c.GetConnection().GetId(), a.GetConnection().GetId()
}

// attach connects the data socket of a connection.
func (s *testSession) attach(id uint64) *net.UnixConn {
	s.t.Helper()
	r, err := s.Attach(testContext(s.t), &starfishv1.AttachRequest{ConnectionId: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return claim(s.t, r.GetDataSocket())
}

// claim connects a data socket and presents its token.
func claim(t testing.TB, socket *starfishv1.DataSocket) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket.GetPath(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write([]byte(socket.GetToken())); err != nil {
		t.Fatal(err)
	}
	return c
}

// connection returns what GetConnection says.
func (s *testSession) connection(id uint64) *starfishv1.Connection {
	s.t.Helper()
	r, err := s.GetConnection(testContext(s.t), &starfishv1.GetConnectionRequest{ConnectionId: id})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetConnection()
}

// wantError checks the code and the reason of an error.
func wantError(t testing.TB, err error, code codes.Code, reason string) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code || reasonOf(err) != reason {
		t.Errorf("got %v with reason %q, want %v with reason %q", err, reasonOf(err), code, reason)
	}
}

func reasonOf(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			return info.GetReason()
		}
	}
	return ""
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func writeAll(t testing.TB, w io.Writer, data []byte) {
	t.Helper()
	if _, err := w.Write(data); err != nil {
		t.Error(err)
	}
}

func wantRead(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes arrived than were sent")
	}
}

func wantEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v; want the end of file", n, err)
	}
}

// pattern is data in which a byte at the wrong place shows.
func pattern(n int) []byte {
	data := make([]byte, n)
	state := uint32(1)
	for i := range data {
		state = state*1664525 + 1013904223
		data[i] = byte(state >> 24)
	}
	return data
}
