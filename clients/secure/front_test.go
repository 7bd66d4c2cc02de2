package secure_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// authority is a certificate for 127.0.0.1 and server.test, its own authority.
type authority struct {
	certificate tls.Certificate
	pem         []byte
	keyPEM      []byte
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"server.test"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem:         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:      pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// front is a TLS server that hands all it decrypts to a plain one, and the way each side ends to the other.
type front struct {
	to       string // host:port
	config   *tls.Config
	piece    int    // most plain bytes of a record
	dribble  bool   // every byte of a reply's records goes out alone
	truncate bool   // close TCP without ending TLS
	spoil    string // how handshakes fail: silent, garbage, close, reset
	from     int64  // the first that does

	accepted, notified, handshakes atomic.Int64 // connections; of them, those whose TLS the client ended; ClientHellos that a config counts

	listener net.Listener
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

// serve listens until the test ends, and returns the URL.
func (f *front) serve(t testing.TB, a *authority) string {
	t.Helper()
	if f.config == nil {
		f.config = &tls.Config{}
	}
	if f.config.Certificates == nil && f.config.GetCertificate == nil {
		f.config.Certificates = []tls.Certificate{a.certificate}
	}
	if f.piece == 0 {
		f.piece = 32 << 10
	}
	f.to = strings.TrimPrefix(f.to, "http://")
	f.conns = map[net.Conn]bool{}
	var err error
	if f.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.listener.Close(); err != nil {
			t.Error(err)
		}
		f.mu.Lock()
		for c := range f.conns {
			_ = c.Close() // its goroutines see the error
		}
		f.mu.Unlock()
		f.wg.Wait()
	})
	f.wg.Go(f.accept)
	return "https://" + f.listener.Addr().String() + "/"
}

func (f *front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		n := f.accepted.Add(1)
		f.keep(c, true)
		f.wg.Go(func() {
			defer f.keep(c, false)
			defer c.Close()
			if f.spoil != "" && n >= f.from {
				f.spoilt(c)
				return
			}
			f.relay(c.(*net.TCPConn))
		})
	}
}

func (f *front) keep(c net.Conn, open bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if open {
		f.conns[c] = true
	} else {
		delete(f.conns, c)
	}
}

// spoilt takes the client's first message, and answers as no TLS server would. What goes wrong here is seen by the client.
func (f *front) spoilt(c net.Conn) {
	b := make([]byte, 16<<10)
	_, _ = c.Read(b)
	switch f.spoil {
	case "silent":
		_, _ = io.Copy(io.Discard, c)
	case "garbage":
		_, _ = c.Write(bytes.Repeat([]byte("garbage "), 100))
	case "reset":
		_ = c.(*net.TCPConn).SetLinger(0)
	}
}

// watched tells whether the end of TCP has been read, and writes byte by byte if it is to.
type watched struct {
	*net.TCPConn
	ended   atomic.Bool
	dribble atomic.Bool
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.TCPConn.Read(b)
	if err != nil {
		w.ended.Store(true)
	}
	return n, err
}

func (w *watched) Write(b []byte) (int, error) {
	if !w.dribble.Load() {
		return w.TCPConn.Write(b)
	}
	for i := range b {
		if _, err := w.TCPConn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// relay moves the bytes of one connection both ways until both have ended.
func (f *front) relay(raw *net.TCPConn) {
	w := &watched{TCPConn: raw}
	c := tls.Server(w, f.config)
	if err := c.Handshake(); err != nil {
		return
	}
	w.dribble.Store(f.dribble)
	up, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	f.keep(up, true)
	defer f.keep(up, false)
	defer up.Close()
	f.wg.Go(func() {
		if _, err := io.Copy(up, c); err == nil && !w.ended.Load() {
			f.notified.Add(1)
		}
		_ = up.(*net.TCPConn).CloseWrite() // or it is closed
	})
	b := make([]byte, f.piece)
	for {
		n, err := up.Read(b)
		if n > 0 {
			if _, bad := c.Write(b[:n]); bad != nil {
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, syscall.ECONNRESET):
			_ = raw.SetLinger(0)
			return
		default:
			if !f.truncate {
				_ = c.CloseWrite()
			}
			return
		}
	}
}
