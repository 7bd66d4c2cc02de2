package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/millrace/millrace/servers/gnet/conn"
	"github.com/millrace/millrace/servers/kit"
)

// lastRequests is how long requests are still answered after the server was asked to stop.
const lastRequests = 100 * time.Millisecond

// server is what gnet's loops call, most of it of its connections.
type server struct {
	*conn.Handler
	addr   string
	engine gnet.Engine
	state  chan error // nil from OnBoot, then what gnet.Run returned
}

var _ kit.Server = (*server)(nil)

// start sets SO_REUSEADDR as Go's net does: gnet's default can't listen at a port with connections in TIME_WAIT.
func start(env *kit.Env, pooled bool, options gnet.Options) (kit.Server, error) {
	addr, release, err := env.Reserve()
	if err != nil {
		return nil, err
	}
	defer release()
	s := &server{addr: addr, Handler: conn.NewHandler(env, pooled), state: make(chan error, 2)}
	options.Multicore, options.ReuseAddr, options.Logger = true, true, logger{}
	go func() {
		s.state <- gnet.Run(s, "tcp://"+addr, gnet.WithOptions(options))
		env.Fail(errors.New("serving: gnet's engine ended by itself"))
	}()
	if err := <-s.state; err != nil {
		return nil, fmt.Errorf("listening at %s: %w", addr, err)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *server) Addr() string { return s.addr }

// Stop answers what comes within lastRequests, lets the pool finish and ends the loops, which close the connections; gnet
// can't end accepting before. What takes longer than ctx ends with the process.
func (s *server) Stop(ctx context.Context) error {
	time.Sleep(lastRequests)
	s.Drain(ctx)
	go s.engine.Stop(ctx) // looks only every 500 ms whether the loops have ended
	select {
	case err := <-s.state:
		return err
	case <-ctx.Done():
		return nil
	}
}

// OnBoot is called when the listener is open.
func (s *server) OnBoot(engine gnet.Engine) gnet.Action {
	s.engine = engine
	s.state <- nil
	return gnet.None
}

// logger takes the place of gnet's own, which writes to standard output, the control channel.
type logger struct{}

func (logger) Debugf(string, ...any)             {}
func (logger) Infof(string, ...any)              {}
func (logger) Warnf(format string, args ...any)  { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (logger) Errorf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (logger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
