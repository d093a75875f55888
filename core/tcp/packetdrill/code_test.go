package packetdrill

import (
	"errors"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp"
)

func TestExpressions(t *testing.T) {
	names := map[string]float64{"a": 5, "tcpi_b": 7}
	value := func(name string) (float64, error) {
		if v, ok := names[name]; ok {
			return v, nil
		}
		return 0, failf(Unsupported, 0, "name %s", name)
	}
	tests := []struct {
		text string
		want float64
	}{
		{"1 + 2 * 3", 7},
		{"(1 + 2) * 3", 9},
		{"-a + 1", -4},
		{"7 // 2", 3},
		{"7 / 2", 3.5},
		{"-7 % 3", 2},
		{"1 < a <= 5", 1},
		{"1 < a < 5", 0},
		{"a == 5 and tcpi_b != 7", 0},
		{"a == 4 or not tcpi_b == 8", 1},
		{"6 & 3 | 8", 10},
		{"1 << 4 >> 2", 4},
		{"5 ^ 1", 4},
		{"abs(-3) + max(1, 2) - min(4, 3)", 2},
		{"0x10 == 16", 1},
		{"int(3.7)", 3},
	}
	for _, tt := range tests {
		x := &evaluator{scanner: scanner{src: tt.text}, value: value}
		if got, err := x.expression(); err != nil || got != tt.want || x.peek() != 0 {
			t.Errorf("%s: %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"1 / 0", "unknown", "f(1)", "1 +", "(1", "1 << 99"} {
		x := &evaluator{scanner: scanner{src: text}, value: value}
		if v, err := x.expression(); err == nil {
			t.Errorf("%s: %v", text, v)
		}
	}
}

func TestStatements(t *testing.T) {
	got := statements("assert a == 1, 'x; y'\n  b = (1 +\n 2); print c # d; e\n\n")
	want := []string{"assert a == 1, 'x; y'", "b = (1 +\n 2)", "print c"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

func TestCode(t *testing.T) {
	r := newRunner(&Options{})
	if err := r.restart(r.set); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		text  string
		cause Cause // 0: none
	}{
		{"x = 3\nassert x == 3\nassert (tcpi_unacked == 0), tcpi_unacked", 0},
		{"assert tcpi_state == TCP_CLOSE", 0},
		{"import sys; print('x')", 0},
		{"assert x == 4", WrongState},
		{"assert tcpi_unknown == 4", Unsupported},
		{"for i in range(3): pass", Unsupported},
	}
	for _, tt := range tests {
		var f *Failure
		switch err := r.code(tt.text); {
		case tt.cause == 0 && err != nil:
			t.Errorf("%s: %v", tt.text, err)
		case tt.cause != 0 && (!errors.As(err, &f) || f.Cause != tt.cause):
			t.Errorf("%s: %v, want %v", tt.text, err, tt.cause)
		}
	}
}

// TestEveryStateHasANumber: no state of the engine is 0 to scripts.
func TestEveryStateHasANumber(t *testing.T) {
	for s := tcp.StateClosed; s <= tcp.StateTimeWait; s++ {
		if constants[linuxStates[s]] == 0 {
			t.Errorf("%v has no number", s)
		}
	}
}
