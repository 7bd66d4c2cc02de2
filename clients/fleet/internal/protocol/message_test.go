package protocol

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestFileNames(t *testing.T) {
	for name, good := range map[string]bool{"a": true, "a/b.c": true, "..a": true, "": false, ".": false, "..": false, "../a": false,
		"/a": false, "a/../b": false, "a//b": false, "a/": false, "a\\b": false, "a\nb": false, "a\x00": false, strings.Repeat("n", MaxNameBytes+1): false} {
		if err := (FileInfo{Name: name}).Check(1); (err == nil) != good {
			t.Errorf("%.20q: %v", name, err)
		}
	}
}

func TestFailureIsBounded(t *testing.T) {
	f := NewFailure(errors.New(strings.Repeat("é", MaxErrorBytes)))
	if data, err := json.Marshal(f); err != nil || len(data) > MaxErrorBytes {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
