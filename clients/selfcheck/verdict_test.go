package selfcheck

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/hostkey"
)

func TestVerdictsAreKeptByEngine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := Load(dir, "epoll"); !errors.Is(err, ErrNever) {
		t.Errorf("error %v where nothing was ever stored", err)
	}
	at := time.Date(2026, 11, 21, 3, 15, 0, 0, time.UTC)
	for _, v := range []Verdict{
		{At: at, Engine: "epoll", Failed: []string{"freeze"}},
		{At: at, Engine: "vegeta", Quick: true, Passed: []string{"freeze"}, Failed: []string{"stalls"}},
		{At: at.Add(time.Hour), Engine: "epoll", Passed: []string{"freeze", "stalls"}, Failed: []string{}},
	} {
		if err := Store(dir, v); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Load(dir, "epoll")
	want := Verdict{Schema: Schema, At: at.Add(time.Hour), Engine: "epoll", Passed: []string{"freeze", "stalls"}, Failed: []string{}}
	if err != nil || !reflect.DeepEqual(got, want) || !got.OK() {
		t.Errorf("verdict %+v, error %v, want %+v", got, err, want)
	}
	if v, err := Load(dir, "vegeta"); err != nil || v.OK() || !v.Quick {
		t.Errorf("verdict %+v, error %v", v, err)
	}
	if (Verdict{}).OK() {
		t.Error("a verdict without cases is OK")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("files %v, error %v: want one an engine and nothing half written", left, err)
	}
}

func TestAQuickVerdictHidesNoFailure(t *testing.T) {
	good, bad := []string{"freeze"}, []string{"stalls"}
	for _, x := range []struct {
		now, last Verdict
		hides     bool
	}{
		{Verdict{Quick: true, Passed: good}, Verdict{Failed: bad}, true},
		{Verdict{Quick: true, Passed: good, Failed: bad}, Verdict{Failed: bad}, false},
		{Verdict{Quick: true, Passed: good}, Verdict{Quick: true, Failed: bad}, false},
		{Verdict{Quick: true, Passed: good}, Verdict{Passed: good}, false},
		{Verdict{Passed: good}, Verdict{Failed: bad}, false},
		{Verdict{Quick: true, Passed: good}, Verdict{}, false},
	} {
		if got := x.now.Hides(x.last); got != x.hides {
			t.Errorf("%+v after %+v: hides %v", x.now, x.last, got)
		}
	}
}

func TestLast(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(hostkey.CacheVariable, dir)
	if err := Store(dir, Verdict{Engine: "epoll", Passed: []string{"freeze"}}); err != nil {
		t.Fatal(err)
	}
	if v, err := Last("epoll"); err != nil || !v.OK() {
		t.Errorf("verdict %+v, error %v", v, err)
	}
}

func TestADamagedVerdictIsNoVerdict(t *testing.T) {
	dir := t.TempDir()
	path, err := pathOf(dir, "epoll")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", `{"schema":1,"engine":"vegeta","passed":["freeze"]}`, `{"schema":99,"engine":"epoll","passed":["freeze"]}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := Load(dir, "epoll"); err == nil || errors.Is(err, ErrNever) {
			t.Errorf("verdict %+v, error %v of %q", v, err, text)
		}
	}
}
