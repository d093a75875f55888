package tun

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// raw builds a header as the kernel would.
func raw(flags, gsoType byte, hdrLen, gsoSize, csumStart, csumOffset uint16) (h vnetHeader) {
	h[0], h[1] = flags, gsoType
	binary.NativeEndian.PutUint16(h[2:], hdrLen)
	binary.NativeEndian.PutUint16(h[4:], gsoSize)
	binary.NativeEndian.PutUint16(h[6:], csumStart)
	binary.NativeEndian.PutUint16(h[8:], csumOffset)
	return h
}

const (
	needsCsum = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
	dataValid = unix.VIRTIO_NET_HDR_F_DATA_VALID
	gsoTCP4   = unix.VIRTIO_NET_HDR_GSO_TCPV4
	gsoTCP6   = unix.VIRTIO_NET_HDR_GSO_TCPV6
	gsoUDP    = unix.VIRTIO_NET_HDR_GSO_UDP_L4
	gsoECN    = unix.VIRTIO_NET_HDR_GSO_ECN
)

func TestDecode(t *testing.T) {
	for _, tc := range []struct {
		name string
		h    vnetHeader
		size int
		want Meta
	}{
		{"nothing", raw(0, 0, 0, 0, 0, 0), 60, Meta{}},
		{
			"checksum without GSO", raw(needsCsum, 0, 0, 0, 20, 16), 60,
			Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 16},
		},
		{
			"super-segment", raw(needsCsum, gsoTCP4, 52, 1448, 20, 16), 20000,
			Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 16, SegmentSize: 1448},
		},
		{
			"IPv6 super-segment with CWR", raw(needsCsum, gsoTCP6|gsoECN, 72, 1428, 40, 16), 20000,
			Meta{NeedsChecksum: true, ChecksumStart: 40, ChecksumOffset: 16, SegmentSize: 1428, ECN: true},
		},
		{"verified", raw(dataValid, gsoTCP4, 52, 1448, 0, 0), 20000, Meta{ChecksumValid: true, SegmentSize: 1448}},
		{
			"left out beats verified", raw(needsCsum|dataValid, 0, 0, 0, 20, 6), 60,
			Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 6},
		},
		{"GSO of size 0", raw(0, gsoTCP4, 52, 0, 0, 0), 20000, Meta{}},
		{"GSO of size 0 with ECN", raw(0, gsoTCP4|gsoECN, 52, 0, 0, 0), 20000, Meta{}},
		{"packet below the announced size", raw(0, gsoTCP4|gsoECN, 52, 1448, 0, 0), 1448, Meta{}},
		{"size without GSO", raw(0, 0, 0, 1448, 0, 0), 20000, Meta{}},
		{"ECN without GSO", raw(0, gsoECN, 0, 0, 0, 0), 60, Meta{}},
		{"GSO of UDP", raw(0, gsoUDP, 28, 1000, 0, 0), 20000, Meta{}},
		{"unknown GSO", raw(0, 0x7f, 28, 1000, 0, 0), 20000, Meta{}},
		{"checksum outside the packet", raw(needsCsum, 0, 0, 0, 50, 16), 60, Meta{}},
		{"checksum far outside the packet", raw(needsCsum, 0, 0, 0, 65535, 65535), 60, Meta{}},
		{
			"checksum at the end", raw(needsCsum, 0, 0, 0, 42, 16), 60,
			Meta{NeedsChecksum: true, ChecksumStart: 42, ChecksumOffset: 16},
		},
		{"all ones", raw(0xff, 0xff, 65535, 65535, 65535, 65535), 65535, Meta{}},
	} {
		if got := tc.h.decode(tc.size); got != tc.want {
			t.Errorf("%s: decode = %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestEncode(t *testing.T) {
	super := Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 16, SegmentSize: 1448, HeaderLen: 52}
	super6 := super
	super6.IPv6, super6.ECN, super6.ChecksumStart = true, true, 40
	for _, tc := range []struct {
		name string
		meta Meta
		size int
		want vnetHeader
	}{
		{"nothing", Meta{}, 60, raw(0, 0, 0, 0, 0, 0)},
		{"verified is for reading", Meta{ChecksumValid: true}, 60, raw(0, 0, 0, 0, 0, 0)},
		{"checksum", Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 6}, 60, raw(needsCsum, 0, 0, 0, 20, 6)},
		{"super-segment", super, 20000, raw(needsCsum, gsoTCP4, 52, 1448, 20, 16)},
		{"IPv6 super-segment with CWR", super6, 20000, raw(needsCsum, gsoTCP6|gsoECN, 52, 1448, 40, 16)},
		{"one byte above a segment", super, 52 + 1449, raw(needsCsum, gsoTCP4, 52, 1448, 20, 16)},
		{"exactly one segment", super, 52 + 1448, raw(needsCsum, 0, 0, 0, 20, 16)},
		{"one segment with CWR", super6, 52 + 10, raw(needsCsum, 0, 0, 0, 40, 16)},
	} {
		h := raw(1, 2, 3, 4, 5, 6) // what the packet before left
		if h.encode(&tc.meta, tc.size); h != tc.want {
			t.Errorf("%s: encode = %v, want %v", tc.name, h, tc.want)
		}
	}
}

func TestOffloadCheck(t *testing.T) {
	csum := Meta{NeedsChecksum: true, ChecksumStart: 20, ChecksumOffset: 16}
	super := csum
	super.SegmentSize, super.HeaderLen = 1448, 52
	with := func(f func(*Meta)) Meta {
		m := super
		f(&m)
		return m
	}
	for _, tc := range []struct {
		name string
		o    Offload
		meta Meta
		size int
		want error
	}{
		{"plain", Offload{}, Meta{}, 60, nil},
		{"empty", allOffloads, Meta{}, 0, unix.EMSGSIZE},
		{"largest", allOffloads, super, MaxPacket, nil},
		{"too large", allOffloads, super, MaxPacket + 1, unix.EMSGSIZE},
		{"checksum", allOffloads, csum, 60, nil},
		{"checksum on a plain device", Offload{}, csum, 60, ErrNotOffloaded},
		{"checksum behind the end", allOffloads, csum, 37, ErrNotOffloaded},
		{"negative checksum start", allOffloads, Meta{NeedsChecksum: true, ChecksumStart: -1, ChecksumOffset: 16}, 60, ErrNotOffloaded},
		{"super-segment without TSO4", Offload{Checksum: true, TSO6: true}, super, 9000, ErrNotOffloaded},
		{"super-segment without TSO6", Offload{Checksum: true, TSO4: true}, with(func(m *Meta) { m.IPv6 = true }), 9000, ErrNotOffloaded},
		{"super-segment with its own checksum", allOffloads, with(func(m *Meta) { m.NeedsChecksum = false }), 9000, ErrNotOffloaded},
		{"super-segment without header length", allOffloads, with(func(m *Meta) { m.HeaderLen = 0 }), 9000, ErrNotOffloaded},
		{"header length above the packet", allOffloads, super, 51, ErrNotOffloaded},
		{"negative segment size", allOffloads, with(func(m *Meta) { m.SegmentSize = -5 }), 9000, ErrNotOffloaded},
		{"segment size of more than 16 bits", allOffloads, with(func(m *Meta) { m.SegmentSize = 65536 }), 9000, ErrNotOffloaded},
	} {
		if got := tc.o.check(&tc.meta, tc.size); !errors.Is(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// FuzzDecode feeds headers that no kernel should give: what comes out must be safe to use on the packet.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{1, 1, 52, 0, 168, 5, 20, 0, 16, 0}, 20000)
	f.Add([]byte{1, 0, 0, 0, 0, 0, 255, 255, 255, 255}, 60)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if len(b) < vnetHeaderLen || size <= 0 || size > MaxPacket {
			return
		}
		h := vnetHeader(b[:vnetHeaderLen])
		m := h.decode(size)
		if m.SegmentSize < 0 || m.SegmentSize >= size || m.HeaderLen != 0 || m.ECN && m.SegmentSize == 0 {
			t.Errorf("%+v for %d bytes", m, size)
		}
		if m.NeedsChecksum && (m.ChecksumValid || m.ChecksumStart+m.ChecksumOffset+2 > size) {
			t.Errorf("%+v for %d bytes", m, size)
		}
	})
}
