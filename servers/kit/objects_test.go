package kit

import (
	"bytes"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/wire"
)

func objects(t *testing.T, way string) *Objects {
	t.Helper()
	var o Objects
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.Flag(fs)
	if err := fs.Parse([]string{"--objects=" + way}); err != nil {
		t.Fatal(err)
	}
	return &o
}

// Fresh objects must not end on the stack, and the others must be the ones of before.
func TestObjectsAllocate(t *testing.T) {
	body := []byte("a body")
	check := func(way string, least, most float64) {
		t.Helper()
		o := objects(t, way)
		got := testing.AllocsPerRun(1000, func() { o.Release(o.Take(body)) })
		if got < least || got > most {
			t.Errorf("%s: %g allocations a request, want %g to %g", way, got, least, most)
		}
	}
	check("none", 0, 0)
	check("fresh", 3, 3)
	check("freelist", 0, 0)
	check("syncpool", 0, 0) // rounded down: the race detector makes it forget one in four
}

// An object holds the present request and nothing of the one before, and copies no more than it has room for.
func TestObjectsHoldTheirRequest(t *testing.T) {
	for _, way := range ways[1:] {
		o := objects(t, way)
		for _, body := range [][]byte{bytes.Repeat([]byte("x"), 4096), []byte("short"), nil} {
			r := o.Take(body)
			if got := r.Fields[1].Value; len(r.Fields) != 2 || !bytes.HasPrefix(body, got) || len(got) < min(len(body), 1000) || cap(r.scratch) != objectScratch {
				t.Errorf("%s: %d bytes of body: fields %q", way, len(body), r.Fields)
			}
			o.Release(r)
		}
	}
}

// A free list keeps as many as it may, and drops the rest.
func TestObjectsFreeListIsBounded(t *testing.T) {
	o := objects(t, "freelist")
	taken := make([]*Object, freeObjects+10)
	for i := range taken {
		taken[i] = o.Take(nil)
	}
	for _, r := range taken {
		o.Release(r)
	}
	if len(o.free) != freeObjects {
		t.Errorf("%d kept, want %d", len(o.free), freeObjects)
	}
}

// Session and Answer give every object back.
func TestSessionTakesObjects(t *testing.T) {
	env, err := newEnv(options{listen: "127.0.0.1:0", protocol: "frame", work: "none", inject: "0s", payload: defaultPayload})
	if err != nil {
		t.Fatal(err)
	}
	o := objects(t, "freelist")
	env.UseObjects(o)
	in := wire.AppendFrame(wire.AppendFrame(nil, 1, []byte("one")), 2, []byte("two"))
	session := env.NewSession()
	if n, out, _ := session.Serve(in, nil); n != len(in) || !bytes.Equal(out, in) {
		t.Errorf("took %d of %d bytes, replied %q", n, len(in), out)
	}
	if len(o.free) != 1 {
		t.Errorf("%d objects after two requests in turn, want 1", len(o.free))
	}
	if got := string((<-o.free).Fields[1].Value); got != "two" {
		t.Errorf("the object holds %q, want the last body", got)
	}
	var j Job
	if _, ok := session.Next(in, &j); !ok {
		t.Fatal("no request")
	}
	env.Answer(&j, nil)
	if len(o.free) != 1 {
		t.Errorf("%d objects after Answer, want 1", len(o.free))
	}
}

func TestObjectsRefuseOtherWays(t *testing.T) {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	new(Objects).Flag(fs)
	if err := fs.Parse([]string{"--objects=arena"}); err == nil || !strings.Contains(err.Error(), "none, fresh, syncpool, freelist") {
		t.Errorf("error %v, want the known ways", err)
	}
}
