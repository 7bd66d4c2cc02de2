package checks

import (
	"os"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/validity"
)

func TestKeepAlive(t *testing.T) {
	expect(t, goneCheck(Load{Open: 5}), validity.OK, "")
	expect(t, goneCheck(Load{Kept: true, Lost: 9, Open: 1, Refused: 3}), validity.OK, "")
	expect(t, goneCheck(Load{Kept: true, Lost: 9}), validity.OK, "") // closed at the very end
	expect(t, goneCheck(Load{Kept: true, Lost: 9, Refused: 3, Interrupted: true}), validity.OK, "")
	expect(t, goneCheck(Load{Kept: true, Lost: 9, Refused: 3}), validity.Fail, "all connections were lost, 9 in all")
	expect(t, goneCheck(Load{Lost: 9, Refused: 3}), validity.OK, "") // none is to be open at the end
	kept := func(opened, reopened, lost int64, interrupted bool) validity.Check {
		return keepAliveCheck(Load{Opened: opened, Reopened: reopened, Lost: lost, Wanted: 100, Interrupted: interrupted})
	}
	expect(t, kept(100, 0, 0, false), validity.OK, "")
	expect(t, kept(103, 0, 0, false), validity.Warn, "103 connections were opened, 100 would have done")
	expect(t, kept(103, 3, 3, false), validity.Warn, "3 connections ended early, and 3 were opened again")
	expect(t, kept(100, 0, 1, false), validity.Warn, "1 connection ended early, and 0 were opened again")
	expect(t, kept(97, 0, 0, false), validity.Fail, "97 of 100")
	// Those that were opened again do not hide those that never were.
	expect(t, kept(100, 3, 3, false), validity.Fail, "97 of 100 connections could be opened; 3 connections ended early, and 3 were opened again")
	expect(t, kept(97, 0, 0, true), validity.NotApplicable, "")
	expect(t, kept(97, 2, 2, true), validity.Warn, "2 connections ended early")
}

func TestKernelDrops(t *testing.T) {
	for i, name := range []string{"listen overflows", "listen drops", "SYN retransmits", "backlog drops"} {
		for v, want := range map[int64]validity.State{0: validity.OK, 3: validity.Warn, Unknown: validity.Unknown} {
			k := Kernel{}
			*[]*int64{&k.ListenOverflows, &k.ListenDrops, &k.SynRetransmits, &k.BacklogDrops}[i] = v
			for j, c := range KernelDrops(k, "disk gone") {
				switch {
				case j != i:
					expect(t, c, validity.OK, "")
				case want == validity.Warn:
					expect(t, c, want, "3 in this network namespace")
				case want == validity.Unknown:
					expect(t, c, want, "disk gone")
				default:
					expect(t, c, want, "")
				}
				if j == i && c.Name != "kernel drops, "+name {
					t.Errorf("%s, want %s", c.Name, name)
				}
			}
		}
	}
	expect(t, retransmitCheck(Kernel{Retransmits: 12, SynRetransmits: 2}, 10_000), validity.OK, "")
	expect(t, retransmitCheck(Kernel{Retransmits: 13, SynRetransmits: 2}, 10_000), validity.Warn, "11 segments were sent again in this network namespace, whosever they were, SYNs apart, limit 10.0")
	expect(t, retransmitCheck(Kernel{Retransmits: 11, SynRetransmits: Unknown}, 10_000), validity.Warn, "11 segments")
	expect(t, retransmitCheck(Kernel{Retransmits: Unknown}, 10_000), validity.Unknown, "")
	expect(t, portsCheck(0, 0), validity.OK, "")
	expect(t, portsCheck(7, 0), validity.Warn, "7 attempts to connect found no source port, no file or no memory left on the client's side") // kept
	expect(t, portsCheck(7, 5), validity.Warn, "client's side: 5 requests were not sent")
}

// sound is a load that no check complains about.
func sound() Load {
	return Load{Phases: []Phase{good(nil)}, Opened: 100, Wanted: 100, Planned: 20_000}
}

func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range All(sound()) {
		if seen[c.Name] {
			t.Errorf("%s stands twice", c.Name)
		}
		seen[c.Name] = true
		switch c.Name {
		case "client share of latency":
			expect(t, c, validity.NotApplicable, "unknown")
		case "generator CPU wait":
			expect(t, c, validity.NotApplicable, "")
		default:
			expect(t, c, validity.OK, "")
		}
	}
	for _, name := range []string{
		"generator lag", "offered rate", "outcome identity", "open loop", "bookkeeping (Little's law)", "generator CPU", "generator CPU wait",
		"generator throttling", "generator steal", "generator runtime", "kernel drops, listen overflows", "kernel drops, listen drops",
		"kernel drops, SYN retransmits", "kernel drops, backlog drops", "kernel drops, retransmits", "kernel drops, ports",
		"timer fingerprints", "timer fingerprints, connect", "keep-alive truth", "stationarity", "client share of latency", "good replies",
	} {
		if !seen[name] {
			t.Errorf("no check %s", name)
		}
	}
	for _, c := range All(Load{}) {
		if c.Name == "measured phases" {
			expect(t, c, validity.Unknown, "no measured phase was reached")
			return
		}
	}
	t.Error("no word about a load without a measured phase")
}

func TestTheWorstPhaseStands(t *testing.T) {
	l := sound()
	l.Phases = append(l.Phases, good(func(p *Phase) { p.Name, p.CPU = "second", 0.9 }), good(nil))
	for _, c := range All(l) {
		if c.Name == "generator CPU" {
			expect(t, c, validity.Fail, "phase second")
		}
	}
}

func TestMerge(t *testing.T) {
	a := []validity.Check{{Name: "a", State: validity.OK}, {Name: "b", State: validity.Fail}}
	b := []validity.Check{{Name: "b", State: validity.Warn}, {Name: "c", State: validity.OK}, {Name: "a", State: validity.Unknown}}
	got := Merge(a, b)
	if len(got) != 3 || got[0].State != validity.Unknown || got[1].State != validity.Fail || got[2].Name != "c" || a[0].State != validity.OK {
		t.Errorf("%+v of %+v", got, a)
	}
}

// docs/METHOD.md has a row for every check.
func TestTheMethodNamesEveryCheck(t *testing.T) {
	method, err := os.ReadFile("../../docs/METHOD.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(All(sound()), KnownAnswer(Verified{})) {
		name, _, _ := strings.Cut(c.Name, ",")
		if !strings.Contains(string(method), "\n| "+name+" | ") {
			t.Errorf("docs/METHOD.md has no row for %s", name)
		}
	}
}
