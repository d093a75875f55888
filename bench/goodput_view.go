package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/stack"
)

// view is what the sender's TCP tells of a connection: ours by its status, the kernel's by TCP_INFO. Counts are segments.
type view struct {
	state         string
	cwnd          int
	ssthresh      int
	inFlight      int
	sacked        int
	lost          int
	rtt, minRTT   time.Duration
	pacingRate    uint64 // bytes per second
	deliveryRate  uint64
	timeouts      uint64
	sent          uint64 // retransmissions included
	retransmitted uint64
}

// viewHeader names the columns of String.
const viewHeader = "state,cwnd,ssthresh,in flight,sacked,lost,rtt us,min rtt us,pacing Mbit/s,delivery Mbit/s,timeouts,sent,retransmitted"

func (v *view) String() string {
	return fmt.Sprintf("%s,%d,%d,%d,%d,%d,%d,%d,%.2f,%.2f,%d,%d,%d", v.state, v.cwnd, v.ssthresh, v.inFlight, v.sacked, v.lost,
		v.rtt.Microseconds(), v.minRTT.Microseconds(), 8e-6*float64(v.pacingRate), 8e-6*float64(v.deliveryRate), v.timeouts, v.sent, v.retransmitted)
}

// look returns what the connection looks like now, or looked like when it ended.
func look(c conn) (view, error) {
	switch c := c.(type) {
	case *stack.Conn:
		return lookAtOurs(c)
	case *net.TCPConn:
		return lookAtKernels(c)
	}
	return view{}, fmt.Errorf("%T tells nothing of itself", c)
}

func lookAtOurs(c *stack.Conn) (view, error) {
	s, err := c.Status()
	if err != nil {
		return view{}, err
	}
	mss := max(s.MSS, 1)
	return view{
		state: s.CongestionState, cwnd: s.CongestionWindow / mss, ssthresh: s.SlowStartThresh / mss,
		inFlight: s.InFlight / mss, sacked: s.SACKed / mss, lost: s.Lost / mss, rtt: s.RTT, minRTT: s.MinRTT,
		pacingRate: s.PacingRate, deliveryRate: s.DeliveryRate, timeouts: s.Timeouts,
		sent: s.SegmentsSent, retransmitted: s.Retransmitted,
	}, nil
}

// kernelStates are enum tcp_ca_state of linux/tcp.h.
var kernelStates = [...]string{"open", "disorder", "cwr", "recovery", "loss"}

func lookAtKernels(c *net.TCPConn) (view, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return view{}, err
	}
	var info *unix.TCPInfo
	if outer := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); outer != nil || err != nil {
		return view{}, fmt.Errorf("TCP_INFO: %w", errors.Join(outer, err))
	}
	v := view{
		cwnd: int(info.Snd_cwnd), ssthresh: int(info.Snd_ssthresh),
		inFlight: int(info.Unacked) - int(info.Sacked) - int(info.Lost) + int(info.Retrans), sacked: int(info.Sacked), lost: int(info.Lost),
		rtt: time.Duration(info.Rtt) * time.Microsecond, minRTT: time.Duration(info.Min_rtt) * time.Microsecond,
		pacingRate: info.Pacing_rate, deliveryRate: info.Delivery_rate, timeouts: uint64(info.Total_rto),
		sent: uint64(info.Segs_out), retransmitted: uint64(info.Total_retrans),
	}
	if int(info.Ca_state) < len(kernelStates) {
		v.state = kernelStates[info.Ca_state]
	}
	return v, nil
}
