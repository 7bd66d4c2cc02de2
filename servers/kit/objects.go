package kit

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Object is what many servers make of each request before they answer it: some fields and a scratch buffer, three
// allocations of about 1.3 KiB together. It belongs to who took it, until Release.
type Object struct {
	Fields  []Field
	scratch []byte
}

// Field is a name and a value; the value lies in the object's scratch buffer.
type Field struct {
	Name  string
	Value []byte
}

const (
	objectScratch = 1 << 10 // bytes
	objectFields  = 8
	// freeObjects is the most that a free list keeps, 1.3 MiB: more requests than that at once is for the garbage collector.
	freeObjects = 1024
)

// ways are how request objects are had, in the words of --objects.
var ways = []string{"none", "fresh", "syncpool", "freelist"}

// Objects is where a model has its request objects from: from nowhere (none, the default of all models: a request has no
// object, and Take costs a comparison), a new one each time (fresh), a sync.Pool (syncpool), or a buffered channel of at most
// 1024 (freelist): the "leaky buffer" of Effective Go, first in, first out, which is what Go programs without sync.Pool do. A
// nil *Objects is none. It is safe for any number of goroutines after the flags are parsed.
type Objects struct {
	way  string // empty is none
	pool sync.Pool
	free chan *Object
}

// Flag adds --objects.
func (o *Objects) Flag(fs *flag.FlagSet) {
	fs.Func("objects", "how the object of a request is had: "+strings.Join(ways, ", ")+" (default none)", func(way string) error {
		if !slices.Contains(ways, way) {
			return fmt.Errorf("want one of %s", strings.Join(ways, ", "))
		}
		*o = Objects{way: way}
		switch way {
		case "none":
			o.way = ""
		case "syncpool":
			o.pool.New = func() any { return newObject() }
		case "freelist":
			o.free = make(chan *Object, freeObjects)
		}
		return nil
	})
}

// ObjectVariants are the variants of a model that has --objects.
func ObjectVariants() []Variant {
	return []Variant{
		{Name: "fresh", Doc: "a new object of 1 KiB for each request", Flags: []string{"--objects=fresh"}},
		{Name: "syncpool", Doc: "each request's object of 1 KiB from a sync.Pool", Flags: []string{"--objects=syncpool"}},
		{Name: "freelist", Doc: "each request's object of 1 KiB from a bounded channel of used ones", Flags: []string{"--objects=freelist"}},
	}
}

func newObject() *Object {
	return &Object{Fields: make([]Field, 0, objectFields), scratch: make([]byte, 0, objectScratch)}
}

// Take returns an object filled from a request with this body, of which it copies what fits; nil where there are none.
// Release it once the reply is made.
func (o *Objects) Take(body []byte) *Object {
	if o == nil || o.way == "" {
		return nil
	}
	return o.take(body)
}

func (o *Objects) take(body []byte) *Object {
	var r *Object
	switch o.way {
	case "syncpool":
		r = o.pool.Get().(*Object)
	case "freelist":
		select {
		case r = <-o.free:
		default:
			r = newObject()
		}
	default:
		r = newObject()
	}
	r.fill(body)
	return r
}

// fill forgets the request before.
func (r *Object) fill(body []byte) {
	length := strconv.AppendInt(r.scratch[:0], int64(len(body)), 10)
	r.scratch = append(length, body[:min(len(body), cap(length)-len(length))]...)
	r.Fields = append(r.Fields[:0], Field{"length", r.scratch[:len(length)]}, Field{"body", r.scratch[len(length):]})
}

// Release gives an object of Take back, or lets go of it; nil is nothing. It must not be used afterwards.
func (o *Objects) Release(r *Object) {
	if r != nil {
		o.release(r)
	}
}

func (o *Objects) release(r *Object) {
	switch o.way {
	case "syncpool":
		o.pool.Put(r)
	case "freelist":
		select {
		case o.free <- r:
		default:
		}
	}
}

// UseObjects makes Session and Answer take an object for each request. Call it before the first connection.
func (e *Env) UseObjects(o *Objects) { e.objects = o }
