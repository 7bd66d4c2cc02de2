package probe

import (
	"fmt"
	"slices"
)

// DefaultPayload is the size in bytes of a reply to GET where Target.Payload is zero.
const DefaultPayload = 13

// Target is one variant of a program under one protocol.
type Target struct {
	// Command is the program and its arguments before `serve`; for a foreign server the whole command, or empty where
	// it is running already.
	Command []string
	// Protocol is one of Protocols.
	Protocol string
	// Args are the flags of the variant, after `serve`.
	Args []string
	// Env are variables of the variant, NAME=VALUE, which serve gets beside this process's environment.
	Env []string
	// Payload is the size in bytes of a reply to GET. Zero means DefaultPayload; negative accepts any size.
	Payload int
	// Foreign marks a server that speaks the protocol at Addr but does not keep the contract: no describe, ready line
	// or control channel. Only the cases that need nothing but its sockets are run, and none asks for work.
	Foreign bool
	// NoEcho marks a foreign http1 server that does not answer POST with the request's body: it is asked for the payload instead.
	// Of other protocols it says nothing.
	NoEcho bool
	// Addr is host:port of a foreign server. One that Command starts is ready when it accepts connections there.
	Addr string
}

// Validate fills in the default payload and names what is missing.
func (t *Target) Validate() error {
	if Protocols[t.Protocol] == nil {
		return fmt.Errorf("unknown protocol %q: want %s", t.Protocol, ProtocolNames)
	}
	if t.Foreign && t.Addr == "" {
		return fmt.Errorf("conforming a foreign server: no address: want host:port of the place where it listens")
	}
	if !t.Foreign && len(t.Command) == 0 {
		return fmt.Errorf("conforming a server: no command: want the program, or an address and Foreign")
	}
	if t.Payload == 0 {
		t.Payload = DefaultPayload
	}
	return nil
}

// Serve is the command line of the variant, listening at addr.
func (t *Target) Serve(addr string, args ...string) []string {
	line := append(slices.Clone(t.Command), "serve", "--listen", addr, "--protocol", t.Protocol)
	if t.Payload >= 0 {
		line = append(line, "--payload", fmt.Sprint(t.Payload))
	}
	return append(append(line, t.Args...), args...)
}
