package tun

import "strings"

// Offload says what a device takes on write and gives on read.
type Offload struct {
	Checksum   bool // transport checksums may be left to the other side
	TSO4, TSO6 bool // TCP super-segments over IPv4 and IPv6
}

// String returns the parts that are on, by the names that people know from ethtool.
func (o Offload) String() string {
	var on []string
	for _, part := range []struct {
		on   bool
		name string
	}{{o.Checksum, "checksum"}, {o.TSO4, "tso4"}, {o.TSO6, "tso6"}} {
		if part.on {
			on = append(on, part.name)
		}
	}
	if on == nil {
		return "none"
	}
	return strings.Join(on, " ")
}
