package agent

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
)

// progress carries an executor's messages to a sender of its own, so that a slow connection never blocks the executor.
type progress struct {
	queue   chan []byte
	dropped atomic.Int64
}

func newProgress() *progress { return &progress{queue: make(chan []byte, 16)} }

// offer queues v as JSON. What does not fit, or is no JSON, is dropped and counted. Safe for concurrent use.
func (p *progress) offer(v any) {
	data, err := json.Marshal(v)
	if err == nil && len(data) <= protocol.MaxProgressBytes {
		select {
		case p.queue <- data:
			return
		default:
		}
	}
	p.dropped.Add(1)
}

// send publishes what is queued until ctx ends.
func (p *progress) send(ctx context.Context, nc *nats.Conn, subject string) {
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-p.queue:
			if nc.Publish(subject, data) != nil {
				p.dropped.Add(1)
			}
		}
	}
}
