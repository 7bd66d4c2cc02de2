// Package floor is what this host's client reaches at most: against the raw reflector, which is as fast as the host allows,
// whatever is slower is the client. A load that comes near it says more of the client than of the server. The command
// `millrace calibrate` measures it; this package keeps it and holds loads against it.
package floor

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Schema is the version of Floor's JSON.
const Schema = 2

// Floor is what was measured on one host with one kernel and one program. The zero value has nothing.
type Floor struct {
	Schema int `json:"schema"`
	// Server and Client are the CPUs that the reflector and the client had. Shared says that they had the same.
	Server []int   `json:"server_cpus"`
	Client []int   `json:"client_cpus"`
	Shared bool    `json:"shared,omitempty"`
	Shapes []Shape `json:"shapes"`
}

// Kind is what makes two loads alike for the client.
type Kind struct {
	Engine   string `json:"engine"`   // one of clients.Engines
	Protocol string `json:"protocol"` // http1 or frame
	// Connections take requests at the same time. It is ShortConnections where Requests is not zero.
	Connections int `json:"connections"`
	Pipeline    int `json:"pipeline"`
	// Requests a connection carries before it is closed; zero keeps it.
	Requests int `json:"requests"`
	// Payload is the bytes of a body, of the request or of the reply, whichever is larger.
	Payload int `json:"payload"`
	// Close is who ends a connection after Requests, and how: one of scenarios.ClosePolicies, empty where Requests is zero. It is
	// a part of the work: a reset is another system call, a FIN another packet and a socket in TIME_WAIT.
	Close string `json:"close,omitempty"`
}

// ShortConnections is how many connections a floor with Requests is measured with: the work is in opening and closing
// them, not in their number.
const ShortConnections = 64

// Shape is a kind of load and how the client did at it.
type Shape struct {
	Kind
	At time.Time `json:"at"`
	// Quick is whether it was measured in tenths of a second.
	Quick bool `json:"quick"`
	// MaxRPS are requests a second in a closed loop: the best half second, so that a stolen slice of CPU does not lower it.
	MaxRPS float64 `json:"max_rps"`
	// ClientBusy is the share of its CPUs that the client took meanwhile, spinning apart: near 1 it was the limit, otherwise
	// the reflector or waking up was, and the client itself reaches more.
	ClientBusy float64 `json:"client_busy"`
	// OpenRPS is OpenShare of MaxRPS, offered in an open loop; the latencies in ns are of that, nil where the requests were
	// too few or others took the CPUs.
	OpenRPS  float64 `json:"open_rps"`
	P50Ns    *int64  `json:"p50_ns"`
	P99Ns    *int64  `json:"p99_ns"`
	LagP99Ns *int64  `json:"lag_p99_ns"`
	// Disturbed says that others took the CPUs meanwhile, so that the maximum is too low. Store leaves it out.
	Disturbed bool `json:"disturbed,omitempty"`
}

// OpenShare of the maximum is offered for the latencies: a light load.
const OpenShare = 0.20

// String is the kind for people: "http1, 1000 connections, pipeline 16".
func (k Kind) String() string {
	parts := []string{k.Protocol}
	switch {
	case k.Requests == 1:
		parts = append(parts, "a connection for each request")
	case k.Requests > 1:
		parts = append(parts, fmt.Sprintf("%d requests a connection", k.Requests))
	case k.Connections == 1:
		parts = append(parts, "1 connection")
	default:
		parts = append(parts, fmt.Sprintf("%d connections", k.Connections))
	}
	if k.Pipeline > 1 {
		parts = append(parts, fmt.Sprintf("pipeline %d", k.Pipeline))
	}
	if payloadClass(k.Payload) > 0 {
		parts = append(parts, fmt.Sprintf("%d bytes", k.Payload))
	}
	if k.Close != "" {
		parts = append(parts, "close "+k.Close)
	}
	return strings.Join(parts, ", ")
}

// Nearest returns the shape that judges a load of a kind; ok is false where none does. It has
//
//   - the same engine, protocol, requests a connection, and way to close it;
//   - the same class of payload: up to 1 KiB, and then powers of two;
//   - pipeline 1 for pipeline 1; otherwise the deepest pipeline that is more than 1 and at most the load's;
//   - of these the same number of connections; or, of the next lower and the next higher number, the one with the lower
//     maximum; or the largest number measured, where the load has more, up to twice as many. Fewer than the smallest number
//     measured are not judged: with few connections waking up is the limit, which a floor with many does not show.
func (f Floor) Nearest(want Kind) (s Shape, ok bool) {
	var depth int
	for _, s := range f.Shapes {
		if s.sort(want) && s.Pipeline <= want.Pipeline {
			depth = max(depth, s.Pipeline)
		}
	}
	if depth == 0 || depth == 1 && want.Pipeline > 1 {
		return Shape{}, false
	}
	var below, above *Shape
	for i := range f.Shapes {
		switch s := &f.Shapes[i]; {
		case !s.sort(want) || s.Pipeline != depth:
		case s.Connections <= want.Connections && (below == nil || s.Connections > below.Connections):
			below = s
		case s.Connections > want.Connections && (above == nil || s.Connections < above.Connections):
			above = s
		}
	}
	switch {
	case below == nil || above == nil && want.Connections > 2*below.Connections:
		return Shape{}, false
	case above == nil || below.Connections == want.Connections || below.MaxRPS <= above.MaxRPS:
		return *below, true
	}
	return *above, true
}

// sort reports whether two kinds differ at most in connections and pipeline.
func (k Kind) sort(o Kind) bool {
	return k.Engine == o.Engine && k.Protocol == o.Protocol && k.Requests == o.Requests && k.Close == o.Close && payloadClass(k.Payload) == payloadClass(o.Payload)
}

// payloadClass is 0 up to 1 KiB, where packets cost and not bytes, then the power of two that holds n.
func payloadClass(n int) int {
	if n <= 1<<10 {
		return 0
	}
	return bits.Len(uint(n - 1))
}

// Add puts a shape in its place, instead of one of the same kind. A disturbed one replaces no other.
func (f *Floor) Add(s Shape) {
	if i := slices.IndexFunc(f.Shapes, func(o Shape) bool { return o.Kind == s.Kind }); i >= 0 {
		if !s.Disturbed || f.Shapes[i].Disturbed {
			f.Shapes[i] = s
		}
		return
	}
	f.Shapes = append(f.Shapes, s)
	slices.SortFunc(f.Shapes, func(a, b Shape) int {
		return cmp.Or(strings.Compare(a.Engine, b.Engine), -strings.Compare(a.Protocol, b.Protocol), a.Requests-b.Requests,
			a.Payload-b.Payload, a.Pipeline-b.Pipeline, a.Connections-b.Connections, -strings.Compare(a.Close, b.Close))
	})
}

// SameCPUs reports whether two floors were measured with the same CPUs for client and server.
func (f Floor) SameCPUs(o Floor) bool {
	return slices.Equal(f.Server, o.Server) && slices.Equal(f.Client, o.Client) && f.Shared == o.Shared
}

// Load reads what is kept at a path, see hostkey.Path. Without a file there, or with one of another schema, the floor has
// nothing.
func Load(path string) (Floor, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Floor{}, nil
	}
	var f Floor
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		return Floor{}, fmt.Errorf("reading the floor %s: %w: remove it, and run `millrace calibrate`", path, err)
	}
	if f.Schema != Schema {
		return Floor{}, nil
	}
	return f, nil
}

// Store keeps a floor at a path, whole or not at all, and makes the directory if need be.
func Store(path string, f Floor) error {
	f.Schema = Schema
	f.Shapes = slices.DeleteFunc(slices.Clone(f.Shapes), func(s Shape) bool { return s.Disturbed })
	data, err := json.MarshalIndent(f, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err != nil {
		return fmt.Errorf("keeping the floor: %w", err)
	}
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err = os.WriteFile(next, append(data, '\n'), 0o644); err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
		return fmt.Errorf("keeping the floor: %w", err)
	}
	return nil
}
