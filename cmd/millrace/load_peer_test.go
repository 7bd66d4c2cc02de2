package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/millrace/millrace/clients/reflect"
)

// TestLoadSaysWhatAForeignPeerSpeaks loads servers of other protocols than the URL says.
func TestLoadSaysWhatAForeignPeerSpeaks(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // load turns it off
	serve := func(first string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					if _, err := io.WriteString(c, first); err == nil {
						_, _ = io.Copy(io.Discard, c) // until the client goes
					}
				}()
			}
		}()
		return l.Addr().String()
	}
	load := func(args ...string) string {
		var out bytes.Buffer
		c := loadCommand()
		c.SetOut(&out)
		c.SetErr(&out)
		c.SilenceUsage = true
		c.SetArgs(append(args, "-c", "2", "-d", "300ms", "--rate", "20"))
		_ = c.Execute() // INVALID, as it should be
		return out.String()
	}
	check := func(want string, args ...string) {
		t.Helper()
		if got := load(args...); !strings.Contains(got, want) {
			t.Errorf("%v: want %q in\n%s", args, want, got)
		}
	}
	alert := serve("\x15\x03\x01\x00\x02\x02\x50")
	check(`peer       asked once more, it sent "\x15\x03\x01\x00\x02\x02P": it speaks TLS: use https://`+alert+"/x", "http://"+alert+"/x")
	check(`it speaks TLS: use https://`+alert, "http://"+alert, "--engine", "vegeta")
	check(`"\x15\x03\x01\x00\x02\x02P": it speaks TLS`+"\n", "frame://"+alert)
	ssh := serve("SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5 and so on\r\n")
	check(`it sent "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5", which is no HTTP/1.1 reply`, "http://"+ssh+"/")
	check(`it sent "SSH-2.0-OpenSSH_9.6p1 Ubuntu-3ubuntu13.5", which is no frame`, "frame://"+ssh)

	polite := httptest.NewUnstartedServer(http.NotFoundHandler())
	polite.Config.ErrorLog = log.New(io.Discard, "", 0)
	polite.StartTLS()
	defer polite.Close()
	plain := strings.TrimPrefix(polite.URL, "https://")
	check("peer       asked once more, it refused plain HTTP: it speaks TLS: use https://"+plain+"/", "http://"+plain+"/")

	silent, err := tls.Listen("tcp", "127.0.0.1:0", polite.TLS)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.(*tls.Conn).Handshake() // of most it fails, and closing is all they are told
				c.Close()
			}()
		}
	}()
	check("it said nothing to plain HTTP and answered a TLS handshake: use https://"+silent.Addr().String(), "http://"+silent.Addr().String())

	good, err := reflect.Start(reflect.Script{Protocol: "http1", Body: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) }))
	defer refuses.Close()
	for _, url := range []string{good.URL(), refuses.URL} {
		if got := load(url); strings.Contains(got, "peer  ") {
			t.Errorf("%s: a hint that is none:\n%s", url, got)
		}
	}
}
