package millrace_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrace/millrace"

// imports is the dependency table of docs/ARCHITECTURE.md: what a package may depend on of ours, directly or through others.
// The first rule whose pattern matches a package holds; every package needs one. A trailing … stands for anything.
var imports = []struct {
	pkg string
	may []string
}{
	{"scenarios", nil},
	{"internal/validity", nil},
	{"internal/quantity", nil},
	{"internal/golden", nil},
	{"internal/wire", nil},
	{"internal/hist", []string{"internal/golden"}},
	{"internal/procfs", nil},
	{"internal/hostkey", nil},
	{"servers/kit…", []string{"servers/kit…", "scenarios", "internal/wire"}},
	{"servers/conform…", []string{"servers/conform…", "internal/wire"}},
	{"servers/gnet", []string{"servers/gnet/conn", "servers/kit…", "scenarios", "internal/wire"}},
	{"servers/netpoll", []string{"servers/netpoll/conn", "servers/kit…", "scenarios", "internal/wire"}},
	{"servers/nbio", []string{"servers/nbio/conn", "servers/kit…", "scenarios", "internal/wire"}},
	{"servers/goroutine…", []string{"servers/goroutine…", "servers/kit…", "scenarios", "internal/wire"}},
	{"servers/workers…", []string{"servers/workers…", "servers/kit…", "scenarios", "internal/wire"}},
	{"servers/rawepoll…", []string{"servers/rawepoll…", "servers/kit…", "scenarios", "internal/wire"}},
	{"servers/…", []string{"servers/kit…", "scenarios", "internal/wire"}},
	{"clients/fleet…", []string{"clients/fleet…"}},
	{"clients/checks", []string{"internal/hist", "internal/validity", "internal/quantity"}},
	{"clients/selfcheck", []string{"internal/hostkey"}},
	{"clients/reflect/raw", []string{"internal/wire"}},
	{"clients/capacity", []string{"clients", "clients/arrivals", "clients/checks", "scenarios", "internal/wire", "internal/hist", "internal/procfs", "internal/validity", "internal/quantity"}},
	{"clients…", []string{"clients…", "scenarios", "internal/wire", "internal/hist", "internal/procfs", "internal/hostkey", "internal/validity", "internal/quantity"}},
	{"results/observed", nil},
	{"results/export", []string{"results", "scenarios", "internal/hist", "internal/validity"}},
	{"results", []string{"scenarios", "internal/hist", "internal/validity"}},
	{"analysis/inference", nil},
	{"analysis/expect", []string{"analysis", "analysis/inference", "results", "scenarios", "internal/hist", "internal/validity"}},
	{"claims", []string{"analysis", "analysis/expect", "analysis/inference", "results", "scenarios", "internal/hist", "internal/validity"}},
	{"analysis/noise", []string{"analysis/inference", "analysis/compare", "results", "scenarios", "internal/hist", "internal/validity"}},
	{"analysis/compare", []string{"analysis/inference", "results", "scenarios", "internal/hist", "internal/validity"}},
	{"analysis/crossover", []string{"analysis/inference", "analysis/compare", "results", "scenarios", "internal/hist", "internal/validity", "internal/quantity"}},
	{"analysis/mechanism", []string{"analysis", "analysis/inference", "results", "results/observed", "scenarios", "internal/hist", "internal/validity"}},
	{"analysis", []string{"analysis/inference", "results", "scenarios", "internal/hist", "internal/validity"}},
	{"plots/synthetic", []string{"analysis", "analysis/inference", "results", "scenarios", "internal/hist", "internal/validity"}}, // for tests
	{"plots…", []string{"analysis/inference", "analysis/compare", "analysis/crossover", "plots/axis", "plots/glyph", "plots/frame", "plots/compared", "plots/swept", "results", "scenarios", "internal/hist", "internal/validity", "internal/quantity"}},
	{"report/sheet", []string{"internal/quantity"}},
	{"report/explained", []string{"report/sheet", "analysis", "analysis/inference", "analysis/mechanism", "results", "results/observed", "scenarios", "internal/hist", "internal/validity", "internal/quantity"}},
	{"report/claimed", []string{"report/sheet", "claims", "analysis", "analysis/expect", "analysis/inference", "results", "scenarios", "internal/hist", "internal/validity", "internal/quantity"}},
	{"report/compared", []string{"report/sheet", "analysis/inference", "analysis/compare", "analysis/noise", "results", "scenarios", "internal/hist", "internal/validity", "internal/quantity"}},
	{"report", []string{"report/sheet", "report/claimed", "claims", "analysis/expect", "analysis/inference", "analysis", "analysis/compare", "analysis/crossover", "plots", "plots/axis", "plots/glyph", "plots/frame", "plots/compared", "plots/swept", "results", "scenarios", "internal/hist", "internal/validity", "internal/quantity"}},
	{"runner/design", nil},
	{"runner/host", []string{"results", "scenarios", "internal/procfs", "internal/hist", "internal/validity"}},
	{"runner/observe", []string{"results/observed", "internal/procfs"}},
	{"runner/judge", []string{"runner/observe", "results/observed", "runner/sut…", "clients", "clients/checks", "clients/floor", "clients/arrivals", "clients/fleet…", "scenarios", "results", "servers/conform…", "internal/wire", "internal/procfs", "internal/hist", "internal/validity", "internal/quantity"}},
	{"runner/sut/foreign", []string{"results", "scenarios", "internal/hist", "internal/validity"}},
	{"runner/sut/setting", nil},
	{"runner/sut", []string{"runner/sut/…", "runner/observe", "results/observed", "clients/fleet…", "results", "scenarios", "servers/conform…", "internal/wire", "internal/procfs", "internal/hist", "internal/validity"}},
	{"runner", []string{"runner/design", "runner/host", "runner/judge", "runner/observe", "results/observed", "runner/sut…", "clients", "clients/checks", "clients/floor", "clients/arrivals", "clients/fleet…", "scenarios", "results", "servers/conform…", "internal/wire", "internal/procfs", "internal/hist", "internal/validity", "internal/quantity"}},
	{"cmd/ruler", []string{"clients…", "scenarios", "results", "analysis…", "runner/host", "internal/…"}},
	{"cmd/millrace-member", []string{"clients…", "scenarios", "internal/…"}},
	{"cmd/millrace", []string{"clients…", "scenarios", "results…", "analysis…", "claims", "plots", "plots/axis", "plots/glyph", "plots/frame", "plots/compared", "plots/swept", "report…", "runner…", "servers/conform…", "internal/…"}},
}

// frameworks are what is measured: the ruler, the runner and the reports must build without them.
var frameworks = regexp.MustCompile(`panjf2000/(gnet|ants)|cloudwego/netpoll|valyala/fasthttp|lesismal/nbio|tidwall/evio|labstack/echo|gin-gonic/gin|fasthttp/(router|websocket)`)

func matches(pattern, pkg string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "…"); ok {
		return strings.HasPrefix(pkg, prefix)
	}
	return pattern == pkg
}

func TestImports(t *testing.T) {
	var errs bytes.Buffer
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, errs.String())
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg, ours := strings.CutPrefix(fields[0], module+"/")
		if !ours {
			continue
		}
		i := slices.IndexFunc(imports, func(r struct {
			pkg string
			may []string
		}) bool {
			return matches(r.pkg, pkg)
		})
		if i < 0 {
			t.Errorf("package %s has no line in the dependency table: add one, and the same to docs/ARCHITECTURE.md", pkg)
			continue
		}
		for _, dep := range fields[1:] {
			if own, ok := strings.CutPrefix(dep, module+"/"); ok {
				if !slices.ContainsFunc(imports[i].may, func(p string) bool { return matches(p, own) }) {
					t.Errorf("package %s depends on %s: it may depend on %v only", pkg, own, imports[i].may)
				}
			} else if frameworks.MatchString(dep) && !strings.HasPrefix(pkg, "servers/") {
				t.Errorf("package %s depends on %s: only servers may, the ruler must not know what it measures", pkg, dep)
			}
		}
	}
}

// Limits of size, a ratchet: lower them when the code allows it.
const (
	maxFileLines     = 400
	maxFunctionLines = 70
	maxPackageLines  = 1500 // cmd apart
	maxServerLines   = 250  // a server program on a framework
	maxReactorLines  = 400  // a server program that brings its own event loop
)

// larger are packages with a limit of their own, and why.
var larger = map[string]int{
	"scenarios":              1800, // one document: each section with its decoding, its defaults and its checks
	"results":                1700, // one run's directory: its records, their reading and writing, and the table of metrics
	"runner":                 1800, // one plan and its carrying out: steps, rounds, trials, resuming
	"report":                 1950, // one document: tables, ratios, tiers and sweeps share its footnotes
	"clients/reactor":        2990, // one state machine: its shards, the three transports that call it back, and WebSocket
	"clients/recording":      1670, // one set of books: what is counted, its parts of several processes, and the report
	"servers/conform/cases":  2500, // one list: what is asked of a server over four protocols
	"runner/sut":             2350, // one agent: what it can start, the processes, their replicas, the sampling of both sides, and the guard of memory
	"servers/kit":            2150, // one contract: flags, control channel, readings, and the sessions of four protocols
	"servers/downstream":     800,  // no model: its loop, two protocols, and when replies are due
	"servers/goroutine/conn": 500,  // five ways to serve a connection; a server has one of them
	"clients/push":           1520, // subscribers as one state machine: over TCP and WebSocket, fast and slow
	"internal/wire":          1890, // three protocols, both sides, whose parsers share their tables and keep no bytes
	"clients/reflect":        1600, // servers of two kinds, those that answer and those that push, with the faults of each
}

// reactors are the server programs with an event loop of their own.
var reactors = []string{"servers/workers", "servers/rawepoll"}

// goFiles calls f for every Go file that git would keep.
func goFiles(t *testing.T, f func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == "bin" || path == "results/runs" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			f(path, data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSizes(t *testing.T) {
	packages := map[string]int{}
	goFiles(t, func(path string, data []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		lines := bytes.Count(data, []byte("\n"))
		packages[filepath.Dir(path)] += lines
		if lines > maxFileLines {
			t.Errorf("%s has %d lines: want at most %d: split it by noun", path, lines, maxFileLines)
		}
		files := token.NewFileSet()
		tree, err := parser.ParseFile(files, path, data, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				if n := files.Position(fn.End()).Line - files.Position(fn.Pos()).Line + 1; n > maxFunctionLines {
					t.Errorf("%s: function %s has %d lines: want at most %d", path, fn.Name.Name, n, maxFunctionLines)
				}
			}
		}
	})
	for dir, lines := range packages {
		limit := maxPackageLines
		switch {
		case strings.HasPrefix(dir, "cmd/"):
			continue
		case larger[dir] > 0:
			limit = larger[dir]
		case slices.Contains(reactors, dir):
			limit = maxReactorLines
		case strings.HasPrefix(dir, "servers/") && !strings.HasPrefix(dir, "servers/kit") && !strings.HasPrefix(dir, "servers/conform"):
			limit = maxServerLines
		}
		if lines > limit {
			t.Errorf("package %s has %d lines: want at most %d: split it by what it knows", dir, lines, limit)
		}
	}
}

// remarks are review remarks that were made twice. Each names what to do instead.
var remarks = []struct {
	name, instead string
	pattern       *regexp.Regexp
	tests         bool // looked for in tests only
}{
	{"sleep in a test", "wait for a message, or use testing/synctest", regexp.MustCompile(`\btime\.` + `Sleep\(`), true},
	{"left over", "do it or delete it", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`), false},
	{"failed to", "say `verbing object: cause`", regexp.MustCompile(`Errorf\("failed ` + `to`), false},
}

func TestRemarks(t *testing.T) {
	vague := []string{"util.go", "utils.go", "common.go", "helpers.go", "types.go", "manager.go", "misc.go"}
	goFiles(t, func(path string, data []byte) {
		if slices.Contains(vague, filepath.Base(path)) {
			t.Errorf("%s: name the file after the noun it defines", path)
		}
		for _, r := range remarks {
			if r.tests && !strings.HasSuffix(path, "_test.go") {
				continue
			}
			if at := r.pattern.FindIndex(data); at != nil {
				t.Errorf("%s:%d: %s: %s", path, bytes.Count(data[:at[0]], []byte("\n"))+1, r.name, r.instead)
			}
		}
	})
}
