package probe

import (
	"bufio"
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/internal/wire"
)

// Subscriber is a protocol in which the server sends on its own.
type Subscriber interface {
	// Subscribe asks for the frames of a channel, the one without a name if it is empty. Its reply, of which there are many,
	// is the first of them.
	Subscribe(channel string) Request
}

// push is the protocol push. A plain request subscribes, and its reply is a frame; nothing is echoed.
type push struct{ payload int }

var (
	_ Protocol   = push{}
	_ Subscriber = push{}
)

func (p push) Plain(uint64, bool) Request { return p.Subscribe("") }

func (p push) Echo(uint64, []byte) Request { return p.Subscribe("") }

func (p push) Subscribe(channel string) Request {
	size := 8 + p.payload
	if p.payload < 0 {
		size = -1
	}
	return Request{Wire: wire.AppendSubscribe(nil, channel), Size: size}
}

func (push) Read(r *bufio.Reader) (Reply, error) { return frame{}.Read(r) }

func (push) Ordered() bool { return true }

// Pushed is a frame that the server sent on its own.
type Pushed struct {
	Number  uint64
	Clock   int64 // the server's CLOCK_MONOTONIC in ns
	Payload []byte
}

// Pushed reads one such frame.
func (c *Client) Pushed() (Pushed, error) {
	r, err := c.Receive()
	if err != nil {
		return Pushed{}, Explain(err)
	}
	if len(r.Body) < 8 {
		return Pushed{}, fmt.Errorf("frame with a body of %d bytes: want a clock of 8 and a payload", len(r.Body))
	}
	return Pushed{r.ID, int64(binary.BigEndian.Uint64(r.Body)), r.Body[8:]}, nil
}
