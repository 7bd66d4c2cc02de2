package scenarios

import (
	"reflect"
	"testing"
)

// FuzzDecode: never panics, and what it accepts resolves, has a length, and stays the same when resolved once more.
func FuzzDecode(f *testing.F) {
	for _, name := range Names {
		data, err := files.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("name: x\nwhy: y\nprotocol: frame\nconnections: {count: 1, rate: 1/s, steps: [1]}\nphases: [{name: a, for: 1s, each: step, arrivals: {poisson: 1k/s}}]\nquick: {payload: 3}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Decode("fuzz.yaml", in)
		if err != nil {
			return
		}
		r, err := s.Resolve()
		if err != nil {
			t.Fatalf("accepted, but not resolved: %v", err)
		}
		if r.Duration() <= 0 {
			t.Errorf("takes %v", r.Duration())
		}
		again, err := r.Resolve()
		if err != nil {
			t.Fatalf("resolved, but not once more: %v", err)
		}
		if !reflect.DeepEqual(r, again) {
			t.Errorf("resolved once %+v, twice %+v", r, again)
		}
	})
}
