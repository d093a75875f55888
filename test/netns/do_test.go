package netns

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestDialAndListenInside(t *testing.T) {
	a, b := New(t), New(t)
	a.Join(t, "toB", []string{"10.1.0.1/24"}, b, "toA", []string{"10.1.0.2/24"})
	l, err := b.Listen("10.1.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := a.Dial("10.1.0.2:7")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.LocalAddr().String(); !strings.HasPrefix(got, "10.1.0.1:") {
		t.Errorf("dialled from %s", got)
	}
	if _, err := New(t).Dial("10.1.0.2:7"); err == nil {
		t.Error("a namespace without a device reaches 10.1.0.2")
	}
}

// What a test starts in a namespace and forgets ends with the namespace.
func TestProcessesEndWithTheNamespace(t *testing.T) {
	var pid string
	t.Run("inside", func(t *testing.T) {
		pid = strings.TrimSpace(New(t).Run(t, "sleep 60 >/dev/null 2>&1 & echo $!"))
		if _, err := os.Stat("/proc/" + pid); err != nil {
			t.Fatal(err)
		}
	})
	if pid == "" {
		t.Skip("needs a network namespace, which the test inside explains")
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s lives on: %s", pid, stat)
		}
	}
}
