package main

import (
	"slices"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	s, err := parseFlags([]string{"-ways", "kernel,data-socket", "-work", "send", "-connections", "1,64", "-quick"})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.ways, []string{wayKernel, wayDataSocket}) || !slices.Equal(s.connections, []int{1, 64}) ||
		s.runs != 1 || s.duration != quickDuration {
		t.Errorf("settings = %+v", s)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-ways pigeon", `unknown way "pigeon"`},
		{"-work hard", `unknown kind of work "hard"`},
		{"-connections 0", "use 1 to"},
		{"-connections many", "use 1 to"},
		{"-runs 0", "-runs"},
		{"-seconds 0", "-seconds"},
		{"surplus", `unexpected argument "surplus"`},
	} {
		_, err := parseFlags(strings.Fields(tt.args))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.args, err, tt.want)
		}
	}
}

func TestLoads(t *testing.T) {
	s, err := parseFlags([]string{"-connections", "1,8"})
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[string][]int)
	for _, l := range loads(&s) {
		counts[l.Work] = append(counts[l.Work], l.Connections)
	}
	want := map[string][]int{workSend: {1, 8}, workReceive: {1, 8}, workPingPong: {1}, workConnect: {1, 64}}
	for work, n := range want {
		if !slices.Equal(counts[work], n) {
			t.Errorf("%s with %v connections, want %v", work, counts[work], n)
		}
	}
}
