package host

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestCaptureEnvOfThisHost(t *testing.T) {
	env := CaptureEnv(t.Context(), map[string]string{"example.org/framework": "v1.2.3"}, "v0", "abc123+")
	if env.Commit != "abc123" || !env.Dirty || env.Millrace != "v0" || env.Modules["example.org/framework"] != "v1.2.3" {
		t.Errorf("build %+v", env)
	}
	if env.Go != runtime.Version() || env.Cores < 1 || env.MemBytes < 1<<20 || !strings.HasPrefix(env.Kernel, "Linux ") {
		t.Errorf("host %+v", env)
	}
	if len(env.Host) != 12 || env.Sysctls["net.ipv4.tcp_rmem"] == "" || env.Limits["files_hard"] < env.Limits["files"] || env.Limits["files"] == 0 {
		t.Errorf("limits %+v", env)
	}
	if name, err := os.Hostname(); err == nil && len(name) > 3 {
		if data, err := json.Marshal(env); err != nil || strings.Contains(string(data), name) {
			t.Errorf("the record tells the host's name %s (%v)", name, err)
		}
	}
}

func TestCommitOf(t *testing.T) {
	check := func(built string, settings map[string]string, commit string, dirty bool) {
		t.Helper()
		var info debug.BuildInfo
		for k, v := range settings {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: k, Value: v})
		}
		if c, d := commitOf(t.Context(), built, &info); c != commit || d != dirty {
			t.Errorf("built %q, %v: commit %q, dirty %v", built, settings, c, d)
		}
	}
	check("abc", nil, "abc", false)
	check("abc+", nil, "abc", true)
	check("", map[string]string{"vcs.revision": "def", "vcs.modified": "true"}, "def", true)

	t.Chdir(t.TempDir())
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(must(os.Getwd())))
	check("", nil, "", false)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "a"},
	} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	check("", nil, must(git(t.Context(), "rev-parse", "--short=12", "HEAD")), false)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
