package tcp

import (
	"reflect"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/core/wire"
)

// TestStatsNames: every counter is reported once, under its own name.
func TestStatsNames(t *testing.T) {
	var s Stats
	v := reflect.ValueOf(&s).Elem()
	next := uint64(1)
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Uint64:
			f.SetUint(next)
			next++
		case reflect.Array:
			for k := range f.Len() {
				f.Index(k).SetUint(next)
				next++
			}
		}
	}
	s.Problems[wire.None] = 0 // no problem is no counter
	names, values := map[string]bool{}, map[uint64]string{}
	s.Each(func(name string, value uint64) {
		switch {
		case names[name]:
			t.Errorf("%s is reported twice", name)
		case values[value] != "":
			t.Errorf("%s and %s report the same counter", name, values[value])
		case strings.ContainsAny(name, " \t") && !strings.HasPrefix(name, "Drop:"), strings.HasSuffix(name, ":"), strings.Contains(name, "Unknown("):
			t.Errorf("%q is no name", name)
		}
		names[name], values[value] = true, name
	})
	if want := int(next) - 2; len(names) != want {
		t.Errorf("%d counters are reported, there are %d", len(names), want)
	}
	for _, name := range []string{"TcpCurrEstab", "TcpRetransSegs", "TcpInErrs", "TcpExtListenOverflows"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestDropNames(t *testing.T) {
	for d := range NumDrops {
		if d.String() == "" {
			t.Errorf("drop reason %d has no name", d)
		}
	}
	if NumDrops.String() != "Unknown" {
		t.Errorf("beyond the last: %v", NumDrops)
	}
}
