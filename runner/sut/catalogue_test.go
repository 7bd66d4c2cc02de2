package sut

import (
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/results"
)

func TestSplitNames(t *testing.T) {
	check := func(text string, want ...string) {
		t.Helper()
		if got := SplitNames(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	check("")
	check("goroutine,gnet", "goroutine", "gnet")
	check("goroutine gnet", "goroutine", "gnet")
	check("goroutine,,gnet,", "goroutine", "gnet")
	check("gnet/ants,GOGC=400", "gnet/ants,GOGC=400")
	check("gnet/ants,edge,goroutine,workers/pool-size=64,chanchan", "gnet/ants,edge", "goroutine", "workers/pool-size=64,chanchan")
	check("goroutine,GOGC=400", "goroutine", "GOGC=400") // no slash: it is refused by name
	check("gnet/ants,gnet/edge", "gnet/ants", "gnet/edge")
	check("gnet/ants,./nginx.yaml,goroutine/duplex", "gnet/ants", "./nginx.yaml", "goroutine/duplex")
	check("./a/nginx.yaml,other.yml,gnet", "./a/nginx.yaml", "other.yml", "gnet")
	check("gnet/ants GOGC=400", "gnet/ants", "GOGC=400")
}

// The variables of a variant reach its process, beside those of the runner.
func TestVariablesReachTheServer(t *testing.T) {
	c := toyCommand("good")
	c.Env = append(variables([]string{"GOMAXPROCS=7"}), c.Env[len(c.Env)-1])
	p := startToy(t, c)
	reply, err := p.request("cpus")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(<-reply); !strings.Contains(got, `"gomaxprocs":7`) {
		t.Errorf("got %s, want gomaxprocs 7", got)
	}
	if variables(nil) != nil {
		t.Error("a variant without variables has an environment of its own")
	}
}

func TestVariantOfSettings(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "workers", `#!/bin/sh
echo '{"schema":1,"name":"workers","doc":"a pool","framework":{"module":"m","version":"v1"},"protocols":["http1"],"variants":[{"name":"chanchan","doc":"channels","flags":["--dispatch=chanchan"]}],"settings":["dispatch","pool-size"]}'
`)
	cat, err := ReadCatalogue(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := cat.Variant("workers/chanchan,pool-size=64,GOGC=400")
	if err != nil || !slices.Equal(v.Args, []string{"--dispatch=chanchan", "--pool-size=64"}) || !slices.Equal(v.Env, []string{"GOGC=400"}) ||
		v.Model != "workers" || v.Name != "workers/chanchan,pool-size=64,GOGC=400" || v.Doc != "channels; pool-size=64; GOGC=400" {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := cat.Variant("workers/GOGC=400"); err != nil || v.Doc != "a pool; GOGC=400" {
		t.Errorf("%+v, %v", v, err)
	}
	for name, want := range map[string]string{
		"workers/pool=1": "want some of chanchan, dispatch=…, pool-size=…",
		"worker":         "want one of workers, workers/chanchan, or a .yaml file",
		"none.yaml":      "none.yaml",
	} {
		if _, err := cat.Variant(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", name, err, want)
		}
	}
	again, err := cat.Again(results.Variant{Name: "workers/chanchan"})
	if err != nil || len(again.Args) != 1 {
		t.Errorf("%+v, %v", again, err)
	}
}
