package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// The test binary is also the agent, the coordinator to be killed and the server below an agent: what it is says this
// variable.
const actAs = "MILLRACE_FLEET_TEST"

func TestMain(m *testing.M) {
	var err error
	switch role, _ := os.LookupEnv(actAs); role {
	case "":
		os.Exit(m.Run())
	case "agent":
		err = ServeAgent(context.Background(), AgentOptions{Role: os.Args[1]}, &fake{})
	case "hostile":
		err = serveHostile()
	case "coordinator":
		err = coordinateUntilKilled()
	case "server":
		_, err = io.Copy(io.Discard, os.Stdin)
	case "mute":
		fmt.Fprintln(os.Stderr, "first words\nlast words")
		os.Exit(7)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fakePlan says what the fake executor does.
type fakePlan struct {
	Fail       string         // this step fails
	FailResult bool           // a failed Run returns a result too
	RunFor     time.Duration  // zero: until told to end, and at once for a load
	Progress   int            // messages
	Files      map[string]int // name → bytes, written by Prepare
	Die        string         // the process ends in this step
	Deaf       bool           // Run doesn't end when told to
	Server     bool           // Prepare starts a process
	ResultKB   int            // size of Run's result
	Block      bool           // Prepare waits until told to end
}

// fake is an executor that does as it is told.
type fake struct {
	plan   fakePlan
	server *exec.Cmd
	stdin  io.Closer
}

var _ Executor = (*fake)(nil)

// detailed is an error with details.
type detailed struct{ step string }

func (e detailed) Error() string            { return e.step + " went wrong" }
func (e detailed) Details() json.RawMessage { return json.RawMessage(`{"log":["one","two"]}`) }

func (f *fake) enter(step string) error {
	if f.plan.Die == step {
		fmt.Fprintln(os.Stderr, "panic: told to die")
		os.Exit(3)
	}
	if f.plan.Fail == step {
		return detailed{step}
	}
	return nil
}

func (f *fake) Prepare(ctx context.Context, plan json.RawMessage, spool string) (json.RawMessage, error) {
	f.plan = fakePlan{}
	if err := json.Unmarshal(plan, &f.plan); err != nil {
		return nil, err
	}
	for name, n := range f.plan.Files {
		path := filepath.Join(spool, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, content(name, n), 0o600); err != nil {
			return nil, err
		}
	}
	if f.plan.Server {
		f.server = exec.Command(os.Args[0])
		f.server.Env = append(os.Environ(), actAs+"=server")
		stdin, err := f.server.StdinPipe()
		if err != nil {
			return nil, err
		}
		f.stdin = stdin
		if err := f.server.Start(); err != nil {
			return nil, err
		}
		return json.Marshal(map[string]int{"server": f.server.Process.Pid})
	}
	if f.plan.Block {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return json.RawMessage(`{"addr":"127.0.0.1:1"}`), f.enter("prepare")
}

func (f *fake) Run(ctx context.Context, t0 int64, progress func(any)) (json.RawMessage, error) {
	if f.plan.Deaf {
		ctx = context.Background()
	}
	for i := range f.plan.Progress {
		progress(map[string]int{"n": i})
	}
	if err := f.enter("run"); err != nil {
		if f.plan.FailResult {
			return json.RawMessage(`"part"`), err
		}
		return nil, err
	}
	var over <-chan time.Time
	if f.plan.RunFor > 0 {
		over = time.After(time.Duration(t0-protocol.Monotonic()) + f.plan.RunFor)
	}
	early := false
	select {
	case <-over:
	case <-ctx.Done():
		early = true
	}
	return json.Marshal(map[string]any{"early": early, "t0": t0, "padding": strings.Repeat("x", f.plan.ResultKB<<10)})
}

func (f *fake) Finish(context.Context) (json.RawMessage, error) {
	if f.server != nil {
		if err := errors.Join(f.stdin.Close(), f.server.Wait()); err != nil {
			return nil, err
		}
		f.server = nil
	}
	if err := f.enter("finish"); err != nil {
		return nil, err
	}
	return json.RawMessage(`"finished"`), nil
}

// content is different for every name and size.
func content(name string, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8 + len(name))
	}
	return b
}

// serveHostile is an agent that takes every step for done and lists files that it must not.
func serveHostile() error {
	var g protocol.Greeting
	if err := json.NewDecoder(os.Stdin).Decode(&g); err != nil {
		return err
	}
	nc, err := nats.Connect(g.URL, nats.UserInfo(g.Agent, g.Password))
	if err != nil {
		return err
	}
	defer nc.Close()
	svc, err := micro.AddService(nc, micro.Config{Name: protocol.ServiceName, Version: "1.0.0", Metadata: map[string]string{"agent": g.Agent}})
	if err != nil {
		return err
	}
	publish := func(verb string, v any) error {
		data, err := json.Marshal(v)
		return errors.Join(err, nc.Publish(protocol.Subject(g.Agent, verb), data))
	}
	_, err = nc.Subscribe(protocol.Subject(g.Agent, "*"), func(m *nats.Msg) {
		if m.Reply == "" {
			return // what it said itself
		}
		var reply any
		switch path.Ext(m.Subject)[1:] {
		case protocol.VerbClock:
			reply = protocol.ClockReply{ReceivedNs: protocol.Monotonic(), SentNs: protocol.Monotonic()}
		case protocol.VerbList:
			reply = hostileFiles()
		case protocol.VerbRead:
			data := []byte("ok")
			if strings.Contains(string(m.Data), "wrong-sum") {
				data = []byte("no")
			}
			_ = m.Respond(data)
			return
		default:
			seq, _ := strconv.ParseInt(m.Header.Get(protocol.HeaderSeq), 10, 64)
			reply = protocol.Ack{Seq: seq, SHA256: protocol.Hash(m.Data)}
			defer publish(protocol.VerbDone, protocol.Done{Seq: seq})
		}
		data, _ := json.Marshal(reply)
		_ = m.Respond(data)
	})
	if err = errors.Join(err, nc.Flush(), publish(protocol.VerbHello, protocol.Hello{Protocol: protocol.Version, Role: g.Role, PID: os.Getpid(), Service: svc.Info().ID})); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func hostileFiles() []protocol.FileInfo {
	var files []protocol.FileInfo
	for _, name := range []string{"../escape", "/tmp/escape", "a/../../escape", "link/escape", "wrong-sum", "ok"} {
		files = append(files, protocol.FileInfo{Name: name, Bytes: 2, SHA256: protocol.Hash([]byte("ok"))})
	}
	return append(files, protocol.FileInfo{Name: "huge", Bytes: protocol.MaxFileBytes + 1})
}

// coordinateUntilKilled conducts an endless trial and tells who takes part in it.
func coordinateUntilKilled() error {
	ctx := context.Background()
	c, err := Start(ctx, Options{})
	if err != nil {
		return err
	}
	for _, role := range protocol.Roles {
		if err := c.Spawn(ctx, Agent{Role: role, Command: []string{os.Args[0], role}, Env: []string{actAs + "=agent"}}); err != nil {
			return err
		}
	}
	_, err = c.Conduct(ctx, Trial{ID: "endless", SUT: plan(fakePlan{Server: true}),
		Load: func(sut json.RawMessage, _, _ int) (json.RawMessage, error) {
			return plan(fakePlan{Progress: 1}), json.NewEncoder(os.Stdout).Encode(map[string]any{"sut": sut, "agents": pids(c)})
		},
		Progress: func(string, json.RawMessage) { fmt.Println("running") }})
	return err
}

func plan(p fakePlan) json.RawMessage {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return data
}

func pids(c *Coordinator) []int {
	var all []int
	for _, m := range c.members() {
		all = append(all, m.info.PID)
	}
	return all
}
