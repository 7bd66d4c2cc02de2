package agent

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
)

func TestProgressNeverBlocks(t *testing.T) {
	p := newProgress() // nobody sends
	for range cap(p.queue) + 5 {
		p.offer(1)
	}
	p.offer(func() {})
	p.offer(strings.Repeat("x", protocol.MaxProgressBytes))
	if n := p.dropped.Load(); n != 7 {
		t.Errorf("%d dropped, want 7", n)
	}
}
