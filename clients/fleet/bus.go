package fleet

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// bus is the embedded NATS server: loopback only, no storage, no signal handlers, credentials of this run only.
type bus struct {
	server *server.Server
	grants *grants
}

// startBus returns when the server accepts connections.
func startBus(listen string) (*bus, error) {
	if err := protocol.CheckLoopback(listen); err != nil {
		return nil, err
	}
	g := &grants{byUser: map[string]grant{}}
	s, err := server.NewServer(&server.Options{
		ServerName: "millrace", Host: listen, Port: server.RANDOM_PORT,
		NoLog: true, NoSigs: true, NoSystemAccount: true,
		// JetStream stays off, so nothing is stored in memory or on disk.
		MaxConn: maxAgents + 2, MaxPayload: maxPayloadBytes, MaxPending: maxPendingBytes,
		// Starved agents may be slow to log in; the beats find dead ones, so pings would only wake the load.
		AuthTimeout: protocol.HelloWithin.Seconds(), PingInterval: time.Hour, DisableShortFirstPing: true,
		CustomClientAuthentication: g,
	})
	if err != nil {
		return nil, fmt.Errorf("making the NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("starting the NATS server on %s: it accepts no connections after 10s", listen)
	}
	return &bus{server: s, grants: g}, nil
}

func (b *bus) stop() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// connect opens the coordinator's own connection, in memory.
func (b *bus) connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(b.server), nats.Name("coordinator"), nats.NoReconnect(),
		nats.PingInterval(time.Hour), nats.UserInfo("coordinator", b.grants.add("coordinator", nil)),
		// What could not be delivered is counted by its subscription; nats.go would print it.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, fmt.Errorf("connecting to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// agentPermissions lets an agent hear its own requests, discovery and the beat, and say what is its own to say.
func agentPermissions(agent string) *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			protocol.Subject(agent, protocol.VerbHello), protocol.Subject(agent, protocol.VerbAlive), protocol.Subject(agent, protocol.VerbDone), protocol.Subject(agent, protocol.VerbProgress)}},
		Subscribe: &server.SubjectPermission{Allow: []string{protocol.Subject(agent, "*"), protocol.BeatSubject, "$SRV.>"}},
		Response:  &server.ResponsePermission{MaxMsgs: 1, Expires: ackWithin},
	}
}

// grants knows who may connect. Every password is random, for one user, and good for one connection.
type grants struct {
	mu     sync.Mutex
	byUser map[string]grant
}

type grant struct {
	password    string
	permissions *server.Permissions // nil: everything
}

var _ server.Authentication = (*grants)(nil)

// add returns the password of a new user.
func (g *grants) add(user string, p *server.Permissions) string {
	password := rand.Text()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byUser[user] = grant{password, p}
	return password
}

func (g *grants) remove(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.byUser, user)
}

// Check implements server.Authentication.
func (g *grants) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.byUser[o.Username]
	if !ok || subtle.ConstantTimeCompare([]byte(known.password), []byte(o.Password)) != 1 {
		return false
	}
	delete(g.byUser, o.Username)
	c.RegisterUser(&server.User{Username: o.Username, Permissions: known.permissions})
	return true
}

// tail is a writer that passes everything on and keeps the end of it. Safe for concurrent use.
type tail struct {
	to   io.Writer // may be nil
	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, b...)
	if over := len(t.kept) - maxLogBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	t.mu.Unlock()
	if t.to == nil {
		return len(b), nil
	}
	return t.to.Write(b)
}
