package procfs

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// started starts a program that ends with the test and returns its pid.
func started(t testing.TB, name string, args ...string) int {
	t.Helper()
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children end with it
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		c.Wait()
	})
	return c.Process.Pid
}

// used waits until a process has used d of CPU since it had used before, and returns how much it has.
func used(t testing.TB, pid int, before int64, d time.Duration) int64 {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); {
		if ns := must[int64](t)(CPUTime(pid)); ns-before >= int64(d) {
			return ns - before
		}
		<-time.After(time.Millisecond)
	}
	t.Fatalf("process %d did not use %v of CPU within 20 s", pid, d)
	return 0
}

func TestForeignSeesAnotherProcess(t *testing.T) {
	const spin = 50 * time.Millisecond
	sleeping := started(t, "sleep", "600")
	spinning := started(t, "sh", "-c", "while :; do :; done")
	before := must[*CPUClocks](t)(ReadCPUClocks())
	late := started(t, "sh", "-c", "while :; do :; done") // its whole time counts
	least := used(t, spinning, before.ns[spinning], spin)
	whole := used(t, late, 0, spin)

	now := must[*CPUClocks](t)(ReadCPUClocks())
	by := must[map[int]int64](t)(before.foreign(now, nil))
	if by[spinning] < least || by[late] < whole || by[sleeping] >= int64(spin) {
		t.Errorf("spinning took %d of at least %d ns, a late one %d of %d, sleeping %d", by[spinning], least, by[late], whole, by[sleeping])
	}
	kernel := 0
	for pid := range now.ns {
		if _, flags, err := parentOf(pid); err == nil && flags&kernelThread != 0 {
			kernel++
			if by[pid] != 0 {
				t.Errorf("kernel thread %d is among the others", pid)
			}
		}
	}
	t.Logf("%d processes, %d kernel threads, %d foreign ones ran", len(now.ns), kernel, len(by))
	for _, ours := range []int{os.Getpid(), os.Getppid()} {
		if by[ours] != 0 {
			t.Errorf("our process %d is among the others", ours)
		}
	}
	if by = must[map[int]int64](t)(before.foreign(now, []int{spinning})); by[spinning] != 0 || by[late] == 0 {
		t.Errorf("server took %d ns, another process %d", by[spinning], by[late])
	}
	if sum, span, err := before.Foreign(late); err != nil || sum < least || span < int64(spin) {
		t.Errorf("%d ns in %d, %v", sum, span, err)
	}
}

// A child of our parent is another agent, and a child of that another server. This process is its child's parent, so the child
// looks for its brother and its nephew.
func TestForeignLeavesBrothersOut(t *testing.T) {
	if os.Getenv("MILLRACE_BROTHER") != "" {
		pid := int(parse(t, os.Getenv("MILLRACE_BROTHER")))
		before := must[*CPUClocks](t)(ReadCPUClocks())
		used(t, pid, before.ns[pid], 20*time.Millisecond)
		now, nephews := must[*CPUClocks](t)(ReadCPUClocks()), 0
		by := must[map[int]int64](t)(before.foreign(now, nil))
		for p := range now.ns {
			if above, _, err := parentOf(p); p == pid || err == nil && above == pid {
				if p != pid && now.ns[p] > before.ns[p] {
					nephews++
				}
				if by[p] != 0 {
					t.Errorf("process %d of the brother %d took %d ns", p, pid, by[p])
				}
			}
		}
		if nephews == 0 {
			t.Error("no nephew ran")
		}
		return
	}
	brother := started(t, "sh", "-c", "(while :; do :; done) & while :; do :; done")
	c := exec.Command(os.Args[0], "-test.run=^TestForeignLeavesBrothersOut$")
	c.Env = append(os.Environ(), fmt.Sprintf("MILLRACE_BROTHER=%d", brother))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// A pid that has less time than before is another process.
func TestForeignOfAReusedPID(t *testing.T) {
	pid := started(t, "sleep", "600")
	before, now := &CPUClocks{ns: map[int]int64{pid: 900}}, &CPUClocks{ns: map[int]int64{pid: 70}}
	if by := must[map[int]int64](t)(before.foreign(now, nil)); by[pid] != 70 {
		t.Errorf("%d ns, want all 70 of the new process", by[pid])
	}
}

func BenchmarkReadCPUClocks(b *testing.B) {
	for b.Loop() {
		if _, err := ReadCPUClocks(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkForeign(b *testing.B) {
	before, err := ReadCPUClocks()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := before.Foreign(0); err != nil {
			b.Fatal(err)
		}
	}
}
