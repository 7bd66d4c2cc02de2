package kit

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func TestChoice(t *testing.T) {
	check := func(want, wantErr string, args ...string) {
		t.Helper()
		fs := flag.NewFlagSet("", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		var got string
		Choice(fs, &got, "pool", "where", "none", "ants")
		err := fs.Parse(args)
		if wantErr == "" && (err != nil || got != want) || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
			t.Errorf("%v: %q, %v; want %q, %q", args, got, err, want, wantErr)
		}
	}
	check("none", "")
	check("ants", "", "--pool=ants")
	check("", "want one of none, ants", "--pool=uncles")
}
