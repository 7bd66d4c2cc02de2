package request

import (
	"slices"
	"testing"

	"github.com/millrace/millrace/clients"
)

func TestRemoteHosts(t *testing.T) {
	to := func(urls ...string) *clients.Plan {
		p := &clients.Plan{URL: urls[0]}
		for _, u := range urls {
			p.Requests = append(p.Requests, clients.Request{URL: u})
		}
		return p
	}
	const near, away = "http://127.0.0.1:80/{n}", "http://192.0.2.1:81/"
	for _, c := range []struct {
		name string
		plan *clients.Plan
		want []string
	}{
		{"one", &clients.Plan{URL: near}, nil},
		{"one away", &clients.Plan{URL: away}, []string{"192.0.2.1:81"}},
		{"names", to("http://localhost/", "frame://[::1]:9000", "https://127.9.9.9/"), nil},
		{"the second of several", to(near, away), []string{"192.0.2.1:81"}},
		{"each once, sorted", to(away, "http://a.example/1", away, near, "http://a.example/2"), []string{"192.0.2.1:81", "a.example"}},
		{"a unix socket", &clients.Plan{URL: away, UnixSocket: "@s"}, nil},
	} {
		if got := Remote(c.plan); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
