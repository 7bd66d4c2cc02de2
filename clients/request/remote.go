package request

import (
	"net/netip"
	"net/url"
	"slices"

	"github.com/millrace/millrace/clients"
)

// Remote are the hosts that a plan's requests go to and that are not on loopback, each once.
func Remote(p *clients.Plan) []string {
	if p.UnixSocket != "" {
		return nil
	}
	urls := []string{p.URL}
	if len(p.Requests) > 0 {
		urls = nil
		for _, r := range p.Requests {
			urls = append(urls, r.URL)
		}
	}
	var hosts []string
	for _, s := range urls {
		// An engine has read them before.
		if u, err := url.Parse(s); err == nil && !loopback(u.Hostname()) {
			hosts = append(hosts, u.Host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// loopback reports whether a host's address is on loopback.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost" || host == ""
}
