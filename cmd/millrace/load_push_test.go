package main

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/millrace/millrace/clients/reflect"
)

// startPush is "push RATE [FAULT EVERY]": a server that pushes so many frames a second. Its URL is $PUSH.
func startPush(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: push RATE [FAULT EVERY]")
	}
	rate, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	s := reflect.PushScript{Rate: rate, Payload: 50}
	if len(args) == 3 {
		s.Fault = args[1]
		s.Every, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	p, err := reflect.StartPush(s)
	ts.Check(err)
	ts.Defer(func() { ts.Check(p.Close()) })
	ts.Setenv("PUSH", p.URL())
}

// startReflectorOf is "reflector PROTOCOL [FAULT]": a server that answers at once, or does something else instead. Its URL is
// $REFLECTOR.
func startReflectorOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 && len(args) != 2 {
		ts.Fatalf("usage: reflector PROTOCOL [FAULT]")
	}
	s := reflect.Script{Protocol: args[0], Body: []byte("hello")}
	if len(args) == 2 {
		s.Fault, s.Every = args[1], 1
	}
	r, err := reflect.Start(s)
	ts.Check(err)
	ts.Defer(func() { ts.Check(r.Close()) })
	ts.Setenv("REFLECTOR", r.URL())
}
