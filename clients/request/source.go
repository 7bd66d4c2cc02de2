package request

import (
	"fmt"
	"net/netip"
	"strings"
)

// MaxSources is the most source addresses of a plan: each has some 28 000 ports towards one server's.
const MaxSources = 10_000

const sourceForms = "want addresses such as 127.0.0.2, ranges such as 127.0.0.2-127.0.0.20, or blocks such as 127.0.1.0/28, separated by commas"

// ParseSources reads a pool of source addresses: single ones, ranges with both ends, and blocks, of IPv4 and IPv6. Of an
// IPv4 block the first and the last address, which are the network's own, are left out. The result has every address once,
// in the order in which they were named.
func ParseSources(text string) ([]string, error) {
	var out []string
	seen := map[netip.Addr]bool{}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		first, last, err := sourceRange(part)
		if err != nil {
			return nil, err
		}
		for a := first; ; a = a.Next() {
			if !seen[a] {
				if len(out) == MaxSources {
					return nil, fmt.Errorf("source %s: more than %d addresses in all: want a smaller range or block", part, MaxSources)
				}
				seen[a] = true
				out = append(out, a.String())
			}
			if a == last {
				break
			}
		}
	}
	return out, nil
}

// sourceRange is the first and the last address that a part of the pool names.
func sourceRange(part string) (first, last netip.Addr, err error) {
	if strings.Contains(part, "/") {
		return sourceBlock(part)
	}
	from, to, ranged := strings.Cut(part, "-")
	if !ranged {
		to = from
	}
	first, err = netip.ParseAddr(from)
	if err == nil {
		last, err = netip.ParseAddr(to)
	}
	first, last = first.Unmap(), last.Unmap()
	switch {
	case err != nil:
		return first, last, fmt.Errorf("source %q: %s", part, sourceForms)
	case first.BitLen() != last.BitLen() || first.Zone() != last.Zone():
		return first, last, fmt.Errorf("source %q: want both ends of one family and zone", part)
	case last.Less(first):
		return first, last, fmt.Errorf("source %q: ends before it begins", part)
	}
	return first, last, nil
}

func sourceBlock(part string) (first, last netip.Addr, err error) {
	p, err := netip.ParsePrefix(part)
	if err != nil {
		return first, last, fmt.Errorf("source %q: %s", part, sourceForms)
	}
	p = p.Masked()
	host := p.Addr().BitLen() - p.Bits() // bits
	if host > 16 {
		return first, last, fmt.Errorf("source %s: more than %d addresses in all: want a smaller range or block", part, MaxSources)
	}
	first, last = p.Addr(), p.Addr()
	for range 1<<host - 1 {
		last = last.Next()
	}
	if p.Addr().Is4() && host > 1 {
		first, last = first.Next(), last.Prev()
	}
	return first, last, nil
}
