package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/MUCZ/Starfish"

// graph maps a package of this module, by its path below the module's, to what it imports without its tests. Imports
// from this module are written the same way, with a leading slash; all others as they are in the source.
type graph map[string][]string

// goPackage is the part of `go list -json` that matters here.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Error      *struct{ Err string }
}

// modulePackages lists this module's packages, once for all tests.
var modulePackages = sync.OnceValues(func() ([]goPackage, error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,GoFiles,Imports,Error", module+"/...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	var packages []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("output of go list: %w", err)
		}
		packages = append(packages, p)
	}
})

func packages(t *testing.T) []goPackage {
	t.Helper()
	packages, err := modulePackages()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

func loadGraph(t *testing.T) graph {
	t.Helper()
	g := graph{}
	for _, p := range packages(t) {
		imports := make([]string, 0, len(p.Imports))
		for _, path := range p.Imports {
			imports = append(imports, strings.TrimPrefix(path, module))
		}
		g[strings.TrimPrefix(p.ImportPath, module)] = imports
	}
	return g
}

func isOurs(path string) bool { return strings.HasPrefix(path, "/") }

// isStd reports whether path is of the standard library: its first element has no dot.
func isStd(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !isOurs(path) && !strings.Contains(first, ".")
}

// within reports whether path is the package or tree named prefix.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func withinAny(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return within(path, prefix) })
}

// visit calls f with every package that from reaches and the chain of imports that leads there. It goes on through a
// package of this module when through says so; each package is visited once.
func (g graph) visit(from string, through func(string) bool, f func(path string, chain []string)) {
	seen := map[string]bool{from: true}
	var walk func(chain []string)
	walk = func(chain []string) {
		for _, path := range g[chain[len(chain)-1]] {
			if seen[path] {
				continue
			}
			seen[path] = true
			next := append(slices.Clip(chain), path)
			f(path, next)
			if isOurs(path) && through(path) {
				walk(next)
			}
		}
	}
	walk([]string{from})
}
