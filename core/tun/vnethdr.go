package tun

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// vnetHeaderLen is the size of struct virtio_net_hdr without num_buffers (Linux include/uapi/linux/virtio_net.h):
// flags, gso_type, then hdr_len, gso_size, csum_start and csum_offset with 16 bits each in host byte order.
const vnetHeaderLen = 10

type vnetHeader [vnetHeaderLen]byte

// encode fills h for a packet of packetLen bytes with meta.
func (h *vnetHeader) encode(meta *Meta, packetLen int) {
	clear(h[:])
	if meta.NeedsChecksum {
		h[0] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
		binary.NativeEndian.PutUint16(h[6:], uint16(meta.ChecksumStart))
		binary.NativeEndian.PutUint16(h[8:], uint16(meta.ChecksumOffset))
	}
	// A packet that is no larger than one segment is a plain one: some kernels refuse it as a super-segment.
	if meta.SegmentSize == 0 || packetLen-meta.HeaderLen <= meta.SegmentSize {
		return
	}
	h[1] = unix.VIRTIO_NET_HDR_GSO_TCPV4
	if meta.IPv6 {
		h[1] = unix.VIRTIO_NET_HDR_GSO_TCPV6
	}
	if meta.ECN {
		h[1] |= unix.VIRTIO_NET_HDR_GSO_ECN
	}
	binary.NativeEndian.PutUint16(h[2:], uint16(meta.HeaderLen))
	binary.NativeEndian.PutUint16(h[4:], uint16(meta.SegmentSize))
}

// decode returns what h says about a packet of packetLen bytes. The header is the kernel's, but some kernels get it
// wrong in odd cases, so nothing in it is taken for granted.
func (h *vnetHeader) decode(packetLen int) Meta {
	var meta Meta
	switch {
	case h[0]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0:
		start := int(binary.NativeEndian.Uint16(h[6:]))
		offset := int(binary.NativeEndian.Uint16(h[8:]))
		// A checksum outside the packet can't have been left out of it; then it is verified like any other.
		if start+offset+2 <= packetLen {
			meta.NeedsChecksum, meta.ChecksumStart, meta.ChecksumOffset = true, start, offset
		}
	case h[0]&unix.VIRTIO_NET_HDR_F_DATA_VALID != 0:
		meta.ChecksumValid = true
	}
	switch h[1] &^ unix.VIRTIO_NET_HDR_GSO_ECN {
	case unix.VIRTIO_NET_HDR_GSO_TCPV4, unix.VIRTIO_NET_HDR_GSO_TCPV6:
		if size := int(binary.NativeEndian.Uint16(h[4:])); size > 0 && size < packetLen {
			meta.SegmentSize = size
			meta.ECN = h[1]&unix.VIRTIO_NET_HDR_GSO_ECN != 0
		}
	}
	return meta
}

// check returns the reason why a device with offload o can't take a packet of packetLen bytes with meta, else nil.
func (o Offload) check(meta *Meta, packetLen int) error {
	if packetLen == 0 || packetLen > MaxPacket {
		return unix.EMSGSIZE
	}
	if meta.NeedsChecksum {
		end := meta.ChecksumStart + meta.ChecksumOffset + 2
		if !o.Checksum || meta.ChecksumStart < 0 || meta.ChecksumOffset < 0 || end > packetLen {
			return ErrNotOffloaded
		}
	}
	if meta.SegmentSize == 0 {
		return nil
	}
	tso := o.TSO4
	if meta.IPv6 {
		tso = o.TSO6
	}
	// The kernel can't give each segment a checksum without knowing where it is.
	if !tso || !meta.NeedsChecksum || meta.SegmentSize < 0 || meta.SegmentSize > MaxPacket ||
		meta.HeaderLen <= 0 || meta.HeaderLen > packetLen {
		return ErrNotOffloaded
	}
	return nil
}
