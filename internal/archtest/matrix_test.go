package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The compliance matrix in docs/rfc has one row for each requirement: number, what it asks, where, test, status.
const matrix = "../../docs/rfc"

// requirements are the numbered ones of RFC 9293 appendix B, by their highest numbers.
var requirements = map[string]int{"MUST": 69, "SHLD": 31, "MAY": 18, "REC": 1}

var statuses = regexp.MustCompile(`^(met|deviation|not met|not taken|user's|does not arise)\b`)

// row is one line of a table of the matrix.
type row struct {
	place                             string
	number, asks, where, test, status string
}

func matrixRows(t *testing.T, name string) []row {
	t.Helper()
	var rows []row
	err := eachLine(name, func(number int, line string) {
		if !strings.HasPrefix(line, "| ") {
			return
		}
		place := fmt.Sprintf("docs/rfc/%s:%d", filepath.Base(name), number)
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 {
			t.Errorf("%s: %d columns, want 5", place, len(cells))
			return
		}
		if cells[4] == "Status" {
			return
		}
		rows = append(rows, row{place, cells[0], cells[1], cells[2], cells[3], cells[4]})
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", name)
	}
	return rows
}

func TestMatrixHasEveryRequirementOnce(t *testing.T) {
	seen := make(map[string]string)
	for _, r := range matrixRows(t, filepath.Join(matrix, "rfc9293.md")) {
		if first := seen[r.number]; first != "" {
			t.Errorf("%s: %s has a row already at %s", r.place, r.number, first)
		}
		seen[r.number] = r.place
	}
	for kind, last := range requirements {
		for i := 1; i <= last; i++ {
			number := fmt.Sprintf("%s-%d", kind, i)
			if seen[number] == "" {
				t.Errorf("docs/rfc/rfc9293.md has no row for %s", number)
			}
			delete(seen, number)
		}
	}
	for number, place := range seen {
		t.Errorf("%s: RFC 9293 has no %s", place, number)
	}
}

func TestMatrixNamesTestsThatExist(t *testing.T) {
	tests := testNames(t)
	named := regexp.MustCompile("`([^`]+)`")
	files, err := filepath.Glob(filepath.Join(matrix, "rfc*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no matrix in %s: %v", matrix, err)
	}
	for _, name := range files {
		for _, r := range matrixRows(t, name) {
			if !statuses.MatchString(r.status) {
				t.Errorf("%s: unknown status %q", r.place, r.status)
			}
			found := named.FindAllStringSubmatch(r.test, -1)
			for _, m := range found {
				if !tests[m[1]] {
					t.Errorf("%s: there is no test %s", r.place, m[1])
				}
			}
			if strings.HasPrefix(r.status, "met") && len(found) == 0 && !strings.Contains(r.status, "without a test of its own") {
				t.Errorf("%s: met, but no test shows it", r.place)
			}
		}
	}
}

// testNames are the tests and fuzz targets of the module.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	fset := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, b, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
