package procfs

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// burn uses the CPU until this process's clock has advanced by d.
func burn(t testing.TB, d time.Duration) {
	t.Helper()
	cpu := must[int64](t)
	for start := cpu(CPUTime(0)); cpu(CPUTime(0))-start < int64(d); {
		runtime.Gosched()
	}
}

func TestProcessReadsItself(t *testing.T) {
	p := must[*Process](t)(OpenProcess(os.Getpid()))
	defer p.Close()
	before := must[Usage](t)(p.Read())

	const size = 32 << 20
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	burn(t, 20*time.Millisecond)
	after := must[Usage](t)(p.Read())
	pss := must[int64](t)(p.PSS())
	runtime.KeepAlive(block)

	if grown := after.RSSBytes - before.RSSBytes; grown < size*9/10 || grown > size*3 {
		t.Errorf("RSS grew by %d after touching %d bytes", grown, size)
	}
	if grown := after.RSSAnonBytes - before.RSSAnonBytes; grown < size*9/10 {
		t.Errorf("anonymous RSS grew by %d after touching %d bytes", grown, size)
	}
	if after.RSSPeakBytes < after.RSSBytes*9/10 {
		t.Errorf("peak %d below RSS %d", after.RSSPeakBytes, after.RSSBytes)
	}
	if tasks := must[[]os.DirEntry](t)(os.ReadDir("/proc/self/task")); after.Threads < 1 || int(after.Threads) > len(tasks)+4 {
		t.Errorf("%d threads, %d in /proc/self/task", after.Threads, len(tasks))
	}
	if used := after.CPUUserNs + after.CPUSystemNs - before.CPUUserNs - before.CPUSystemNs; used < int64(20*time.Millisecond) {
		t.Errorf("used %d ns of CPU, burnt 20 ms", used)
	}
	if pss < size*9/10 || pss > after.RSSBytes+size {
		t.Errorf("PSS %d, RSS %d", pss, after.RSSBytes)
	}
}

func TestProcessCountsFiles(t *testing.T) {
	p := must[*Process](t)(OpenProcess(os.Getpid()))
	defer p.Close()
	before := must[int64](t)(p.Files())
	for range 100 {
		defer must[*os.File](t)(os.Open(os.DevNull)).Close()
	}
	if n := must[int64](t)(p.Files()) - before; n != 100 {
		t.Errorf("%d more files after opening 100", n)
	}
}

func TestProcessThatEndedIsAnError(t *testing.T) {
	c := exec.Command("cat")
	in := must[io.WriteCloser](t)(c.StdinPipe())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := must[*Process](t)(OpenProcess(c.Process.Pid))
	defer p.Close()
	if u := must[Usage](t)(p.Read()); u.Threads != 1 || u.RSSBytes == 0 {
		t.Errorf("cat: %+v", u)
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if u, err := p.Read(); err == nil {
		t.Errorf("read %+v of a process that has ended", u)
	}
	if _, err := OpenProcess(c.Process.Pid); err == nil {
		t.Error("opened a process that has ended")
	}
}

func TestSplitOnlyGrowsAndAddsUp(t *testing.T) {
	var p Process
	user, system := int64(0), int64(0)
	for _, step := range []struct{ total, system int64 }{
		{5, 0}, {9, 10}, {14, 10}, {15, 20}, {40, 20}, {41, 41}, {41, 0},
	} {
		p.split(step.total, step.system)
		if p.user+p.system != step.total || p.user < user || p.system < system {
			t.Errorf("%+v: user %d after %d, system %d after %d", step, p.user, user, p.system, system)
		}
		user, system = p.user, p.system
	}
}

func TestSystemTimeBehindAnyName(t *testing.T) {
	check := func(line string, want int64, ok bool) {
		t.Helper()
		if got, err := systemNs([]byte(line)); got != want || (err == nil) != ok {
			t.Errorf("%q: %d, %v; want %d", line, got, err, want)
		}
	}
	check("7 (a) R 1 7 7 0 -1 4194304 90 0 0 0 11 22 0 0 20 0", 22*tickNs, true)
	check("7 (a) (b ) 9) R 1 7 7 0 -1 4194304 90 0 0 0 11 22 0 0 20 0", 22*tickNs, true)
	check("7 (a) R 1", 0, false)
	check("", 0, false)
}

func TestReadingDoesNotAllocate(t *testing.T) {
	p := must[*Process](t)(OpenProcess(os.Getpid()))
	defer p.Close()
	h := must[*Host](t)(OpenHost())
	defer h.Close()
	if n := testing.AllocsPerRun(20, func() {
		if _, err := p.Read(); err != nil {
			t.Error(err)
		}
		if _, err := h.Read(); err != nil {
			t.Error(err)
		}
		if _, err := p.Files(); err != nil {
			t.Error(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFileGrowsToItsContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long")
	want := strings.Repeat("0123456789", 1000)
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	f := must[*file](t)(open(path, 16))
	defer f.close()
	for range 2 {
		if got := must[[]byte](t)(f.read()); string(got) != want {
			t.Errorf("read %d bytes, want %d", len(got), len(want))
		}
	}
}

// The obvious way to read a table of /proc/net is the oracle for the fast one.
func TestHostAgreesWithTheFiles(t *testing.T) {
	h := must[*Host](t)(OpenHost())
	defer h.Close()
	c := must[Counters](t)(h.Read())
	plain := func(path, prefix, name string) string {
		data := must[[]byte](t)(os.ReadFile(path))
		var names []string
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); f[0] == prefix {
				if names != nil {
					return f[slices.Index(names, name)]
				}
				names = f
			}
		}
		t.Fatalf("no %s %s in %s", prefix, name, path)
		return ""
	}
	check := func(name string, got int64, path, prefix string) {
		t.Helper()
		// Other programs use the same host: the counter may have moved since.
		if want := parse(t, plain(path, prefix, name)); got < 0 || got > want {
			t.Errorf("%s = %d, want at most %d", name, got, want)
		}
	}
	check("ListenOverflows", c.ListenOverflows, "/proc/net/netstat", "TcpExt:")
	check("ListenDrops", c.ListenDrops, "/proc/net/netstat", "TcpExt:")
	check("TCPSynRetrans", c.SynRetransmits, "/proc/net/netstat", "TcpExt:")
	check("TCPBacklogDrop", c.BacklogDrops, "/proc/net/netstat", "TcpExt:")
	check("RetransSegs", c.Retransmits, "/proc/net/snmp", "Tcp:")
	if c.SlabBytes < 1<<20 || c.SocketBytes < 0 || c.StealNs < 0 || c.TimeWait < 0 {
		t.Errorf("host %+v", c)
	}
}

func parse(t testing.TB, text string) int64 {
	t.Helper()
	v, rest := number([]byte(text))
	if v == Unknown || len(rest) > 0 {
		t.Fatalf("%q is no number", text)
	}
	return v
}

func TestHostSeesSockets(t *testing.T) {
	h := must[*Host](t)(OpenHost())
	defer h.Close()
	l := must[net.Listener](t)(net.Listen("tcp4", "127.0.0.1:0"))
	defer l.Close()
	for range 50 {
		defer must[net.Conn](t)(net.Dial("tcp4", l.Addr().String())).Close()
	}
	if c := must[Counters](t)(h.Read()); c.SocketsInUse < 101 {
		t.Errorf("%d sockets in use, opened 50 connections and a listener", c.SocketsInUse)
	}
}

func TestTimeWaitTellsTheSides(t *testing.T) {
	check := func(network, address string) {
		t.Helper()
		l, err := net.Listen(network, address)
		if err != nil {
			t.Skipf("%s: %v", address, err)
		}
		defer l.Close()
		port := l.Addr().(*net.TCPAddr).Port
		const byServer, byClient = 3, 5
		for i := range byServer + byClient {
			first := must[net.Conn](t)(net.Dial(network, l.Addr().String()))
			second := must[net.Conn](t)(l.Accept())
			if i < byServer {
				first, second = second, first
			}
			finish(t, first.(*net.TCPConn), second.(*net.TCPConn))
		}
		server, client, err := TimeWait(port)
		if err != nil || server != byServer || client != byClient {
			t.Errorf("%s: TIME_WAIT of server %d, client %d (%v), want %d and %d", address, server, client, err, byServer, byClient)
		}
	}
	check("tcp4", "127.0.0.1:0")
	check("tcp6", "[::1]:0")
}

// finish closes first before second and returns when first is in TIME_WAIT: it has then read second's end.
func finish(t testing.TB, first, second *net.TCPConn) {
	t.Helper()
	first.CloseWrite()
	io.Copy(io.Discard, second)
	second.Close()
	if _, err := io.Copy(io.Discard, first); err != nil {
		t.Fatal(err)
	}
	first.Close()
}

func TestCountMessagesRefusesRubbish(t *testing.T) {
	for _, b := range [][]byte{
		make([]byte, 16),
		append([]byte{200, 0, 0, 0}, make([]byte, 12)...),
		append([]byte{18, 0, 0, 0, sockDiagByFamily, 0}, make([]byte, 12)...),
	} {
		if _, _, done, err := countMessages(b, 1); err == nil || !done {
			t.Errorf("%v: done %v, %v", b, done, err)
		}
	}
}

func TestAffinity(t *testing.T) {
	runtime.LockOSThread()
	all := must[[]int](t)(Affinity())
	one := all[len(all)-1:]
	if err := SetAffinity(one); err != nil {
		t.Fatal(err)
	}
	if got := must[[]int](t)(Affinity()); !slices.Equal(got, one) {
		t.Errorf("affinity %v, set %v", got, one)
	}
	if err := SetAffinity(all); err != nil {
		t.Fatal(err)
	}
	runtime.UnlockOSThread()
	for _, cpus := range [][]int{nil, {-1}, {1 << 20}} {
		if err := SetAffinity(cpus); err == nil {
			t.Errorf("affinity %v was accepted", cpus)
		}
	}
}

func BenchmarkProcessRead(b *testing.B) {
	p := must[*Process](b)(OpenProcess(os.Getpid()))
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHostRead(b *testing.B) {
	h := must[*Host](b)(OpenHost())
	defer h.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Read(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPSS(b *testing.B) {
	p := must[*Process](b)(OpenProcess(os.Getpid()))
	defer p.Close()
	for b.Loop() {
		if _, err := p.PSS(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTimeWait(b *testing.B) {
	for b.Loop() {
		if _, _, err := TimeWait(1); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSetProcessAffinityReachesAllThreads(t *testing.T) {
	all := must[[]int](t)(Affinity())
	one := all[:1]
	defer func() {
		if err := SetProcessAffinity(all); err != nil {
			t.Error(err)
		}
	}()
	if err := SetProcessAffinity(one); err != nil {
		t.Fatal(err)
	}
	for _, task := range must[[]os.DirEntry](t)(os.ReadDir("/proc/self/task")) {
		b, err := os.ReadFile(filepath.Join("/proc/self/task", task.Name(), "status"))
		if err == nil && labelled(b, "Cpus_allowed_list:") != int64(one[0]) {
			t.Errorf("thread %s may run elsewhere: %s", task.Name(), b)
		}
	}
}
