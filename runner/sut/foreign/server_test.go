package foreign

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadRefuses(t *testing.T) {
	const good = "name: own\ndoc: a shell\ncommand: [sh, -c, 'exit 0']\nprotocols: [http1]\n"
	if _, err := Read(write(t, good), nil); err != nil {
		t.Errorf("a good description: %v", err)
	}
	check := func(want, text string) {
		t.Helper()
		if _, err := Read(write(t, text), []string{"gnet"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
	check("port", good+"port: 80\n") // unknown field
	check("want another", strings.Replace(good, "own", "gnet", 1))
	check("lower-case", strings.Replace(good, "own", "../own", 1))
	check("doc is empty", strings.Replace(good, "a shell", "''", 1))
	check("command is empty", "name: own\ndoc: x\nprotocols: [http1]\n")
	check("want some of http1, frame", strings.Replace(good, "[http1]", "[gopher]", 1))
	check("unknown placeholder {{prot}}: want one of {{addr}}", strings.Replace(good, "exit 0", "exit {{prot}}", 1))
	check("want SIGTERM, SIGINT or SIGQUIT", good+"stop: SIGKILL\n")
	check("plain name", good+"files: {../x: y}\n")
	check("plain name other than body", good+"files: {body: y}\n")
	check("want digits with dots", good+"version: [echo, none]\n")
	check("version: running no-such-program", good+"version: [no-such-program]\n")
	check("install it", strings.Replace(good, "[sh,", "[no-such-program,", 1))
	if _, err := Read(filepath.Join(t.TempDir(), "none.yaml"), nil); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("no file: %v", err)
	}
}

func TestPrepareFillsIn(t *testing.T) {
	f, err := Read(write(t, `name: own
doc: a shell
framework: sh
version: [echo, "sh, version 1.0 of today"]
command: [sh, "{{dir}}/run", "{{addr}}", "{{host}}:{{port}}", "{{payload}}", "{{cpus}}", "{{protocol}}"]
files:
  run: "cat {{body}}"
protocols: [http1]
stop: SIGQUIT
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c, err := f.Prepare(dir, "http1", []byte("hello"), 3)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{dir + "/run", c.Addr, c.Addr, "5", "3", "http1"}, " ")
	if got := strings.Join(c.Args, " "); got != want || c.Stop != syscall.SIGQUIT || c.Dir != dir {
		t.Errorf("%+v, want arguments %q", c, want)
	}
	run, _ := os.ReadFile(filepath.Join(dir, "run"))
	body, _ := os.ReadFile(filepath.Join(dir, "body"))
	if string(run) != "cat "+dir+"/body" || string(body) != "hello" {
		t.Errorf("files %q, %q", run, body)
	}
	v := f.Variant()
	other, err := Read(write(t, "name: own\ndoc: another\ncommand: [sh]\nprotocols: [http1]\n"), nil)
	if v.Framework != "sh 1.0" {
		t.Errorf("framework %q, want sh 1.0", v.Framework)
	}
	if err != nil || v.SHA256 == "" || other.Variant().SHA256 == v.SHA256 {
		t.Errorf("two descriptions of one program have the checksum %s, %v", v.SHA256, err)
	}
}
