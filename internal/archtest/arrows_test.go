package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rule says what a package, and every package below it, may import. Packages of this module begin with a slash and
// stand for their tree, as other modules do. Through packages that have no rule, such as /internal/…, it holds as if
// their imports were the package's own.
type rule struct {
	pkg string
	may []string
	std []string // the only parts of the standard library; nil for all
	why string
}

// ban is an arrow that must not exist, however many packages of this module lie between.
type ban struct {
	from, to string
	why      string
}

// The engine has no I/O, clock, goroutine, lock, logger or global randomness; this much of the standard library is pure
// computation.
var engineStd = []string{
	"bytes", "cmp", "container", "crypto/hmac", "crypto/sha256", "encoding/binary", "errors", "fmt", "io", "iter", "maps",
	"math", "math/bits", "net/netip", "slices", "sort", "strconv", "strings", "time", "unsafe",
}

// These lie below an entry of engineStd and are still not for the engine.
var engineStdNever = []string{"math/rand"}

var (
	grpcStack = []string{"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc"}
	coreTree  = "/core"
)

var rules = []rule{
	{pkg: "/core/seqnum", std: engineStd, why: "arithmetic"},
	{pkg: "/core/wire", may: []string{"/core/seqnum"}, std: engineStd, why: "bytes to validated values and back"},
	{pkg: "/core/zbuf", may: []string{"golang.org/x/sys"}, why: "buffers know nothing of what is in them"},
	{pkg: "/core/fragment", may: []string{"/core/wire", "/core/zbuf"}, std: engineStd, why: "packets put together; the shell holds it"},
	{
		pkg: "/core/tcp/packetdrill", may: []string{"/core/seqnum", "/core/wire", "/core/zbuf", "/core/tcp"},
		why: "scripts run against the engine alone, in virtual time",
	},
	{
		pkg: "/core/tcp", may: []string{"/core/seqnum", "/core/wire", "/core/zbuf"}, std: engineStd,
		why: "the engine runs the same on a device, a link in memory and in the simulator",
	},
	{
		pkg: "/core/tun", may: []string{"/core/zbuf", "golang.org/x/sys", "github.com/songgao/water"},
		why: "the device moves packets and knows nothing of TCP",
	},
	{
		pkg: "/core/stack", may: []string{coreTree, "golang.org/x/sys"},
		why: "the shell joins device and engine, and can be embedded without the daemon",
	},
	{
		pkg: "/core/sim", may: []string{"/core/seqnum", "/core/wire", "/core/zbuf", "/core/tcp"},
		why: "simulated time needs no device",
	},
	{pkg: "/api", may: grpcStack, why: "the contract stands alone"},
	{
		pkg: "/daemon",
		may: slices.Concat([]string{
			"/api", coreTree, "go.uber.org/zap", "golang.org/x/sys", "golang.org/x/sync", "github.com/goccy/go-yaml",
			"github.com/spf13/pflag",
		}, grpcStack),
		why: "the daemon adapts the stack to the contract",
	},
	{
		pkg: "/client", may: slices.Concat([]string{"/api", "golang.org/x/sys", "golang.org/x/sync"}, grpcStack),
		why: "clients speak the contract and nothing else",
	},
	{
		pkg: "/cmd/starfishd",
		may: slices.Concat([]string{"/daemon", "/core", "github.com/spf13", "go.uber.org/zap", "golang.org/x"}, grpcStack),
		why: "flags and wiring",
	},
	{
		pkg: "/cmd/starfishctl",
		may: slices.Concat([]string{"/client", "/api", "/core", "github.com/spf13", "github.com/felixge/httpsnoop", "golang.org/x"}, grpcStack),
		why: "flags, wiring and printing; bench and the like run the engine in memory",
	},
}

var bans = []ban{
	{"/core", "/api", "the stack can be embedded without the daemon"},
	{"/core", "/daemon", "the stack can be embedded without the daemon"},
	{"/core", "/client", "the stack does not know who uses it"},
	{"/core", "google.golang.org/grpc", "the stack can be embedded without the daemon"},
	{"/core", "google.golang.org/protobuf", "the stack can be embedded without the daemon"},
	{"/core", "go.uber.org/zap", "the stack hands out counters and events; the daemon logs them"},
	{"/core/tcp", "/core/tun", "the engine does no I/O"},
	{"/core/tun", "/core/tcp", "the device moves packets of any kind"},
	{"/client", "/core", "clients speak the contract"},
	{"/client", "/daemon", "clients speak the contract"},
	{"/daemon", "/client", "the daemon does not call itself"},
	{"/cmd/starfishd", "/client", "the daemon does not call itself"},
	{"/cmd/starfishctl", "/daemon", "the two programs share nothing but the contract"},
}

// water is quarantined: it leaves descriptors without CLOEXEC and parks reads in Go's poller.
const (
	water    = "github.com/songgao/water"
	waterPkg = "/core/tun"
)

// free packages have no rule: tests, benchmarks, and helpers, which count as part of whoever imports them.
var free = []string{"/internal", "/test", "/bench", "/examples"}

func ruleOf(path string, rules []rule) (rule, bool) {
	for _, r := range rules {
		if within(path, r.pkg) {
			return r, true
		}
	}
	return rule{}, false
}

func arrow(chain []string) string { return strings.Join(chain, " → ") }

// violations returns a sentence for every import of g that breaks a rule or a ban.
func violations(g graph, rules []rule, bans []ban) []string {
	var found []string
	report := func(chain []string, why string) {
		found = append(found, fmt.Sprintf("%s: %s", arrow(chain), why))
	}
	for from := range g {
		r, ruled := ruleOf(from, rules)
		if !ruled && !withinAny(from, free) {
			found = append(found, from+": has no rule in internal/archtest: say what it may import")
		}
		if ruled {
			unruled := func(path string) bool { _, ok := ruleOf(path, rules); return !ok }
			g.visit(from, unruled, func(path string, chain []string) {
				if !r.allows(path) {
					report(chain, r.why)
				}
			})
		}
		for _, b := range bans {
			if !within(from, b.from) {
				continue
			}
			g.visit(from, func(string) bool { return true }, func(path string, chain []string) {
				if within(path, b.to) {
					report(chain, b.why)
				}
			})
		}
		if slices.Contains(g[from], water) && from != waterPkg {
			report([]string{from, water}, "only "+waterPkg+" opens devices")
		}
	}
	slices.Sort(found)
	return found
}

// allows says whether the rule's package may reach path, by an import of its own or through a helper.
func (r rule) allows(path string) bool {
	switch {
	case isStd(path):
		return r.std == nil || withinAny(path, r.std) && !withinAny(path, engineStdNever)
	case within(path, r.pkg), within(path, "/internal"):
		return true
	default:
		return withinAny(path, r.may)
	}
}

func TestArrows(t *testing.T) {
	for _, v := range violations(loadGraph(t), rules, bans) {
		t.Error(v)
	}
}

// The rules must be able to fail.
func TestViolationsAreFound(t *testing.T) {
	tests := []struct {
		name string
		g    graph
		want string
	}{
		{"direct", graph{"/core/wire": {"/core/tcp"}}, "/core/wire → /core/tcp: bytes"},
		{"engine's std", graph{"/core/tcp": {"os"}}, "/core/tcp → os: the engine"},
		{"below an entry", graph{"/core/tcp": {"math/rand/v2"}}, "/core/tcp → math/rand/v2: the engine"},
		{"not the tree of an entry's sibling", graph{"/core/tcp": {"net"}}, "/core/tcp → net: the engine"},
		{
			"through a helper",
			graph{"/client": {"/internal/x"}, "/internal/x": {"/internal/y"}, "/internal/y": {"go.uber.org/zap"}},
			"/client → /internal/x → /internal/y → go.uber.org/zap: clients",
		},
		{
			"transitive ban",
			graph{"/client": {"/api"}, "/api": {"/core/seqnum"}, "/core/seqnum": nil},
			"/client → /api → /core/seqnum: clients",
		},
		{"water", graph{"/test/x": {water}}, "/test/x → github.com/songgao/water: only"},
		{"no rule", graph{"/surprise": nil}, "/surprise: has no rule"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := violations(tt.g, rules, bans)
			if !slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, tt.want) }) {
				t.Errorf("violations = %q, want one that begins with %q", got, tt.want)
			}
		})
	}
}

func TestAllowedIsAllowed(t *testing.T) {
	g := graph{
		"/core/tcp":   {"time", "math/bits", "container/heap", "/core/seqnum", "/core/zbuf"},
		"/core/zbuf":  {"sync", "golang.org/x/sys/unix"},
		"/core/stack": {"/core/tun", "/core/tcp", "sync"},
		"/core/tun":   {water, "/core/zbuf"},
		"/daemon":     {"/core/stack", "google.golang.org/grpc/codes", "/daemon/config"},
	}
	for _, v := range violations(g, rules, bans) {
		t.Error(v)
	}
}
