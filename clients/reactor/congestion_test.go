package reactor

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/reflect"
)

func TestCongestion(t *testing.T) {
	own, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimSpace(string(own))
	r := start(t, reflect.Script{Protocol: "http1", Body: []byte(hello)})
	for _, c := range []struct{ want, have string }{{"", sys.UsualCongestion}, {"reno", "reno"}, {sys.HostCongestion, host}, {host, host}} {
		p := plan(r.URL(), nil)
		p.Congestion = c.want
		if report := run(t, p); report.Congestion != c.have {
			t.Errorf("asked for %q: sockets have %q, want %q", c.want, report.Congestion, c.have)
		}
	}
	p := plan(r.URL(), nil)
	p.Congestion = "pigeon"
	if _, err := New(p); err == nil || !strings.Contains(err.Error(), `congestion control "pigeon"`) || !strings.Contains(err.Error(), "reno") {
		t.Errorf("error %v: want the name and those offered", err)
	}
}
