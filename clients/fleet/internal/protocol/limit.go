package protocol

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Roles are what an agent can be.
var Roles = []string{RoleSUT, RoleLoad}

// The roles by name.
const (
	RoleSUT  = "sut"
	RoleLoad = "load"
)

// Limits that both sides keep. Each keeps a fault of one process from becoming a fault of the host.
const (
	MaxResultBytes   = 64 << 20  // of one step, held in memory by the coordinator
	MaxFileBytes     = 1 << 30   // of one collected file
	MaxFiles         = 4096      // of one agent and trial; their list travels in one message
	MaxNameBytes     = 512       // of a collected file's name
	ChunkBytes       = 512 << 10 // of a file in one message
	MaxErrorBytes    = 256 << 10 // of an executor error's message and details together
	MaxProgressBytes = 64 << 10  // of one progress message
	MaxGreetingBytes = 64 << 10  // of the first line on an agent's standard input
)

// HelloWithin bounds the time from an agent's start to its hello, on a host of two cores under load.
const HelloWithin = 30 * time.Second

// CheckLoopback refuses a host that is not a loopback address. Names are refused too: they may resolve to anything.
func CheckLoopback(host string) error {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || !ip.Unmap().IsLoopback() {
		return fmt.Errorf("address %q: want a loopback address, 127.0.0.0/8 or ::1: agents on other hosts need TLS and keys, which are not offered yet", host)
	}
	return nil
}

// CheckRole refuses a role that is none of Roles.
func CheckRole(role string) error {
	if !slices.Contains(Roles, role) {
		return fmt.Errorf("role %q: want one of %s", role, strings.Join(Roles, ", "))
	}
	return nil
}
