package reflect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"syscall"
	"time"
)

// front takes the TLS off connections and passes on to a reflector what is in them, and what comes back. A connection that the
// reflector closes is closed with a notice, one that it resets is reset.
type front struct {
	listener net.Listener
	to       string
	config   *tls.Config
	wg       sync.WaitGroup
	mu       sync.Mutex
	closed   bool
	conns    map[net.Conn]bool
}

// passSize is more than a TLS record holds.
const passSize = 32 << 10

// startFront listens on a free port of the host of an address, with a certificate of its own that nobody signed.
func startFront(to string) (*front, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"reflector.test"}, NotAfter: time.Now().Add(24 * time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	host, _, err := net.SplitHostPort(to)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	f := &front{
		listener: l, to: to, conns: map[net.Conn]bool{},
		config: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}},
	}
	f.wg.Go(f.accept)
	return f, nil
}

func (f *front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.serve(c.(*net.TCPConn)) })
	}
}

// keep takes note of a connection, so that close can end it. It returns false if that has happened.
func (f *front) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.conns[c] = true
	}
	return !f.closed
}

func (f *front) drop(c net.Conn) {
	_ = c.Close() // the other end sees it
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// serve passes bytes both ways until one side ends the connection.
func (f *front) serve(raw *net.TCPConn) {
	defer f.drop(raw)
	back, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer f.drop(back)
	if !f.keep(raw) || !f.keep(back) {
		return
	}
	secure := tls.Server(raw, f.config)
	f.wg.Go(func() {
		// Its end is the client's, and ends the other direction too.
		_, _ = io.CopyBuffer(struct{ io.Writer }{back}, struct{ io.Reader }{secure}, make([]byte, passSize))
		_ = back.Close()
	})
	_, err = io.CopyBuffer(struct{ io.Writer }{secure}, struct{ io.Reader }{back}, make([]byte, passSize))
	if errors.Is(err, syscall.ECONNRESET) {
		_ = raw.SetLinger(0) // an open connection takes it
		return
	}
	_ = secure.CloseWrite() // where the client is gone, nobody needs the notice
}

func (f *front) close() {
	_ = f.listener.Close()
	f.mu.Lock()
	f.closed = true
	for c := range f.conns {
		_ = c.Close() // its goroutine sees the error
	}
	f.mu.Unlock()
	f.wg.Wait()
}
