package ctl

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/MUCZ/Starfish/client"
)

// sizeValue is a flag for a number of bytes: 65536, 64K, 4M, 1G.
type sizeValue int

var sizeUnits = []struct {
	suffix string
	factor int64
}{
	{"kib", 1 << 10},
	{"mib", 1 << 20},
	{"gib", 1 << 30},
	{"tib", 1 << 40},
	{"k", 1 << 10},
	{"m", 1 << 20},
	{"g", 1 << 30},
	{"t", 1 << 40},
	{"b", 1},
	{"", 1},
}

// parseSize returns a number of bytes that is written with or without a unit.
func parseSize(text string, limit int64) (n int64, ok bool) {
	lower := strings.ToLower(text)
	for _, unit := range sizeUnits {
		digits, found := strings.CutSuffix(lower, unit.suffix)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		return n * unit.factor, err == nil && n >= 0 && n <= limit/unit.factor
	}
	panic("ctl: the empty suffix is every text's")
}

// Set implements pflag.Value.
func (v *sizeValue) Set(text string) error {
	n, ok := parseSize(text, math.MaxInt32)
	if !ok {
		return fmt.Errorf("not a size below 2G, such as 65536, 64K or 4M")
	}
	*v = sizeValue(n)
	return nil
}

// String implements pflag.Value.
func (v *sizeValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.Itoa(int(*v))
}

// Type implements pflag.Value.
func (v *sizeValue) Type() string { return "size" }

// amountValue is a flag for a number of bytes that may be larger than any buffer.
type amountValue int64

// Set implements pflag.Value.
func (v *amountValue) Set(text string) error {
	n, ok := parseSize(text, math.MaxInt64)
	if !ok {
		return fmt.Errorf("not a number of bytes, such as 65536, 64K or 10G")
	}
	*v = amountValue(n)
	return nil
}

// String implements pflag.Value.
func (v *amountValue) String() string {
	if *v == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*v), 10)
}

// Type implements pflag.Value.
func (v *amountValue) Type() string { return "size" }

// congestionValue is a flag for a congestion control.
type congestionValue struct {
	client.Congestion
	name string
}

// Set implements pflag.Value.
func (v *congestionValue) Set(text string) (err error) {
	v.Congestion, err = client.ParseCongestion(text)
	v.name = text
	return err
}

// String implements pflag.Value.
func (v *congestionValue) String() string { return v.name }

// Type implements pflag.Value.
func (v *congestionValue) Type() string { return "name" }

// ecnValue is a flag for Explicit Congestion Notification.
type ecnValue struct {
	client.ECN
	name string
}

// Set implements pflag.Value.
func (v *ecnValue) Set(text string) (err error) {
	v.ECN, err = client.ParseECN(text)
	v.name = text
	return err
}

// String implements pflag.Value.
func (v *ecnValue) String() string { return v.name }

// Type implements pflag.Value.
func (v *ecnValue) Type() string { return "mode" }

// transportValue is a flag for the way that bytes take.
type transportValue client.Transport

// Set implements pflag.Value.
func (v *transportValue) Set(text string) error {
	for _, way := range []client.Transport{client.Auto, client.DataSocket, client.GRPCStream} {
		if text == way.String() {
			*v = transportValue(way)
			return nil
		}
	}
	return fmt.Errorf("%v, %v and %v are known", client.Auto, client.DataSocket, client.GRPCStream)
}

// String implements pflag.Value.
func (v *transportValue) String() string { return client.Transport(*v).String() }

// Type implements pflag.Value.
func (v *transportValue) Type() string { return "way" }

// sourceValue is a flag for IP, IP:PORT or :PORT.
type sourceValue netip.AddrPort

// Set implements pflag.Value.
func (v *sourceValue) Set(text string) error {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		*v = sourceValue(netip.AddrPortFrom(addr, 0))
		return nil
	}
	host, service, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("not an address such as 10.0.0.2, 10.0.0.2:4000 or [fd00::2]:4000")
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a port number", service)
	}
	var addr netip.Addr
	if host != "" {
		if addr, err = netip.ParseAddr(host); err != nil {
			return fmt.Errorf("%q is not an IP address", host)
		}
	}
	*v = sourceValue(netip.AddrPortFrom(addr, uint16(port)))
	return nil
}

// String implements pflag.Value.
func (v *sourceValue) String() string {
	if a := netip.AddrPort(*v); a.Addr().IsValid() {
		return a.String()
	}
	return ""
}

// Type implements pflag.Value.
func (v *sourceValue) Type() string { return "address" }

// target returns HOST:PORT from one argument, or from two as netcat takes them.
func target(args []string) (string, error) {
	if len(args) == 2 {
		return net.JoinHostPort(strings.Trim(args[0], "[]"), args[1]), nil
	}
	if _, _, err := net.SplitHostPort(args[0]); err != nil {
		return "", usagef("%q is not HOST:PORT; an IPv6 address is written [fd00::2]:80", args[0])
	}
	return args[0], nil
}

// listenTarget returns ADDR:PORT from [ADDR:]PORT, or from two arguments.
func listenTarget(args []string) (string, error) {
	if len(args) == 1 && !strings.Contains(args[0], ":") {
		return ":" + args[0], nil
	}
	return target(args)
}
