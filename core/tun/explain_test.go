package tun

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	v6 := netip.MustParsePrefix("fd00::1/64")
	v4 := netip.MustParsePrefix("10.0.0.1/8")
	for _, tc := range []struct {
		err   error
		cause error
		want  string
	}{
		{explainOpen(unix.ENOENT), unix.ENOENT, "modprobe tun"},
		{explainOpen(unix.ENODEV), unix.ENODEV, "modprobe tun"},
		{explainOpen(unix.EPERM), unix.EPERM, "--device /dev/net/tun"},
		{explainOpen(unix.EACCES), unix.EACCES, "chmod 666"},
		{explainOpen(unix.EMFILE), unix.EMFILE, "/dev/net/tun"},
		{explainAttach(unix.EPERM, false), unix.EPERM, "tun.sh start"},
		{explainAttach(unix.EBUSY, false), unix.EBUSY, "another process holds"},
		{explainAttach(unix.EINVAL, false), unix.EINVAL, "no TUN device"},
		{explainAttach(unix.EINVAL, true), unix.EINVAL, "use one queue"},
		{explainAttach(unix.E2BIG, true), unix.E2BIG, "use fewer"},
		{explainAttach(unix.ENFILE, true), unix.ENFILE, "file"},
		{explainSetUp("do x", "ip x", unix.EPERM), unix.EPERM, "do it beforehand (ip x)"},
		{explainSetUp("do x", "ip x", unix.EINVAL), unix.EINVAL, "do x"},
		{explainAddress("tun0", v6, unix.EACCES), unix.EACCES, "disable_ipv6=0"},
		{explainAddress("tun0", v4, unix.EPERM), unix.EPERM, "ip address add 10.0.0.1/8 dev tun0"},
	} {
		if !errors.Is(tc.err, tc.cause) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%v: want %q and the cause %v", tc.err, tc.want, tc.cause)
		}
	}
}
