package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/request"
	"github.com/millrace/millrace/internal/wire"
)

// The limits of asking a peer what it speaks.
const (
	peerFor   = time.Second // for connecting and for its bytes each
	peerShown = 40          // bytes of them that are shown
	peerRead  = 1 << 10     // bytes of them that are read: a small reply with its body
)

// peerHint says what a peer speaks that does not speak the protocol of a load, as far as its first bytes tell; empty where they
// do not. The load has not kept the bytes that ended its connections, so that the peer is asked once more, with a GET or a frame.
func peerHint(ctx context.Context, plan *clients.Plan, r *clients.Report) string {
	none := r.Planned > 0 && r.Outcomes[clients.OK.String()] == 0
	all, err := request.Of(plan)
	if !none && r.Outcomes[clients.ProtocolError.String()] == 0 || r.Interrupted || err != nil || all[0].Scheme != "http" && all[0].Scheme != "frame" {
		return ""
	}
	said := askPeer(ctx, plan, &all[0])
	https := "" // of frame there is none to try
	if rest, ok := strings.CutPrefix(plan.URL, "http://"); ok {
		https = ": use https://" + rest
	}
	shown := said[:min(len(said), peerShown)]
	switch {
	case len(said) == 0 && https != "" && shakesHands(ctx, plan, &all[0]):
		return "asked once more, it said nothing to plain HTTP and answered a TLS handshake" + https
	case len(said) == 0 || https == "" && isFrame(said):
		return ""
	case isTLS(said):
		return fmt.Sprintf("asked once more, it sent %q: it speaks TLS%s", shown, https)
	case https == "":
		return fmt.Sprintf("asked once more, it sent %q, which is no frame", shown)
	case !bytes.HasPrefix(said, []byte("HTTP/1.")):
		return fmt.Sprintf("asked once more, it sent %q, which is no HTTP/1.1 reply", shown)
	case none && wantsTLS(said):
		return "asked once more, it refused plain HTTP: it speaks TLS" + https
	}
	return ""
}

// dialPeer connects to a peer, for a short time.
func dialPeer(ctx context.Context, plan *clients.Plan, q *request.Request) (net.Conn, error) {
	network, address := "tcp", q.Address
	if plan.UnixSocket != "" {
		network, address = "unix", plan.UnixSocket
	}
	d := net.Dialer{Timeout: peerFor}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(peerFor))
}

// shakesHands reports whether a peer answers a TLS handshake, with whatever certificate.
func shakesHands(ctx context.Context, plan *clients.Plan, q *request.Request) bool {
	c, err := dialPeer(ctx, plan, q)
	if err != nil {
		return false
	}
	defer c.Close()
	return tls.Client(c, &tls.Config{ServerName: q.Name, InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}

// askPeer returns the first bytes that a peer sends; nil where it sends none.
func askPeer(ctx context.Context, plan *clients.Plan, q *request.Request) []byte {
	c, err := dialPeer(ctx, plan, q)
	if err != nil {
		return nil
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	ask := wire.AppendFrame(nil, 1, []byte("hello"))
	if q.Scheme == "http" {
		ask = wire.AppendRequest(nil, "GET", q.Host, "/", nil, nil, true)
	}
	if _, err := c.Write(ask); err != nil {
		return nil // it has no more to say than this
	}
	said := make([]byte, peerRead)
	n, err := c.Read(said)
	for err == nil && n < len(said) && bytes.HasPrefix(said, []byte("HTTP/")) { // to the body
		var more int
		more, err = io.ReadFull(c, said[n:])
		n += more
	}
	return said[:n]
}

// isTLS recognizes a record of TLS: its kind, 20 to 23, and a version from SSL 3.0 on.
func isTLS(b []byte) bool {
	return len(b) >= 3 && b[0] >= 20 && b[0] <= 23 && b[1] == 3 && b[2] <= 4
}

// isFrame recognizes the echo of what was asked.
func isFrame(b []byte) bool {
	id, _, n, err := wire.ParseFrame(b)
	return err == nil && n > 0 && id == 1
}

// wantsTLS recognizes the replies of Go's net/http ("Client sent an HTTP request to an HTTPS server."), nginx ("The plain HTTP
// request was sent to HTTPS port") and Apache ("You're speaking plain HTTP to an SSL-enabled server port").
func wantsTLS(reply []byte) bool {
	return bytes.Contains(reply, []byte("to an HTTPS server")) || bytes.Contains(reply, []byte("to HTTPS port")) || bytes.Contains(reply, []byte("SSL-enabled server"))
}
