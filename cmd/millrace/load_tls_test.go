package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
)

// secured starts an https server, and returns its URL and the file of its certificate.
func secured(t *testing.T) (url, ca string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// The client counts what was not written.
		_, _ = io.WriteString(w, "hello")
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // connections are reset at the end of a load
	srv.StartTLS()
	t.Cleanup(srv.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return srv.URL, ca
}

// loadSecured runs `millrace load` and returns what it printed and its exit status.
func loadSecured(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(binDir, "millrace"), append([]string{"load"}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the status says it
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestLoadOverTLS(t *testing.T) {
	url, ca := secured(t)
	out, errs, _ := loadSecured(t, url, "--ca", ca, "-c", "4", "-d", "500ms", "--rate", "200")
	for _, want := range []string{"tls engine", "tls        TLS 1.3, TLS_", "0 of 4 handshakes resumed a session", "slower than engine epoll, and its floor is lower", "100 planned, "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s%s", want, out, errs)
		}
	}
	out, errs, _ = loadSecured(t, url, "--insecure", "--tls-max", "1.2", "--tls-resume", "--requests", "1", "-c", "4", "-d", "500ms", "--rate", "50", "--json", "-")
	var r clients.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	if r.Engine != "tls" || r.TLS == nil || r.TLS.Verified || r.TLS.Resumed == 0 || r.TLS.Versions["1.2"] != r.TLS.Handshakes || r.Outcomes["ok"] == 0 {
		t.Errorf("engine %s, outcomes %v, TLS %+v", r.Engine, r.Outcomes, r.TLS)
	}
}

func TestARefusedCertificateNamesTheWayOut(t *testing.T) {
	url, _ := secured(t)
	_, errs, status := loadSecured(t, url, "-d", "1h")
	if status != exitFailed || !strings.Contains(errs, "unknown authority") || !strings.Contains(errs, "--ca FILE") || !strings.Contains(errs, "--insecure") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	if _, errs, status = loadSecured(t, url, "--tls-min", "2"); status != exitUsage {
		t.Errorf("exit status %d: %s", status, errs)
	}
}
