package setting

import (
	"slices"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	known := Known{
		Named: []Named{{"chanchan", "a channel of channels", []string{"--dispatch=chanchan"}}, {"ants", "ants", []string{"--dispatch", "ants"}}},
		Flags: []string{"dispatch", "pool-size"},
	}
	check := func(words, args, env string) {
		t.Helper()
		got, err := known.Read("workers/"+words, words)
		if err != nil || strings.Join(got.Args, " ") != args || strings.Join(got.Env, " ") != env {
			t.Errorf("%s: %q, %q, %v; want %q, %q", words, got.Args, got.Env, err, args, env)
		}
	}
	refuse := func(words string, parts ...string) {
		t.Helper()
		_, err := known.Read("workers/"+words, words)
		if err == nil || slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(err.Error(), p) }) {
			t.Errorf("%s: error %v, want %q in it", words, err, parts)
		}
	}
	check("chanchan", "--dispatch=chanchan", "")
	check("pool-size=64", "--pool-size=64", "")
	check("chanchan,pool-size=64,GOGC=400", "--dispatch=chanchan --pool-size=64", "GOGC=400")
	check("GOMEMLIMIT=512MiB,GOMAXPROCS=2,GOGC=off", "", "GOMEMLIMIT=512MiB GOMAXPROCS=2 GOGC=off")
	check("GODEBUG=netdns=go,GOGC=50,GODEBUG=madvdontneed=1", "", "GODEBUG=netdns=go,madvdontneed=1 GOGC=50")

	refuse("", "unknown setting \"\"", "chanchan, ants, dispatch=…, pool-size=…, GOGC=…")
	refuse("spawn", "unknown setting \"spawn\"", "pool-size=…")
	refuse("poolsize=64", "unknown setting \"poolsize=64\"", "pool-size=…")
	refuse("listen=1.2.3.4:5", "unknown setting") // a flag of serve, and none of the model's own
	refuse("LD_PRELOAD=x.so", "unknown setting", "GOMAXPROCS=…")
	refuse("GOGC=fast", "GOGC=fast", "want off or 1 to")
	refuse("GOGC=0", "want off or 1 to")
	refuse("GOMAXPROCS=+1", "want 1 to")
	refuse("GOMEMLIMIT=half", "512MiB")
	refuse("GODEBUG=x", "netdns=go")
	refuse("pool-size=64 --listen", "unknown setting")
	refuse("chanchan,dispatch=ants", "chanchan and dispatch=ants both set --dispatch")
	refuse("chanchan,ants", "both set --dispatch")
	refuse("GOGC=1,GOGC=2", "both set GOGC")
	refuse(strings.Repeat("pool-size=1,", 20), "want at most 16")
}
