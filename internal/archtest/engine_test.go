package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// enginePackages do pure computation: the same state and the same input give the same output.
var enginePackages = []string{"/core/seqnum", "/core/wire", "/core/tcp"}

var clockFunctions = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// notInEngine says why a node has no place in the engine, or "".
func notInEngine(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "the engine starts no goroutine: its owner calls it"
	case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
		return "the engine has no channel: its owner calls it"
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clockFunctions, n.Sel.Name) {
			return "the engine has no clock: now is a parameter"
		}
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			return "the engine has no init: nothing happens before it is called"
		}
	}
	return ""
}

func TestEngineIsSequential(t *testing.T) {
	for _, f := range sources(t) {
		if !slices.Contains(enginePackages, f.pkg) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if n == nil {
				return false
			}
			if why := notInEngine(n); why != "" {
				t.Errorf("%s: %s", f.position(n.Pos()), why)
			}
			return true
		})
	}
}

// Only the commands end the process; everything else returns an error.
func TestOnlyCommandsExit(t *testing.T) {
	exits := map[string][]string{"os": {"Exit"}, "log": {"Fatal", "Fatalf", "Fatalln"}, "syscall": {"Exit"}}
	for _, f := range sources(t) {
		if within(f.pkg, "/cmd") || within(f.pkg, "/test") || f.ast.Name.Name == "main" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(exits[x.Name], sel.Sel.Name) {
					t.Errorf("%s: %s.%s outside cmd/: return an error", f.position(n.Pos()), x.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestNotInEngineFinds(t *testing.T) {
	const src = `package p
func init() {}
func f() { go f(); time.Sleep(1); var c chan int; c <- 1; select {}; _ = time.Second }`
	f := parse(t, token.NewFileSet(), "p.go", src)
	var reasons []string
	ast.Inspect(f, func(n ast.Node) bool {
		if why := notInEngine(n); why != "" {
			reasons = append(reasons, strings.Fields(why)[4])
		}
		return true
	})
	want := []string{"init:", "goroutine:", "clock:", "channel:", "channel:", "channel:"}
	if !slices.Equal(reasons, want) {
		t.Errorf("found %q, want %q", reasons, want)
	}
}
