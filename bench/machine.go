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

// congestionControlHere is the kernel's in this namespace; empty where the system does not tell.
func congestionControlHere() string {
	text, err := os.ReadFile(congestionControl)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// machine is where the figures come from: they don't compare with those of another.
type machine struct {
	CPU         string    `json:"cpu"`
	Processors  int       `json:"processors"`
	MemoryBytes uint64    `json:"memoryBytes"`
	Kernel      string    `json:"kernel"`
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
	return fmt.Sprintf("%s, %d processors, %.1f GiB, Linux %s, %s, %s",
		m.CPU, m.Processors, float64(m.MemoryBytes)/(1<<30), m.Kernel, m.Go, m.Date.Format(time.DateOnly))
}
