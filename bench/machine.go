package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is where the figures come from: they don't compare with those of another.
type machine struct {
	CPU         string    `json:"cpu"`
	Processors  int       `json:"processors"`
	MemoryBytes uint64    `json:"memoryBytes"`
	Kernel      string    `json:"kernel"`
	Congestion  string    `json:"kernelCongestionControl"`
	Go          string    `json:"go"`
	Arch        string    `json:"arch"`
	Date        time.Time `json:"date"`
}

func describeMachine() machine {
	m := machine{
		CPU: cpuModel(), Processors: runtime.NumCPU(), Go: runtime.Version(), Arch: runtime.GOARCH,
		Date: time.Now().UTC().Truncate(time.Second),
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryBytes = info.Totalram * uint64(info.Unit)
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil {
		m.Congestion = strings.TrimSpace(string(text))
	}
	return m
}

// cpuModel is empty where the system does not tell.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String is one line for a person.
func (m machine) String() string {
	return fmt.Sprintf("%s, %d processors, %.1f GiB, Linux %s (%s), %s, %s",
		m.CPU, m.Processors, float64(m.MemoryBytes)/(1<<30), m.Kernel, m.Congestion, m.Go, m.Date.Format(time.DateOnly))
}
