package netns

import (
	"strings"
	"testing"
)

func TestJoin(t *testing.T) {
	a, b := New(t), New(t)
	a.Join(t, "toB", []string{"10.1.0.1/24", "fd00:1::1/64"}, b, "toA", []string{"10.1.0.2/24", "fd00:1::2/64"})
	if got := a.Run(t, "ip -br address show dev toB"); !strings.Contains(got, "10.1.0.1/24") || !strings.Contains(got, "fd00:1::1/64") {
		t.Errorf("toB has %q", got)
	}
	if got := b.Run(t, "ip -br link show dev toA"); !strings.Contains(got, "UP") {
		t.Errorf("toA is %q", got)
	}
}

func TestNamespacesAreSeparate(t *testing.T) {
	a, b := New(t), New(t)
	a.Run(t, "ip link add only-in-a type bridge && touch /run/only-in-a")
	if got := b.Run(t, "ip -o link; ls /run"); strings.Contains(got, "only-in-a") {
		t.Errorf("b sees what was made in a: %q", got)
	}
}
