package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestParseIPv4FromLinux(t *testing.T) {
	b := unhex(t, linuxSYN4)
	got, _ := mustParse(t, b)
	want := IP{
		Src: addr("192.0.2.1"), Dst: addr("192.0.2.9"), HeaderLen: 20, TotalLen: 60,
		Protocol: TCP, TTL: 64, ID: 0xe972, DontFragment: true,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	again := make([]byte, IPv4HeaderLen)
	if n := PutIP(again, &got, 40); n != IPv4HeaderLen || !bytes.Equal(again, b[:n]) {
		t.Errorf("built % x, Linux wrote % x", again, b[:n])
	}
}

// ipv4Packet builds a header with options from 10.0.0.1 to 10.0.0.2 and 8 bytes of payload. Edit comes before the
// checksum.
func ipv4Packet(options []byte, edit func(b []byte)) []byte {
	b := make([]byte, IPv4HeaderLen+len(options)+8)
	PutIP(b, &IP{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), Protocol: TCP, TTL: 64}, len(options)+8)
	copy(b[IPv4HeaderLen:], options)
	b[0] = 4<<4 | byte(IPv4HeaderLen+len(options))/4
	binary.BigEndian.PutUint16(b[10:], 0)
	if edit != nil {
		edit(b)
	}
	headerLen := min(int(b[0]&0xf)*4, len(b))
	binary.BigEndian.PutUint16(b[10:], ^Fold(Sum(0, b[:headerLen])))
	return b
}

func put16(offset int, v uint16) func([]byte) {
	return func(b []byte) { binary.BigEndian.PutUint16(b[offset:], v) }
}

func TestParseIPv4Problems(t *testing.T) {
	tests := []struct {
		name   string
		packet []byte
		want   Problem
	}{
		{"plain", ipv4Packet(nil, nil), None},
		{"header of 16 bytes", ipv4Packet(nil, func(b []byte) { b[0] = 0x44 }), BadHeaderLen},
		{"header of no bytes", ipv4Packet(nil, func(b []byte) { b[0] = 0x40 }), BadHeaderLen},
		{"header longer than the buffer", ipv4Packet(nil, func(b []byte) { b[0] = 0x4f }), Truncated},
		{"total length 0", ipv4Packet(nil, put16(2, 0)), BadLength},
		{"total length below the header's", ipv4Packet(make([]byte, 4), put16(2, 23)), BadLength},
		{"total length of the header alone", ipv4Packet(make([]byte, 4), put16(2, 24)), None},
		{"total length beyond the buffer", ipv4Packet(nil, put16(2, 29)), Truncated},
		{"reserved flag", ipv4Packet(nil, put16(6, 0x8000)), None},
		{"first fragment", ipv4Packet(nil, put16(6, 0x2000)), None},
		{"last fragment", ipv4Packet(nil, put16(6, 0x0001)), None},
		{"first fragment not of whole words", ipv4Packet(nil, func(b []byte) { put16(6, 0x2000)(b); put16(2, 27)(b) }), BadFragment},
		{"last fragment not of whole words", ipv4Packet(nil, func(b []byte) { put16(6, 1)(b); put16(2, 27)(b) }), None},
		{"fragment of nothing", ipv4Packet(nil, func(b []byte) { put16(6, 1)(b); put16(2, 20)(b) }), BadFragment},
		{"fragment beyond 65,535 bytes", ipv4Packet(nil, put16(6, 0x1fff)), BadFragment},
		{"option unknown", ipv4Packet([]byte{0x94, 4, 0, 0}, nil), None},
		{"option of no length", ipv4Packet([]byte{7, 0, 0, 0}, nil), None},
		{"option beyond the header", ipv4Packet([]byte{7, 9, 0, 0}, nil), None},
		{"option cut off", ipv4Packet([]byte{1, 1, 1, 7}, nil), None},
		{"loose source route", ipv4Packet([]byte{1, 131, 7, 4, 10, 0, 0, 1}, nil), BadOption},
		{"strict source route after an option", ipv4Packet([]byte{7, 3, 4, 137, 7, 4, 10, 0, 0, 1, 0, 0}, nil), BadOption},
		{"source route behind the end of options", ipv4Packet([]byte{0, 131, 3, 4}, nil), None},
		{"forty bytes of options", ipv4Packet(bytes.Repeat([]byte{1}, 40), nil), None},
	}
	for _, test := range tests {
		var ip IP
		if got := ParseIP(test.packet, &ip); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestIPv4ChecksumCoversEveryHeaderBit(t *testing.T) {
	b := unhex(t, linuxSYN4)
	for bit := range IPv4HeaderLen * 8 {
		b[bit/8] ^= 1 << (bit % 8)
		var ip IP
		if ParseIP(b, &ip) == None {
			t.Errorf("bit %d of byte %d flipped: accepted", bit%8, bit/8)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	b[10]++
	var ip IP
	if got := ParseIP(b, &ip); got != BadChecksum {
		t.Errorf("wrong checksum: %v", got)
	}
}
