package sim

import (
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

func TestRewriteECN(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, tt := range []struct {
			class  uint8
			bleach bool
			want   uint8
		}{
			{0xb8, false, 0xb8}, {0xba, false, 0xbb}, {0xb9, false, 0xbb}, {0xbb, false, 0xbb}, {0xba, true, 0xb8}, {0xbb, true, 0xb8},
		} {
			ip := wire.IP{
				Src: wire.Addr4([4]byte{10, 0, 0, 1}), Dst: wire.Addr4([4]byte{10, 0, 0, 2}), Protocol: wire.TCP, TTL: 64,
				TrafficClass: tt.class,
			}
			if v6 {
				ip.Src, ip.Dst, ip.FlowLabel = wire.Addr16([16]byte{0xfd, 15: 1}), wire.Addr16([16]byte{0xfd, 15: 2}), 0xfffff
			}
			b := make([]byte, 60)
			n := wire.PutIP(b, &ip, 20)
			rewriteECN(b[:n+20], tt.bleach)
			var got wire.IP
			if problem := wire.ParseIP(b[:n+20], &got); problem != wire.None || got.TrafficClass != tt.want || got.FlowLabel != ip.FlowLabel {
				t.Errorf("%+v over IPv6 %v: class %#x, %v", tt, v6, got.TrafficClass, problem)
			}
		}
	}
}
