package sys

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// UsualCongestion is Linux's own default. It sends at once; a paced one such as bbr arms a timer for every write, which
	// cost 5 % of the client's CPU on the reference host and delays small requests behind one another.
	UsualCongestion = "cubic"
	// HostCongestion leaves it to the host.
	HostCongestion = "host"
)

// CongestionToSet is the name that each socket of a family has to be given, nil for none: where the host's default is
// what the plan wants, or where the plan wants nothing in particular and the host does not allow the usual one.
func CongestionToSet(family int, want string) ([]byte, error) {
	if want == HostCongestion || family == unix.AF_UNIX {
		return nil, nil
	}
	name := want
	if name == "" {
		name = UsualCongestion
	}
	if own, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil && strings.TrimSpace(string(own)) == name {
		return nil, nil
	}
	err := CheckCongestion(family, []byte(name))
	switch {
	case err == nil:
		return []byte(name), nil
	case want == "":
		return nil, nil
	}
	offered := HostCongestion
	if list, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control"); err == nil {
		offered += ", " + strings.Join(strings.Fields(string(list)), ", ")
	}
	return nil, fmt.Errorf("setting congestion control %q: %w: want one of %s", want, err, offered)
}
