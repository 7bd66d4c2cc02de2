package scenarios

import "fmt"

// PushLoad is what a server sends on its own, and how its subscribers take it. There is one channel: each frame goes to all
// subscribers.
type PushLoad struct {
	// Rate is how many frames a second the server makes; a delivery is one of them to one subscriber. Default
	// 10/s.
	Rate Rate `yaml:"rate" json:"rate,omitempty"`
	// Queue is how many frames may wait for one subscriber, beyond what its socket takes. Default 64.
	Queue int `yaml:"queue" json:"queue,omitempty"`
	// Overflow is what happens when that many wait: one of Overflows. Default drop-oldest.
	Overflow string `yaml:"overflow" json:"overflow,omitempty"`
	// Slow is the share of subscribers that take no more than SlowRate frames a second, with a receive buffer of the least
	// size that the kernel gives.
	Slow     Percent `yaml:"slow" json:"slow,omitempty"`
	SlowRate Rate    `yaml:"slow_rate" json:"slow_rate,omitempty"`
	// Heartbeat is how often each subscriber sends an empty frame, evenly staggered. Zero means never.
	Heartbeat Duration `yaml:"heartbeat" json:"heartbeat,omitempty"`
}

// Overflows are what a server can do with a frame for a subscriber whose queue is full: wait for it, and all others with it;
// forget the oldest frame of the queue; or end the connection.
var Overflows = []string{"block", "drop-oldest", "disconnect"}

const (
	maxPushQueue   = 65536
	maxPushPayload = 1<<20 - 16 // a frame's body beside its id and its clock
	maxPushLog     = 1 << 30    // bytes of payload in a queue: a server keeps that many frames
)

// Pushes reports whether the server sends on its own, so that no requests are planned.
func (s *Scenario) Pushes() bool {
	return s.Protocol == Push || s.Protocol == WS && s.Push != PushLoad{}
}

func (p *PushLoad) setDefaults(pushes bool) {
	if !pushes {
		return
	}
	if p.Rate == 0 {
		p.Rate = 10
	}
	if p.Queue == 0 {
		p.Queue = 64
	}
	if p.Overflow == "" {
		p.Overflow = "drop-oldest"
	}
}

func (s *Scenario) validatePush() error {
	p := &s.Push
	if !s.Pushes() {
		if *p != (PushLoad{}) {
			return fmt.Errorf("push with protocol %s: want protocol %s or %s, or no push", s.Protocol, Push, WS)
		}
		return nil
	}
	if err := oneOf("push.overflow", p.Overflow, Overflows); err != nil {
		return err
	}
	switch {
	case s.Replicas.Number() > 1 || s.Replicas == Auto:
		return fmt.Errorf("replicas %s where the server sends on its own: its deliveries are not merged over processes: want 1", s.Replicas)
	case p.Queue < 1 || p.Queue > maxPushQueue:
		return fmt.Errorf("push.queue %d: want 1 to %d frames", p.Queue, maxPushQueue)
	case s.Payload > maxPushPayload:
		return fmt.Errorf("payload %d of a frame that the server sends on its own: want 1 to %d bytes", s.Payload, maxPushPayload)
	case p.Queue*s.Payload > maxPushLog:
		return fmt.Errorf("push.queue %d of frames with payload %d: want at most %d bytes together", p.Queue, s.Payload, maxPushLog)
	case p.Slow > 0 && p.SlowRate == 0:
		return fmt.Errorf("push.slow %v without push.slow_rate: say how many frames a second a slow subscriber takes, such as 10/s", p.Slow)
	case p.Slow == 0 && p.SlowRate > 0:
		return fmt.Errorf("push.slow_rate %v with push.slow 0%%: want a share of slow subscribers, or no rate", p.SlowRate)
	case p.Heartbeat != 0 && (p.Heartbeat < minTrickle || p.Heartbeat > maxTrickle):
		return fmt.Errorf("push.heartbeat %v: want 0 (never), or %v to %v", p.Heartbeat, minTrickle, maxTrickle)
	}
	return nil
}
