package daemon

import (
	"context"
	"math"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/daemon/config"
)

// Version is the release, set by the linker: -X github.com/MUCZ/Starfish/daemon.Version=v1.2.3.
var Version = "devel"

// Revision returns the commit that the program was built from; empty if the build didn't know it.
func Revision() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, dirty := "", ""
	for _, setting := range build.Settings {
		switch setting.Key {
		case "vcs.revision":
			revision = setting.Value
		case "vcs.modified":
			if setting.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	return revision + dirty
}

// GetInfo implements the API.
func (d *Daemon) GetInfo(context.Context, *starfishv1.GetInfoRequest) (*starfishv1.GetInfoResponse, error) {
	cfg := d.config.Load()
	sessions, conns, listeners := d.registry.counts()
	defaults := d.defaults()
	info := &starfishv1.GetInfoResponse{
		Version:        Version,
		Revision:       Revision(),
		GoVersion:      runtime.Version(),
		Pid:            uint32(os.Getpid()),
		StartTime:      timestamppb.New(d.started),
		Uptime:         durationpb.New(time.Since(d.started)),
		Device:         d.network.proto(),
		DefaultOptions: optionsProto(&defaults),
		Sessions:       clamp(sessions),
		Connections:    clamp(conns),
		Listeners:      clamp(listeners),
		Ready:          d.ready.Load() && !d.stopping.Load(),
	}
	for _, prefix := range d.network.prefixes {
		info.Prefixes = append(info.Prefixes, prefix.Masked().String())
	}
	for _, address := range d.network.kernel {
		info.KernelAddresses = append(info.KernelAddresses, address.String())
	}
	info.SourceAddresses = d.network.sources()
	info.Limits = limitsProto(cfg)
	return info, nil
}

func clamp(n int) uint32 { return uint32(min(n, math.MaxUint32)) }

func (n *network) proto() *starfishv1.Device {
	device := &starfishv1.Device{Link: config.LinkMemory, Mtu: uint32(n.MTU())}
	if n.device != nil {
		offload := n.device.Offload()
		device.Link, device.Name, device.Queues = config.LinkTun, n.device.Name(), uint32(len(n.device.Queues()))
		device.ChecksumOffload = offload.Checksum
		device.SegmentationOffloadIpv4, device.SegmentationOffloadIpv6 = offload.TSO4, offload.TSO6
	}
	return device
}

// sources returns where connections start from by default: one address per family.
func (n *network) sources() []string {
	var sources []string
	seen := map[bool]bool{}
	for _, prefix := range n.prefixes {
		if is4 := prefix.Addr().Is4(); !seen[is4] {
			seen[is4] = true
			if a := n.source(prefix); a.IsValid() {
				sources = append(sources, a.String())
			}
		}
	}
	return sources
}

// source is the address of a prefix that the stack uses first.
func (n *network) source(prefix netip.Prefix) netip.Addr {
	if n.Owns(prefix.Addr()) {
		return prefix.Addr()
	}
	a := prefix.Masked().Addr()
	for range len(n.kernel) + 2 { // the kernel's addresses, the network's and the broadcast address stand in the way
		if prefix.Contains(a) && n.Owns(a) {
			return a
		}
		a = a.Next()
	}
	return netip.Addr{}
}

func limitsProto(cfg *config.Config) []*starfishv1.Limit {
	list := cfg.Limits.List()
	limits := make([]*starfishv1.Limit, 0, len(list)+2)
	for _, l := range list {
		limits = append(limits, &starfishv1.Limit{Name: l.Name, Value: uint64(l.Value), Unit: l.Unit})
	}
	return append(limits,
		&starfishv1.Limit{Name: "buffer_memory", Value: uint64(cfg.BufferMemory), Unit: "bytes"},
		&starfishv1.Limit{Name: "stream_message", Value: maxStreamData, Unit: "bytes"})
}

// GetStats implements the API.
func (d *Daemon) GetStats(context.Context, *starfishv1.GetStatsRequest) (*starfishv1.GetStatsResponse, error) {
	st, err := d.network.Stats()
	if err != nil {
		return nil, failed("get", "counters", err)
	}
	response := &starfishv1.GetStatsResponse{}
	add := func(name string, value uint64) {
		response.Counters = append(response.Counters, &starfishv1.Counter{Name: name, Value: value})
	}
	for _, c := range st.Counters {
		add(c.Name, c.Value)
	}
	add("BufferBytesInUse", uint64(st.Pool.InUse))
	add("BufferBytesLimit", uint64(st.Pool.Limit))
	add("BuffersRefused", uint64(st.Pool.Refused))
	sessions, conns, listeners := d.registry.counts()
	add("DaemonCurrSessions", uint64(sessions))
	add("DaemonCurrConnections", uint64(conns))
	add("DaemonCurrListeners", uint64(listeners))
	d.counters.each(add)
	return response, nil
}
