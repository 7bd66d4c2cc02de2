package push

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/internal/validity"
)

// reflectorScript is the variable whose value, a PushScript, makes this program a reflector instead of running tests.
const reflectorScript = "PUSH_REFLECTOR"

func TestMain(m *testing.M) {
	if script := os.Getenv(reflectorScript); script != "" {
		if err := serve(script); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// served is the line that a reflector's process prints at its end; its first line is its URL.
type served struct{ Subscribed, Made, Pushed, Dropped int64 }

// serve pushes until standard input ends.
func serve(script string) error {
	var s reflect.PushScript
	if err := json.Unmarshal([]byte(script), &s); err != nil {
		return fmt.Errorf("reading the script: %w", err)
	}
	p, err := reflect.StartPush(s)
	if err != nil {
		return err
	}
	fmt.Println(p.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	if end := p.Close(); err == nil {
		err = end
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(served{p.Subscribed.Load(), p.Made.Load(), p.Pushed.Load(), p.Dropped.Load()})
}

// against loads a reflector in a process of its own, so that the two share no scheduler, and returns what both say.
func against(t *testing.T, s reflect.PushScript, subscribers int, length time.Duration) (*clients.Report, served) {
	t.Helper()
	script, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), reflectorScript+"="+string(script))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil {
		t.Fatalf("waiting for the reflector's URL: %v", err)
	}
	r := run(t, plan(url, subscribers, length))
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	var counts served
	if err := json.NewDecoder(out).Decode(&counts); err != nil {
		t.Errorf("reading the reflector's counts: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the reflector's process: %v", err)
	}
	return r, counts
}

// A channel of 1000 frames a second has 500 in half a second, and each of 8 subscribers gets all of them, once and in order.
// Delivery is from the sender's clock to the client's thread: an exchange over loopback and a wake-up, some 100 µs. It may
// take up to 5 ms at the median, as in package known what meets no delay. What a busy host can upset may go wrong in two tries
// of three; the sequence is whole in each.
func TestKnownDelivery(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a second or more")
	}
	const (
		rate, subscribers = 1000, 8
		length            = 500 * time.Millisecond
		calm              = 5 * time.Millisecond
		// At both edges of the phase frames may be late by a stall of the host: 50 ms are a tenth of the length.
		edges = 0.1
	)
	var wrong []string // in the last try
	for try := 0; try < 3 && (try == 0 || len(wrong) > 0); try++ {
		wrong = nil
		amiss := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
		r, server := against(t, reflect.PushScript{Rate: rate, Payload: 100}, subscribers, length)
		p := r.Push
		// The rest were on their way when the client closed.
		if p.Received > server.Pushed || server.Pushed-p.Received > subscribers*rate/10 {
			amiss("%d frames received, the server pushed %d", p.Received, server.Pushed)
		}
		if p.Received != p.Expected || p.PushCounts != (clients.PushCounts{Received: p.Received}) {
			t.Errorf("%+v of %d expected: want each once, in order and whole", p.PushCounts, p.Expected)
		}
		if p.Subscribers != subscribers || server.Subscribed != subscribers || server.Dropped != 0 || len(p.Lost) > 0 {
			amiss("%d subscribers, the server counts %d, dropped %d; lost %v", p.Subscribers, server.Subscribed, server.Dropped, p.Lost)
		}
		want := subscribers * rate * length.Seconds()
		if got := float64(p.Phases[0].Received); got < want*(1-edges) || got > want*(1+edges) {
			amiss("%.0f frames in the phase, want %.0f", got, want)
		}
		if p.DeliveryNs == nil || p.DeliveryNs.P50 == nil || *p.DeliveryNs.P50 <= 0 {
			amiss("delivery %+v: want a median", p.DeliveryNs)
		} else if p50 := time.Duration(*p.DeliveryNs.P50); p50 > calm {
			amiss("median of the delivery lag %v, want up to %v", p50, calm)
		}
	}
	for _, w := range wrong {
		t.Errorf("in each of three tries something was wrong, in the last one %s", w)
	}
}

// What befalls every tenth frame is found, and nothing else. Of E expected numbers on a connection E ÷ 10 are multiples of
// ten, rounded one way or the other.
func TestKnownFaults(t *testing.T) {
	const rate, subscribers, every = 1000, 4, 10
	for fault, says := range map[string]string{reflect.PushGap: "missing", reflect.PushReordered: "out of order", reflect.PushDuplicate: "duplicated"} {
		r, _ := against(t, reflect.PushScript{Rate: rate, Payload: 40, Fault: fault, Every: every}, subscribers, 200*time.Millisecond)
		p := r.Push
		got := map[string]int64{reflect.PushGap: p.Missing, reflect.PushReordered: p.Reordered, reflect.PushDuplicate: p.Duplicated}
		for name, n := range got {
			want, off := 0.0, 0.0
			if name == fault {
				want, off = float64(p.Expected)/every, subscribers
			} else if name == reflect.PushGap && fault == reflect.PushReordered {
				off = subscribers // the one behind may not have come yet at the end
			}
			if float64(n) < want-off || float64(n) > want+off {
				t.Errorf("fault %s: %d by %s of %d expected, want %.0f ± %.0f: %+v", fault, n, name, p.Expected, want, off, p.PushCounts)
			}
		}
		if p.Expected < subscribers*rate/10 || p.Stale+p.Bad != 0 {
			t.Errorf("fault %s: %+v of %d expected", fault, p.PushCounts, p.Expected)
		}
		if c := find(t, r, "push sequence"); c.State != validity.Fail || r.Verdict != validity.Invalid || !strings.Contains(c.Reason, says) {
			t.Errorf("fault %s: %s, %+v, want it to say %q", fault, r.Verdict, c, says)
		}
	}
}
