package cases

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/servers/conform/probe"
)

// frameCases are the cases of frame alone: lengths that announce less than an id or more than the limit close the
// connection, at once and not only when so many bytes have come.
func frameCases() []Case {
	list := []Case{
		{Name: "frame/ids", Run: frameIDs},
		{Name: "frame/largest", Run: frameLargest},
	}
	for _, c := range frameLengths() {
		list = append(list, Case{Name: c.name, Run: refusesFrame(c.data)})
	}
	return list
}

// badFrame is what no server may take for a request.
type badFrame struct {
	name string
	data []byte
}

func frameLengths() (list []badFrame) {
	for _, n := range []uint32{0, 1, 2, 3, 4, 5, 6, 7, probe.FrameMax + 1, 1 << 31, 1<<32 - 1} {
		// The bytes of a small frame follow, so that a server which ignores the length has something to answer.
		data := binary.BigEndian.AppendUint32(nil, n)
		data = append(data, "\x00\x00\x00\x00\x00\x00\x00\x01body"...)
		list = append(list, badFrame{fmt.Sprintf("malformed/length-%d", n), data})
	}
	return list
}

// refusesFrame sends a whole frame and a malformed one behind it: at most the reply to the first, then a close.
func refusesFrame(data []byte) func(*probe.Attempt) error {
	return func(a *probe.Attempt) error {
		c, err := a.Dial()
		if err != nil {
			return err
		}
		good := a.Protocol.Echo(7, []byte("good"))
		if err := c.Exchange(good); err != nil {
			return err
		}
		if err := c.Send(data); err != nil {
			return err
		}
		if n, err := c.Whole(nil); err != nil {
			return fmt.Errorf("after a malformed length and %d replies: %w", n, err)
		}
		if err := a.Once(good); err != nil {
			return fmt.Errorf("next connection: %w", err)
		}
		return nil
	}
}

// frameIDs checks that ids come back whole, the bit that asks for work included.
func frameIDs(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	for _, id := range []uint64{0, 1, 255, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1, 0x0102030405060708} {
		if err := c.Exchange(a.Protocol.Echo(id, []byte("id"))); err != nil {
			return fmt.Errorf("id %#x: %w", id, err)
		}
	}
	return c.Silence()
}

// frameLargest sends two frames of the largest size in a row, and a small one behind them.
func frameLargest(a *probe.Attempt) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	requests := append(numbered(a.Protocol, 2, probe.FrameMax-8), a.Protocol.Echo(3, nil))
	if err := c.Exchange(requests...); err != nil {
		return err
	}
	return c.Silence()
}
