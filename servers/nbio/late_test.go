//go:build !race

// nbio hides what orders its goroutines from the race detector (go:norace), which then reports races of its callbacks.

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain makes the test's program the server's, where it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
	}
	os.Exit(m.Run())
}

// serve starts a server and returns its address.
func serve(t *testing.T, flags ...string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"serve", "--protocol", "frame"}, flags...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // the end of its input ends a server
		if err := cmd.Wait(); err != nil {
			t.Errorf("server: %v", err)
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready struct{ Addr string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return ready.Addr
}

// TestLate ends the sending side while nbio has replies that the socket didn't take: they come whole all the same.
func TestLate(t *testing.T) {
	const frames, size = 24, 1<<20 - 8
	for _, flags := range [][]string{nil, {"--edge"}} {
		c, err := net.Dial("tcp", serve(t, flags...))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		frame := binary.BigEndian.AppendUint32(nil, 8+size)
		frame = append(binary.BigEndian.AppendUint64(frame, 7), bytes.Repeat([]byte("nbio"), size/4)...)
		// Nothing is read before all is sent: the server reads on, so the replies are with nbio.
		for range frames {
			if _, err := c.Write(frame); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || len(got) != frames*len(frame) {
			t.Errorf("nbio %v: %d bytes of replies, error %v: want %d", flags, len(got), err, frames*len(frame))
		} else if !bytes.Equal(got, bytes.Repeat(frame, frames)) {
			t.Errorf("nbio %v: replies differ from what was sent", flags)
		}
	}
}
