package sut

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Limits of the control channel.
const (
	controlWithin  = 10 * time.Second       // for a reply, where the caller sets no deadline
	writeWithin    = 100 * time.Millisecond // to hand a request to the kernel
	maxRequestSize = 4096                   // PIPE_BUF: a write of a request is whole or nothing
	maxPending     = 16                     // requests without a reply
)

// controlKey is the field of a control request that holds the command.
const controlKey = "cmd"

// request sends one command over the control channel; the reply comes on the returned channel, which is never closed.
// It blocks at most writeWithin. fields are added to the request.
func (p *Process) request(command string, fields map[string]any) (int64, <-chan json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) >= maxPending {
		return 0, nil, fmt.Errorf("%d requests are without a reply", len(p.pending))
	}
	p.lastID++
	id := p.lastID
	message := map[string]any{"id": id, controlKey: command}
	for k, v := range fields {
		message[k] = v
	}
	line, err := json.Marshal(message)
	if err != nil {
		return 0, nil, err
	}
	if len(line) >= maxRequestSize {
		return 0, nil, fmt.Errorf("request of %d bytes: want at most %d", len(line), maxRequestSize-1)
	}
	if err := p.stdin.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return 0, nil, err
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return 0, nil, err
	}
	reply := make(chan json.RawMessage, 1)
	p.pending[id] = reply
	return id, reply, nil
}

// forget gives up waiting for a reply.
func (p *Process) forget(id int64) {
	p.mu.Lock()
	delete(p.pending, id)
	p.mu.Unlock()
}

// Control sends a command ("readings", "gc", "free", "profile") with its fields and returns the server's reply line.
// It waits until ctx ends, at most 10 s where ctx has no deadline. A reply with a field "error" is an error.
func (p *Process) Control(ctx context.Context, command string, fields map[string]any) (json.RawMessage, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, controlWithin)
		defer cancel()
	}
	id, replies, err := p.request(command, fields)
	if err != nil {
		return nil, fmt.Errorf("asking server %s for %s: %w", p.command.Name, command, err)
	}
	select {
	case reply := <-replies:
		var refused struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(reply, &refused) == nil && refused.Error != "" {
			return nil, fmt.Errorf("asking server %s for %s: %s", p.command.Name, command, refused.Error)
		}
		return reply, nil
	case <-p.done:
		return nil, p.Failure("ended before it answered to " + command)
	case <-ctx.Done():
		p.forget(id)
		return nil, fmt.Errorf("asking server %s for %s: no reply: %w", p.command.Name, command, ctx.Err())
	}
}

// deliver hands a reply to whoever waits for its id. A reply that nobody waits for any more is dropped.
func (p *Process) deliver(line []byte) bool {
	var reply struct {
		ID *int64 `json:"id"`
	}
	if json.Unmarshal(line, &reply) != nil || reply.ID == nil {
		return false
	}
	p.mu.Lock()
	waiting := p.pending[*reply.ID]
	delete(p.pending, *reply.ID)
	p.mu.Unlock()
	if waiting != nil {
		waiting <- bytes.Clone(line)
	}
	return true
}
