package secure_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// near checks a time against arithmetic: nothing comes early by more than the histogram's 0.1 %, and a busy host may be
// late by so much.
func near(t *testing.T, what string, ns *int64, want, late time.Duration) {
	t.Helper()
	switch {
	case ns == nil:
		t.Errorf("%s: too few samples, want %v", what, want)
	case float64(*ns) < 0.995*float64(want) || *ns > int64(want+late):
		t.Errorf("%s is %v, want %v and at most %v more", what, time.Duration(*ns), want, late)
	}
}

func TestFixedDelayOn1000Connections(t *testing.T) {
	a := newAuthority(t)
	const delay = 20 * time.Millisecond
	connections, length := 1000, 1000
	if testing.Short() {
		connections, length = 100, 300
	}
	f := &front{to: origin(t, reflect.Script{Delay: delay}).URL()}
	r := run(t, plan(f.serve(t, a), a, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = connections
		s.Phases = []scenarios.Phase{steady(length, 2000), drain(400)}
	}))
	only(t, r, "ok")
	near(t, "p50 of the response", r.ResponseNs.P50, delay, 10*time.Millisecond)
	near(t, "p50 of the service", r.ServiceNs.P50, delay, 10*time.Millisecond)
	if r.ConnectionsOpened != int64(connections) || f.accepted.Load() != int64(connections) {
		t.Errorf("%d connections opened, %d accepted, want %d", r.ConnectionsOpened, f.accepted.Load(), connections)
	}
}

// A server that freezes for F during a load of T at a constant rate delays a share F ÷ T of the arrivals by what is left of
// the freeze, so that for 1−q < F/T the response quantile q is F − (1−q)·T. With four connections hardly any of them is in
// the server, and only counting from the intended time shows it.
func TestFreezeIsSeenFromTheIntendedTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	a := newAuthority(t)
	const freeze, length = 500 * time.Millisecond, 2 * time.Second
	f := &front{to: origin(t, reflect.Script{FreezeAt: length / 4, FreezeFor: freeze}).URL()}
	r := run(t, plan(f.serve(t, a), a, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = 4
		s.Phases = []scenarios.Phase{steady(int(length.Milliseconds()), 600), drain(600)}
	}))
	only(t, r, "ok")
	near(t, "p90 of the response", r.ResponseNs.P90, freeze-length/10, 200*time.Millisecond)
	near(t, "p50 of the response", r.ResponseNs.P50, 0, 100*time.Millisecond)
	near(t, "p90 of the service", r.ServiceNs.P90, 0, 200*time.Millisecond)
}

// X = N ÷ D: a closed loop of N connections against a delay of D.
func TestClosedLoop(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	const connections, delay = 20, 20 * time.Millisecond
	f := &front{to: origin(t, reflect.Script{Delay: delay}).URL()}
	r := run(t, plan(f.serve(t, a), a, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Count = connections
		s.Phases = []scenarios.Phase{{Name: "load", Load: "steady", For: ms(1000), Measure: true, Arrivals: scenarios.Arrivals{Closed: true}}}
	}))
	if want := float64(connections) / delay.Seconds(); r.AchievedRPS > 1.005*want || r.AchievedRPS < 0.6*want/slow {
		t.Errorf("%v/s, want at most %v and at least %v", r.AchievedRPS, want, 0.6*want/slow)
	}
	if r.Loop != "closed" || r.Outcomes["ok"]+r.Outcomes["in_flight"] != r.Planned || r.Outcomes["in_flight"] > connections {
		t.Errorf("%s loop, outcomes %v", r.Loop, r.Outcomes)
	}
}

func TestConnectTimeIsPartOfTheResponse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	a := newAuthority(t)
	f := &front{to: origin(t, reflect.Script{}).URL()}
	r := run(t, plan(f.serve(t, a), a, func(_ *clients.Plan, s *scenarios.Scenario) {
		s.Connections.Requests, s.Connections.Close = 1, "fin-client"
		s.Phases = []scenarios.Phase{steady(1100*slow, 200/slow), drain(600 * slow)} // a median needs 200
	}))
	only(t, r, "ok")
	response, service, connect, shake := r.ResponseNs.P50, r.ServiceNs.P50, r.ConnectNs.P50, r.TLS.HandshakeNs.P50
	if response == nil || service == nil || connect == nil || shake == nil || *service >= *response || *connect >= *response || *shake >= *connect {
		t.Errorf("p50 of response %v, service %v, connect %v, handshake %v: want the handshake within connect, and that within response", response, service, connect, shake)
	}
}

func TestResumption(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	part, wait := together(t)
	defer wait()
	for version, resume := range map[string]bool{"1.2": true, "1.3": true, "": false} {
		part(version, func(t *testing.T) {
			f := &front{to: origin(t, reflect.Script{}).URL()}
			r := run(t, plan(f.serve(t, a), a, func(p *clients.Plan, s *scenarios.Scenario) {
				p.TLS.Resume, p.TLS.Max = resume, version
				s.Connections.Requests, s.Connections.Close = 1, "fin-client"
				s.Phases[0] = steady(400, 50)
			}))
			only(t, r, "ok")
			if (r.TLS.Resumed > 0) != resume {
				t.Errorf("%d of %d handshakes resumed, asked for: %v", r.TLS.Resumed, r.TLS.Handshakes, resume)
			}
			if version != "" && r.TLS.Versions[version] != r.TLS.Handshakes {
				t.Errorf("versions %v, want %s only", r.TLS.Versions, version)
			}
		})
	}
}

func TestCancelEndsSoon(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	part, wait := together(t)
	defer wait()
	long := func(_ *clients.Plan, s *scenarios.Scenario) { s.Phases = []scenarios.Phase{steady(60_000, 500)} }
	part("in the load", func(t *testing.T) {
		srv := origin(t, reflect.Script{})
		f := &front{to: srv.URL()}
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			for srv.Handled.Load() < 50 {
				<-time.After(time.Millisecond)
			}
			cancel()
		}()
		r, err := runFor(ctx, plan(f.serve(t, a), a, long))
		if err != nil {
			t.Fatal(err)
		}
		check(t, r)
		if !r.Interrupted || r.Outcomes["ok"] < 40 || r.DurationSeconds > 30 {
			t.Errorf("interrupted %v after %v s, outcomes %v", r.Interrupted, r.DurationSeconds, r.Outcomes)
		}
	})
	part("in the handshakes", func(t *testing.T) {
		f := &front{to: "127.0.0.1:1", spoil: "silent"}
		ctx, cancel := context.WithCancel(context.Background())
		url := f.serve(t, a)
		go func() {
			for f.accepted.Load() < 5 {
				<-time.After(time.Millisecond)
			}
			cancel()
		}()
		if _, err := runFor(ctx, plan(url, a, long)); err == nil || !strings.Contains(err.Error(), "canceled before the first phase") {
			t.Errorf("error %v, want that it was canceled", err)
		}
	})
}

// What can't ever work is an error that names the cause and the way out, soon.
func TestNoConnectionCanBeSecured(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	part, wait := together(t)
	defer wait()
	refuse := func(name string, url func(t *testing.T) string, change func(*clients.TLS), want ...string) {
		part(name, func(t *testing.T) {
			begun := time.Now()
			_, err := runFor(context.Background(), plan(url(t), a, func(p *clients.Plan, s *scenarios.Scenario) {
				s.Phases = []scenarios.Phase{steady(60_000, 500)}
				if change != nil {
					change(p.TLS)
				}
			}))
			for _, w := range want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("error %v, want %q in it", err, w)
				}
			}
			if took := time.Since(begun); took > 10*slow*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	served := func(f *front) func(t *testing.T) string {
		return func(t *testing.T) string {
			f.to = origin(t, reflect.Script{}).URL()
			return f.serve(t, a)
		}
	}
	refuse("unknown authority", served(&front{}), func(o *clients.TLS) { o.Authorities = stranger.pem }, "unknown authority", "--ca FILE", "--insecure")
	refuse("the host's roots", served(&front{}), func(o *clients.TLS) { o.Authorities = nil }, "unknown authority", "--ca FILE")
	refuse("another name", served(&front{}), func(o *clients.TLS) { o.ServerName = "other.test" }, "not other.test", "--server-name NAME")
	refuse("too old", served(&front{config: &tls.Config{MinVersion: tls.VersionTLS13}}), func(o *clients.TLS) { o.Max = "1.2" }, "protocol version", "--tls-max")
	refuse("plain http", func(t *testing.T) string {
		srv := httptest.NewServer(http.NotFoundHandler())
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(srv.Close)
		return strings.Replace(srv.URL, "http://", "https://", 1)
	}, nil, "does not look like a TLS handshake", "say http://")
	refuse("closed", served(&front{spoil: "close"}), nil, "EOF", "meant for https")

	part("any certificate", func(t *testing.T) {
		f := &front{to: origin(t, reflect.Script{}).URL()}
		r := run(t, plan(f.serve(t, a), a, func(p *clients.Plan, _ *scenarios.Scenario) { p.TLS = &clients.TLS{Insecure: true} }))
		if only(t, r, "ok"); r.TLS.Verified {
			t.Error("verified, though any certificate would have done")
		}
	})
	part("by name", func(t *testing.T) {
		asked := make(chan string, 100)
		f := &front{to: origin(t, reflect.Script{}).URL(), config: &tls.Config{
			Certificates: []tls.Certificate{a.certificate},
			GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
				asked <- h.ServerName + " " + strings.Join(h.SupportedProtos, ",")
				return nil, nil
			},
		}}
		only(t, run(t, plan(f.serve(t, a), a, func(p *clients.Plan, _ *scenarios.Scenario) { p.TLS.ServerName = "server.test" })), "ok")
		if got := <-asked; got != "server.test http/1.1" {
			t.Errorf("the client asked for %q", got)
		}
	})
}

func TestGoServer(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// The client sees what was not written.
		_, _ = w.Write([]byte(hello))
	}))
	srv.EnableHTTP2 = true // offered, and not taken
	srv.StartTLS()
	defer srv.Close()
	for _, requests := range []int{0, 3} {
		r := run(t, plan(srv.URL, &authority{}, func(p *clients.Plan, s *scenarios.Scenario) {
			p.TLS = &clients.TLS{Insecure: true}
			if s.Connections.Requests = requests; requests > 0 {
				s.Connections.Close = "fin-server"
			}
		}))
		only(t, r, "ok")
	}
}

// nginx hands its listening socket to a child in the variable NGINX, so that no port has to be guessed.
func TestNginx(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server")
	}
	t.Parallel()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	a, dir := newAuthority(t), t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cert.pem": string(a.pem), "key.pem": string(a.keyPEM),
		"nginx.conf": `daemon off; pid pid; error_log stderr; events { worker_connections 256; }
http { access_log off; server { listen ` + l.Addr().String() + ` ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
location / { return 200 "` + hello + `"; } } }`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	cmd := exec.Command(nginx, "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	cmd.ExtraFiles, cmd.Env, cmd.Stderr = []*os.File{socket}, append(os.Environ(), "NGINX=3;"), &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(said.String())
		}
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []string{"none", "fin-client", "fin-server", "rst"} {
		r := run(t, plan("https://"+l.Addr().String()+"/", a, func(_ *clients.Plan, s *scenarios.Scenario) {
			if s.Phases[1] = drain(200); policy != "none" {
				s.Connections.Requests, s.Connections.Close = 5, policy
			}
		}))
		only(t, r, "ok")
	}
}
