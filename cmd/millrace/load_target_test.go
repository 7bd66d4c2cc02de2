package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// TestLoadAsksForItsTargets puts what the flags say to servers that remember what they were asked for.
func TestLoadAsksForItsTargets(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // load turns it off
	var mu sync.Mutex
	asked := map[string]int{}
	serve := func(name string, l net.Listener) string {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // a broken one shows below
			mu.Lock()
			asked[strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", name, r.Method, r.RequestURI, r.Header.Get("X-Id"), body))]++
			mu.Unlock()
		}))
		s.Listener.Close()
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
		return l.Addr().String()
	}
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	one, two := serve("one", listen("tcp", "127.0.0.1:0")), serve("two", listen("tcp", "127.0.0.1:0"))
	serve("unix", listen("unix", socket))
	file := filepath.Join(dir, "targets.txt")
	text := "# two kinds\nGET http://" + one + "/a\nX-Id: 7\n\nhttp://" + one + "/b\n@" + filepath.Join(dir, "body") + "\n"
	for name, data := range map[string]string{"targets.txt": text, "body": "b={n}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check := func(says string, args []string, want ...string) {
		t.Helper()
		mu.Lock()
		clear(asked)
		mu.Unlock()
		var out bytes.Buffer
		c := loadCommand()
		c.SetOut(&out)
		c.SetErr(&out)
		c.SilenceUsage = true
		c.SetArgs(append(args, "-c", "4", "-d", "500ms", "--rate", "100"))
		_ = c.Execute() // the host may be too noisy for a verdict; what is asked for does not depend on it
		if !strings.Contains(out.String(), says) {
			t.Errorf("%v: want %q in\n%s", args, says, &out)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, w := range want {
			if asked[w] == 0 {
				t.Errorf("%v: %q was not asked for: %v", args, w, asked)
			}
		}
	}
	check("http://"+one+"/1 and 2 other requests", []string{"http://" + one + "/1", "http://" + one + "/2", "http://" + two + "/3"},
		"one GET /1", "one GET /2", "two GET /3")
	check("/a and 1 other request", []string{"--targets", file}, "one GET /a 7", "one POST /b  b=11")
	check("/a and 1 other request", []string{"--targets", file, "--engine", "vegeta", "-H", "X-All: 1"}, "one GET /a 7", "one POST /b  b=11")
	check("http://x/{n} through "+socket, []string{"http://x/{n}", "--unix-socket", socket, "--body", "n"}, "unix POST /12  n")
	check("http://"+one, []string{"http://" + one + "/", "--source", "127.0.0.2-127.0.0.3", "--method", "DELETE"}, "one DELETE /")
}
