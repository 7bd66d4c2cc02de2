package sut

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Limits of the control channel.
const (
	writeWithin = 100 * time.Millisecond // to hand a request to the kernel
	maxPending  = 16                     // requests without a reply
)

// request sends one command over the control channel; the reply comes on the returned channel, which is never closed.
// It blocks at most writeWithin.
func (p *Process) request(command string) (<-chan json.RawMessage, error) {
	return p.Ask(command, "")
}

// Ask is request for a command with further members of its line, each behind a comma. The kit knows a request without any
// by its bytes.
func (p *Process) Ask(command, members string) (<-chan json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) >= maxPending {
		return nil, fmt.Errorf("asking server %s for %s: %d requests are without a reply", p.command.Name, command, len(p.pending))
	}
	p.lastID++
	if err := p.stdin.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return nil, fmt.Errorf("asking server %s for %s: %w", p.command.Name, command, err)
	}
	if _, err := fmt.Fprintf(p.stdin, `{"cmd":%q,"id":%d%s}`+"\n", command, p.lastID, members); err != nil {
		return nil, fmt.Errorf("asking server %s for %s: %w", p.command.Name, command, err)
	}
	reply := make(chan json.RawMessage, 1)
	p.pending[p.lastID] = reply
	return reply, nil
}

// deliver hands a reply to whoever waits for its id. A reply that nobody waits for is dropped.
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
