package packetdrill_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/MUCZ/Starfish/core/tcp/packetdrill"
)

// scripts returns the project's own scripts by name.
func scripts(t testing.TB) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pkt" {
			return err
		}
		src, err := os.ReadFile(path)
		found[strings.TrimSuffix(strings.TrimPrefix(path, "testdata/"), ".pkt")] = string(src)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("found no scripts")
	}
	return found
}

func TestScripts(t *testing.T) {
	for name, src := range scripts(t) {
		t.Run(name, func(t *testing.T) {
			if err := packetdrill.Run(src, &packetdrill.Options{Strict: true}); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkScripts runs all scripts: the aim is a thousand a second.
func BenchmarkScripts(b *testing.B) {
	all := scripts(b)
	runs := 0
	for b.Loop() {
		for _, src := range all {
			if err := packetdrill.Run(src, &packetdrill.Options{}); err != nil {
				b.Fatal(err)
			}
			runs++
		}
	}
	b.ReportMetric(float64(runs)/b.Elapsed().Seconds(), "scripts/s")
}
