package archtest

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Limits only go down. The aim is 70 lines for a function and 500 for a file.
const (
	maxFunctionLines = 90
	maxFileLines     = 900
)

// source is a file of this module that people wrote, tests left out.
type source struct {
	pkg  string
	path string
	fset *token.FileSet
	ast  *ast.File
}

func (s source) position(p token.Pos) token.Position { return s.fset.Position(p) }

func parse(t *testing.T, fset *token.FileSet, name string, src any) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var (
	sourcesOnce sync.Once
	sourcesRead []source
)

func sources(t *testing.T) []source {
	t.Helper()
	all := packages(t)
	sourcesOnce.Do(func() {
		fset := token.NewFileSet()
		for _, p := range all {
			for _, name := range p.GoFiles {
				path := filepath.Join(p.Dir, name)
				f := parse(t, fset, path, nil)
				if !ast.IsGenerated(f) {
					pkg := strings.TrimPrefix(p.ImportPath, module)
					sourcesRead = append(sourcesRead, source{pkg: pkg, path: path, fset: fset, ast: f})
				}
			}
		}
	})
	if len(sourcesRead) == 0 {
		t.Fatal("found no source files")
	}
	return sourcesRead
}

func TestFunctionsAreShort(t *testing.T) {
	for _, f := range sources(t) {
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			start, end := f.position(fn.Pos()), f.position(fn.End())
			if n := end.Line - start.Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, the limit is %d", start, fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range sources(t) {
		if n := f.position(f.ast.FileEnd).Line; n > maxFileLines {
			t.Errorf("%s has %d lines, the limit is %d: one concept per file", f.path, n, maxFileLines)
		}
	}
}

// A marker is a piece of work that nobody is doing: do it, or file an issue. The pattern is written so that it does
// not match itself.
var marker = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

// isText goes by the name, so that a binary that somebody left lying about is not read.
func isText(path string) bool {
	extensions := []string{".conf", ".go", ".md", ".proto", ".py", ".service", ".sh", ".yaml", ".yml"}
	return slices.Contains(extensions, filepath.Ext(path)) || slices.Contains([]string{"Makefile", "run"}, filepath.Base(path))
}

func TestNoMarkers(t *testing.T) {
	root := "../.."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == ".git" || name == "testdata" || path == filepath.Join(root, "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || !isText(path) {
			return nil
		}
		return eachLine(path, func(number int, line string) {
			if m := marker.FindString(line); m != "" {
				t.Errorf("%s:%d: %s: do it, or file an issue", strings.TrimPrefix(path, root+"/"), number, m)
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func eachLine(path string, f func(number int, line string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for number := 1; scanner.Scan(); number++ {
		f(number, scanner.Text())
	}
	return scanner.Err()
}
