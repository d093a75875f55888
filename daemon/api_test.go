package daemon

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/daemon/config"
)

func TestConnectAcceptAndDescribe(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	listenerID, port := s.listen()
	connected, err := s.Connect(testContext(t), connectTo(port))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := s.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: listenerID})
	if err != nil {
		t.Fatal(err)
	}
	c, a := connected.GetConnection(), accepted.GetConnection()
	if c.GetId() == 0 || a.GetId() <= c.GetId() {
		t.Errorf("ids %d, %d do not rise", c.GetId(), a.GetId())
	}
	if c.GetRemote().GetPort() != port || c.GetLocal().GetPort() != a.GetRemote().GetPort() || a.GetListenerId() != listenerID {
		t.Errorf("the ends don't match: %v, %v", c, a)
	}
	if c.GetState() != starfishv1.ConnectionState_CONNECTION_STATE_ESTABLISHED || c.GetOwner().GetProcess() == "" {
		t.Errorf("dialled: %v", c)
	}
	full := s.connection(c.GetId())
	if full.GetInfo().GetMss() == 0 || full.GetInfo().GetRto().AsDuration() == 0 || full.GetInfo().GetAge() == nil || full.GetEnd() != nil {
		t.Errorf("described: %v", full)
	}
}

func TestListConnectionsInPages(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	want := map[uint64]bool{}
	for range 3 {
		c, a := s.pair()
		want[c], want[a] = true, true
	}
	var last uint64
	listeners, token := 0, ""
	for page := 0; ; page++ {
		r, err := s.ListConnections(testContext(t), &starfishv1.ListConnectionsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		listeners += len(r.GetListeners())
		for _, c := range r.GetConnections() {
			if c.GetId() <= last || c.GetInfo() == nil {
				t.Errorf("connection %v after %d", c, last)
			}
			last = c.GetId()
			delete(want, last)
		}
		if token = r.GetNextPageToken(); token == "" {
			break
		}
		if page > 20 {
			t.Fatal("the pages don't end")
		}
	}
	if listeners != 3 || len(want) != 0 {
		t.Errorf("%d listeners, and %d connections are missing", listeners, len(want))
	}
	_, err := s.ListConnections(testContext(t), &starfishv1.ListConnectionsRequest{PageToken: "x1"})
	wantError(t, err, codes.InvalidArgument, "EINVAL")
}

func TestOrphansAreListed(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, _ := s.pair()
	if _, err := s.Close(testContext(t), &starfishv1.CloseRequest{Target: &starfishv1.CloseRequest_ConnectionId{ConnectionId: c}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the closed connection to be listed without an owner", func() bool {
		r, err := s.ListConnections(testContext(t), &starfishv1.ListConnectionsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		list := r.GetConnections()
		return len(list) == 2 && list[1].GetId() == 0 && list[1].GetState() == starfishv1.ConnectionState_CONNECTION_STATE_FIN_WAIT_2
	})
}

func TestConnectErrors(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	for name, c := range map[string]struct {
		request *starfishv1.ConnectRequest
		code    codes.Code
		reason  string
	}{
		"nothing":       {&starfishv1.ConnectRequest{}, codes.InvalidArgument, "EINVAL"},
		"no port":       {connectTo(0), codes.InvalidArgument, "EINVAL"},
		"large port":    {connectTo(65536), codes.InvalidArgument, "EINVAL"},
		"refused":       {connectTo(1), codes.Unavailable, "ECONNREFUSED"},
		"a name":        {&starfishv1.ConnectRequest{Remote: &starfishv1.Endpoint{Address: "localhost", Port: 1}}, codes.InvalidArgument, "EINVAL"},
		"a zone":        {&starfishv1.ConnectRequest{Remote: &starfishv1.Endpoint{Address: "fe80::1%eth0", Port: 1}}, codes.InvalidArgument, "EINVAL"},
		"unreachable":   {&starfishv1.ConnectRequest{Remote: &starfishv1.Endpoint{Address: "192.0.2.1", Port: 1}}, codes.Unavailable, "ENETUNREACH"},
		"foreign local": {&starfishv1.ConnectRequest{Remote: connectTo(1).Remote, Local: &starfishv1.Endpoint{Address: "192.0.2.1"}}, codes.FailedPrecondition, "EADDRNOTAVAIL"},
		"mixed":         {&starfishv1.ConnectRequest{Remote: connectTo(1).Remote, Local: &starfishv1.Endpoint{Address: "fd00:144::2"}}, codes.InvalidArgument, "EAFNOSUPPORT"},
		"much data":     {&starfishv1.ConnectRequest{Remote: connectTo(1).Remote, FastOpenData: make([]byte, 64<<10+1)}, codes.InvalidArgument, "EINVAL"},
		"timeout":       {&starfishv1.ConnectRequest{Remote: connectTo(1).Remote, Timeout: durationpb.New(-1)}, codes.InvalidArgument, "EINVAL"},
		"options":       {&starfishv1.ConnectRequest{Remote: connectTo(1).Remote, Options: &starfishv1.Options{InitialRto: durationpb.New(time.Hour)}}, codes.InvalidArgument, "EINVAL"},
	} {
		_, err := s.Connect(testContext(t), c.request)
		t.Logf("%s: %v", name, err)
		wantError(t, err, c.code, c.reason)
	}
}

func TestListenErrors(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	_, port := s.listen()
	_, err := s.Listen(testContext(t), &starfishv1.ListenRequest{Local: &starfishv1.Endpoint{Address: testAddress, Port: port}})
	t.Log(err)
	wantError(t, err, codes.AlreadyExists, "EADDRINUSE")
	_, err = s.Listen(testContext(t), &starfishv1.ListenRequest{Local: &starfishv1.Endpoint{Address: "192.0.2.1"}})
	t.Log(err)
	wantError(t, err, codes.FailedPrecondition, "EADDRNOTAVAIL")
	_, err = s.Listen(testContext(t), &starfishv1.ListenRequest{Backlog: 1 << 30})
	wantError(t, err, codes.InvalidArgument, "EINVAL")
}

func TestListenOnEverything(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	r, err := s.Listen(testContext(t), &starfishv1.ListenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	port := r.GetListener().GetLocal().GetPort()
	for _, address := range []string{testAddress, "10.144.77.1", "fd00:144::2", "fd00:144::77"} {
		if _, err := s.Connect(testContext(t), &starfishv1.ConnectRequest{Remote: &starfishv1.Endpoint{Address: address, Port: port}}); err != nil {
			t.Error(err)
		}
	}
}

func TestCallsAboutNothing(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	ctx := testContext(t)
	calls := map[string]func() error{
		"accept":         func() error { _, err := s.Accept(ctx, &starfishv1.AcceptRequest{ListenerId: 9}); return err },
		"attach":         func() error { _, err := s.Attach(ctx, &starfishv1.AttachRequest{ConnectionId: 9}); return err },
		"shutdown":       func() error { _, err := s.Shutdown(ctx, &starfishv1.ShutdownRequest{ConnectionId: 9}); return err },
		"abort":          func() error { _, err := s.Abort(ctx, &starfishv1.AbortRequest{ConnectionId: 9}); return err },
		"set options":    func() error { _, err := s.SetOptions(ctx, &starfishv1.SetOptionsRequest{ConnectionId: 9}); return err },
		"get":            func() error { _, err := s.GetConnection(ctx, &starfishv1.GetConnectionRequest{}); return err },
		"close":          func() error { _, err := s.Close(ctx, closeConnection(9)); return err },
		"close listener": func() error { _, err := s.Close(ctx, closeListener(9)); return err },
	}
	for name, call := range calls {
		err := call()
		t.Logf("%s: %v", name, err)
		wantError(t, err, codes.NotFound, "EBADF")
	}
	_, err := s.Close(ctx, &starfishv1.CloseRequest{})
	wantError(t, err, codes.InvalidArgument, "EINVAL")
}

func closeConnection(id uint64) *starfishv1.CloseRequest {
	return &starfishv1.CloseRequest{Target: &starfishv1.CloseRequest_ConnectionId{ConnectionId: id}}
}

func closeListener(id uint64) *starfishv1.CloseRequest {
	return &starfishv1.CloseRequest{Target: &starfishv1.CloseRequest_ListenerId{ListenerId: id}}
}

func TestAbortIsRememberedOnBothSides(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	if _, err := s.Abort(testContext(t), &starfishv1.AbortRequest{ConnectionId: c}); err != nil {
		t.Fatal(err)
	}
	if end := s.connection(c).GetEnd(); end.GetReason() != "ECONNABORTED" {
		t.Errorf("the aborted end: %v", end)
	}
	eventually(t, "the reset to arrive", func() bool { return s.connection(a).GetEnd().GetReason() == "ECONNRESET" })
}

func TestCloseListenerEndsAccept(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	id, port := s.listen()
	result := make(chan error, 1)
	go func() {
		_, err := s.Accept(testContext(t), &starfishv1.AcceptRequest{ListenerId: id})
		result <- err
	}()
	time.Sleep(20 * time.Millisecond)
	if _, err := s.Close(testContext(t), closeListener(id)); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-result, codes.NotFound, "EBADF")
	_, err := s.Connect(testContext(t), connectTo(port))
	wantError(t, err, codes.Unavailable, "ECONNREFUSED")
}

func TestShutdownHalfCloses(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, a := s.pair()
	if _, err := s.Shutdown(testContext(t), &starfishv1.ShutdownRequest{ConnectionId: c}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "FIN to arrive", func() bool {
		return s.connection(a).GetState() == starfishv1.ConnectionState_CONNECTION_STATE_CLOSE_WAIT
	})
	_, err := s.Shutdown(testContext(t), &starfishv1.ShutdownRequest{ConnectionId: c, How: 77})
	wantError(t, err, codes.InvalidArgument, "EINVAL")
}

func TestSetOptions(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	c, _ := s.pair()
	size, yes := uint32(1<<20), true
	if _, err := s.SetOptions(testContext(t), &starfishv1.SetOptionsRequest{ConnectionId: c, Options: &starfishv1.Options{SendBuffer: &size, NoDelay: &yes}}); err != nil {
		t.Fatal(err)
	}
	if got := s.connection(c).GetInfo().GetSendBuffer(); got != size {
		t.Errorf("send buffer %d", got)
	}
	_, err := s.SetOptions(testContext(t), &starfishv1.SetOptionsRequest{ConnectionId: c, Options: &starfishv1.Options{NoSack: &yes}})
	wantError(t, err, codes.InvalidArgument, "EINVAL")
}

func TestInfoAndStats(t *testing.T) {
	s := startDaemon(t, nil).dial(t)
	s.pair()
	info, err := s.GetInfo(testContext(t), &starfishv1.GetInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if !info.GetReady() || info.GetDevice().GetLink() != config.LinkMemory || info.GetConnections() != 2 || info.GetSessions() != 1 ||
		len(info.GetLimits()) < 8 || info.GetPrefixes()[0] != "10.144.0.0/16" || info.GetSourceAddresses()[0] != testAddress {
		t.Errorf("info %v", info)
	}
	stats, err := s.GetStats(testContext(t), &starfishv1.GetStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	counters := map[string]uint64{}
	for _, c := range stats.GetCounters() {
		counters[c.GetName()] = c.GetValue()
	}
	if counters["TcpActiveOpens"] != 1 || counters["TcpPassiveOpens"] != 1 || counters["DaemonCurrConnections"] != 2 {
		t.Errorf("counters %v", counters)
	}
}

func TestHealthAndReflection(t *testing.T) {
	d := startDaemon(t, nil)
	s := d.dial(t)
	check := func() grpc_health_v1.HealthCheckResponse_ServingStatus {
		r, err := grpc_health_v1.NewHealthClient(s.grpc).Check(testContext(t), &grpc_health_v1.HealthCheckRequest{Service: "starfish.v1.Starfish"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus()
	}
	if got := check(); got != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health %v", got)
	}
	stream, err := grpc_reflection_v1.NewServerReflectionClient(s.grpc).ServerReflectionInfo(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	request := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, service := range answer.GetListServicesResponse().GetService() {
		found = found || service.GetName() == "starfish.v1.Starfish"
	}
	if !found {
		t.Errorf("reflection lists %v", answer)
	}
}
