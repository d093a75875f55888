package stack

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

func BenchmarkSend(b *testing.B) {
	benchmarks := map[string]func(b *testing.B) (*Stack, *Stack){
		"internal": func(b *testing.B) (*Stack, *Stack) { s := startStack(b, Config{}); return s, s },
		"memory": func(b *testing.B) (*Stack, *Stack) {
			return startPair(b, 65535, tun.Offload{Checksum: true, TSO4: true, TSO6: true})
		},
		"memory1500": func(b *testing.B) (*Stack, *Stack) {
			return startPair(b, 1500, tun.Offload{Checksum: true, TSO4: true, TSO6: true})
		},
	}
	for name, start := range benchmarks {
		b.Run(name, func(b *testing.B) {
			x, y := start(b)
			client, server := connect(b, x, y, nil)
			defer client.Close()
			defer server.Close()
			benchmarkTransfer(b, client, server)
		})
	}
}

func benchmarkTransfer(b *testing.B, w io.Writer, r io.Reader) {
	const size = 256 << 10
	b.SetBytes(size)
	b.ReportAllocs()
	done := make(chan error)
	go func() {
		buf := make([]byte, size)
		var err error
		for i := 0; i < b.N && err == nil; i++ {
			_, err = io.ReadFull(r, buf)
		}
		done <- err
	}()
	buf := make([]byte, size)
	b.ResetTimer()
	start := cpuTime()
	for range b.N {
		if _, err := w.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	// Of both ends, and of the kernel's part: what a busy machine does not blur.
	b.ReportMetric((cpuTime()-start).Seconds()/float64(b.N)/size*(1<<30), "cpu-s/GiB")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPingPong(b *testing.B) {
	s := startStack(b, Config{})
	client, server := connect(b, s, s, &tcp.Options{NoDelay: true})
	defer client.Close()
	defer server.Close()
	benchmarkPingPong(b, client, server)
}

func benchmarkPingPong(b *testing.B, client, server net.Conn) {
	const size = 64
	b.ReportAllocs()
	done := make(chan error)
	go func() {
		buf := make([]byte, size)
		var err error
		for i := 0; i < b.N && err == nil; i++ {
			if _, err = io.ReadFull(server, buf); err == nil {
				_, err = server.Write(buf)
			}
		}
		done <- err
	}()
	buf := make([]byte, size)
	start := cpuTime()
	for range b.N {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-us/op")
}

// startBenchLab has the kernel's TCP send without pacing: where BBR is the default, its timers take up to four times as
// much of the processor as everything else, the more so in a virtual machine.
func startBenchLab(b *testing.B) *lab {
	lab := startLab(b, tun.Config{Offload: tun.On})
	lab.Run(b, "echo reno > /proc/sys/net/ipv4/tcp_congestion_control")
	return lab
}

// BenchmarkDevice moves bytes between a Stack on a TUN device and the kernel's TCP, and for comparison between two of the
// kernel's over loopback.
func BenchmarkDevice(b *testing.B) {
	lab := startBenchLab(b)
	l, err := lab.Listen("0.0.0.0:80")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	pairs := map[string]func() (net.Conn, error){
		"starfish": func() (net.Conn, error) { return lab.stack.Dial("tcp", "10.144.0.1:80") },
		"kernel":   func() (net.Conn, error) { return lab.Dial("127.0.0.1:80") },
	}
	for _, name := range []string{"starfish", "kernel"} {
		conn, err := pairs[name]()
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		peer, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer peer.Close()
		b.Run(name+"/send", func(b *testing.B) { benchmarkTransfer(b, conn, peer) })
		b.Run(name+"/receive", func(b *testing.B) { benchmarkTransfer(b, peer, conn) })
		b.Run(name+"/pingpong", func(b *testing.B) { benchmarkPingPong(b, conn, peer) })
	}
}

func BenchmarkAttach(b *testing.B) {
	lab := startBenchLab(b)
	l, err := lab.Listen("0.0.0.0:80")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conn, err := lab.stack.Dial("tcp", "10.144.0.1:80")
	if err != nil {
		b.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	user, _ := attach(b, conn.(*Conn))
	b.Run("send", func(b *testing.B) { benchmarkTransfer(b, user, peer) })
	b.Run("receive", func(b *testing.B) { benchmarkTransfer(b, peer, user) })
	b.Run("pingpong", func(b *testing.B) { benchmarkPingPong(b, user, peer) })
}
