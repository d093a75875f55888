package ctl

import (
	"testing"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

func TestFormatDevice(t *testing.T) {
	for want, device := range map[string]*starfishv1.Device{
		"none, the link is in memory, MTU 65535": {Link: "memory", Mtu: 65535},
		"tun144, MTU 1500, 1 queue, offload: checksum tso4 tso6": {
			Link: "tun", Name: "tun144", Mtu: 1500, Queues: 1,
			ChecksumOffload: true, SegmentationOffloadIpv4: true, SegmentationOffloadIpv6: true,
		},
		"tun7, MTU 576, 2 queues, offload: none": {Link: "tun", Name: "tun7", Mtu: 576, Queues: 2},
	} {
		if got := formatDevice(device); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
