package tun

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// deleteLink takes a device away from under its user, as `ip link delete` does.
func deleteLink(t *testing.T, name string) {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	m := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(m[4:], uint32(ifi.Index))
	if err := request(unix.RTM_DELLINK, 0, m); err != nil {
		t.Fatal(err)
	}
}

func TestParseAck(t *testing.T) {
	ack := func(kind uint16, code int32) []byte {
		m := make([]byte, 36)
		binary.NativeEndian.PutUint16(m[4:], kind)
		binary.NativeEndian.PutUint32(m[16:], uint32(code))
		return m
	}
	if err := parseAck(ack(unix.NLMSG_ERROR, 0)); err != nil {
		t.Errorf("acknowledgement: %v", err)
	}
	if err := parseAck(ack(unix.NLMSG_ERROR, -int32(unix.EEXIST))); !errors.Is(err, unix.EEXIST) {
		t.Errorf("refusal: %v", err)
	}
	if parseAck(ack(unix.NLMSG_DONE, 0)) == nil || parseAck(nil) == nil || parseAck(make([]byte, 19)) == nil {
		t.Error("no error for what is no acknowledgement")
	}
}
