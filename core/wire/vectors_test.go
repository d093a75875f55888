package wire

import (
	"encoding/hex"
	"strings"
	"testing"
)

// Packets that Linux 6.18 wrote to a TUN device without offload: nothing of ours had a part in them. The ICMP errors
// are a router's about TCP segments from port 40000 to port 443 with sequence number 0x01020304, of which the packets
// too big carry zeros.
var (
	linuxSYN4 = "4500003ce97240004006cd3ec0000201c0000209" +
		"e5f40050ffdea0d100000000a002faf0f72f0000020405b40402080afda64d35000000000103030a"
	linuxSYN6 = "600e4e5e0028064020010db800000000000000000000000120010db8000000000000000000000009" +
		"ea880050a3ea8c6100000000a002fd2026b20000020405a00402080a4aeb62b2000000000103030a"
	linuxTimeExceeded4 = "45c00044fe4300004001f7aac0000201c00002090b00f2f700000000" +
		"450000280007400001068d83c0000209c63364099c4001bb0102030405060708501003e800000000"
	linuxTimeExceeded6 = "60006f9900443a4020010db800000000000000000000000120010db8000000000000000000000009" +
		"0300dd6200000000600000000014060120010db800000000000000000000000920010db8000100000000000000000009" +
		"9c4001bb0102030405060708501003e800000000"
	linuxTooBig4 = "45c00240fe4400004001f5adc0000201c00002090304f57b00000578" +
		"450005c80007400009067fe3c0000209c63364099c4001bb0102030405060708501003e800000000" + zeros(508)
	linuxTooBig6 = "600f6c6304d83a4020010db800000000000000000000000120010db8000000000000000000000009" +
		"0200cec2000005786000000005a0060920010db800000000000000000000000920010db8000100000000000000000009" +
		"9c4001bb0102030405060708501003e800000000" + zeros(1172)
	linuxEchoReply4 = "45000025fe4500004001f887c0000201c0000209" + "00001e1212340001737461726669736821"
)

func zeros(n int) string { return strings.Repeat("00", n) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if r == ' ' {
			return -1
		}
		return r
	}, s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mustParse splits a packet that has to be acceptable.
func mustParse(t testing.TB, packet []byte) (IP, []byte) {
	t.Helper()
	var ip IP
	if p := ParseIP(packet, &ip); p != None {
		t.Fatalf("% x: %v", packet, p)
	}
	return ip, packet[ip.HeaderLen:ip.TotalLen]
}
