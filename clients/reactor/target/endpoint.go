package target

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reactor/sys"
	"github.com/millrace/millrace/clients/request"
)

// pool are the source addresses of a plan by family.
type pool struct{ v4, v6 []sys.Address }

func newPool(texts []string) (p pool, err error) {
	if len(texts) > request.MaxSources {
		return p, fmt.Errorf("reading source addresses: %d of them: want at most %d", len(texts), request.MaxSources)
	}
	for _, text := range texts {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			return p, fmt.Errorf("reading source address %q: want an IP address, such as 127.0.0.2 or ::1", text)
		}
		if err := checkZone(ip.Zone()); err != nil {
			return p, fmt.Errorf("reading source address %q: %w", text, err)
		}
		a, family := sys.NewAddress(net.IP(ip.AsSlice()), 0, ip.Zone())
		if family == unix.AF_INET {
			p.v4 = append(p.v4, a)
		} else {
			p.v6 = append(p.v6, a)
		}
	}
	return p, nil
}

// network is the one to look names up in: that of the source addresses, where all are of one family.
func (p *pool) network() string {
	switch {
	case len(p.v4) > 0 && len(p.v6) == 0:
		return "tcp4"
	case len(p.v6) > 0 && len(p.v4) == 0:
		return "tcp6"
	}
	return "tcp"
}

// checkZone reports an IPv6 zone that is neither an interface of this host nor a number.
func checkZone(zone string) error {
	if zone == "" {
		return nil
	}
	if _, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return nil
	}
	if _, err := net.InterfaceByName(zone); err != nil {
		return fmt.Errorf("zone %q: want the name or the number of an interface of this host", zone)
	}
	return nil
}

// newEndpoint finds the address that a request goes to.
func newEndpoint(r *request.Request, p *clients.Plan, sources pool) (e Endpoint, err error) {
	if p.UnixSocket != "" {
		return unixEndpoint(p.UnixSocket, p.Scenario.Connections.Close, sources)
	}
	e.Name = r.Host
	network := "tcp"
	if _, err := netip.ParseAddr(r.Name); err != nil {
		network = sources.network()
	}
	a, err := net.ResolveTCPAddr(network, r.Address)
	if err != nil {
		return e, fmt.Errorf("resolving %s: %w", r.Address, err)
	}
	if a.Port < 1 || a.Port > 65535 {
		return e, fmt.Errorf("resolving %s: port %d: want 1 to 65535", r.Address, a.Port)
	}
	if err := checkZone(a.Zone); err != nil {
		return e, fmt.Errorf("resolving %s: %w", r.Address, err)
	}
	if e.Addr, e.Family = sys.NewAddress(a.IP, a.Port, a.Zone); e.Family == unix.AF_INET {
		e.Sources = sources.v4
	} else {
		e.Sources = sources.v6
	}
	if len(e.Sources) == 0 && len(sources.v4)+len(sources.v6) > 0 {
		return e, fmt.Errorf("connecting to %s: no source address is of the same family: want some, or none at all", a.IP)
	}
	return e, nil
}

func unixEndpoint(socket, policy string, sources pool) (e Endpoint, err error) {
	if len(sources.v4)+len(sources.v6) > 0 {
		return e, fmt.Errorf("connecting to %s: source addresses with a unix socket: want none", socket)
	}
	if policy == "rst" {
		return e, fmt.Errorf("connecting to %s: connections.close rst: a unix socket knows no reset: want fin-client", socket)
	}
	e.Name = socket
	e.Family = unix.AF_UNIX
	if e.Addr, err = sys.NewUnixAddress(socket); err != nil {
		return e, fmt.Errorf("connecting to %s: %w", socket, err)
	}
	return e, nil
}
