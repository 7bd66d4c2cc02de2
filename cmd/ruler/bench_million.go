package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/internal/quantity"
)

// What is measured of very many connections, both ends on this host.
const (
	millionConnections = 1_000_000
	millionQuick       = 50_000
	millionServers     = 52 // processes, of 20 000 files each
	millionRate        = 2000
	millionLength      = 5 * time.Second
	millionWithin      = 3 * time.Minute // from the start of the client to its end
	millionGoal        = 60.0            // seconds
	millionBytesGoal   = 250.0           // of the client's RssAnon a connection
	// millionSpare is the memory in bytes below which the load is ended: the host must live on.
	millionSpare = 3 << 30
)

// million opens a million connections from `millrace load` to reflectors, holds them under a light load, and tells what that took.
func (b *bench) million() ([]row, error) {
	n := millionConnections
	if b.quick {
		n = millionQuick
	}
	servers, urls, err := startReflectors(b, millionServers)
	if err != nil {
		return nil, err
	}
	defer servers.stop()
	before := lookAt(servers.cmd.Process.Pid, 0)
	h, err := b.hold(n, urls, servers.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return h.rows(n, before, b.quick), nil
}

// startReflectors starts n reflectors on all CPUs, and returns their addresses.
func startReflectors(b *bench, n int) (*server, []string, error) {
	cmd := exec.CommandContext(b.ctx, filepath.Join(b.bin, "millrace"), "reflect", "--processes", strconv.Itoa(n))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("starting reflectors: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("starting reflectors: %w", err)
	}
	if err := start(cmd, serverCPU, clientCPU); err != nil {
		return nil, nil, err
	}
	s := &server{name: "reflect", cmd: cmd, stdin: stdin}
	late := time.AfterFunc(readyWithin, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	var urls []string
	for in := bufio.NewScanner(stdout); len(urls) < n && in.Scan(); {
		var ready struct{ Addr string }
		if err := json.Unmarshal(in.Bytes(), &ready); err != nil {
			s.stop()
			return nil, nil, fmt.Errorf("starting reflectors: ready line %q: %w", in.Bytes(), err)
		}
		urls = append(urls, "http://"+ready.Addr+"/")
	}
	if len(urls) < n {
		s.stop()
		return nil, nil, fmt.Errorf("starting reflectors: %d of %d are ready", len(urls), n)
	}
	return s, urls, nil
}

// look is what the host and both ends take at a time. Memory is in bytes.
type look struct {
	at             int64 // CLOCK_MONOTONIC ns
	client, server int64 // RssAnon of all processes
	available      int64
}

// lookAt looks at two processes with their children; 0 is none.
func lookAt(server, client int) look {
	return look{at: procfs.Monotonic(), client: rssAnonOf(client), server: rssAnonOf(server), available: procfs.ReadLimits(0).MemAvailableBytes}
}

// rssAnonOf is the RssAnon in bytes of a process and its children, as far as they live.
func rssAnonOf(pid int) int64 {
	if pid == 0 {
		return 0
	}
	pids := []string{strconv.Itoa(pid)}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is right
	for _, list := range lists {
		// A thread that has ended had no children.
		text, _ := os.ReadFile(list)
		pids = append(pids, strings.Fields(string(text))...)
	}
	var sum int64
	for _, text := range pids {
		pid, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		p, err := procfs.OpenProcess(pid)
		if err != nil {
			continue
		}
		if u, err := p.Read(); err == nil {
			sum += u.RSSAnonBytes
		}
		p.Close()
	}
	return sum
}

// held is a load that held its connections, and how it looked.
type held struct {
	begun  int64 // when its client was started, CLOCK_MONOTONIC ns
	report *clients.Report
	looks  []look
}

// hold runs the load.
func (b *bench) hold(n int, urls []string, server int) (*held, error) {
	args := append([]string{"load"}, urls...)
	args = append(args, "-c", strconv.Itoa(n), "-d", millionLength.String(), "--rate", strconv.Itoa(millionRate), "--json", "-")
	cmd := exec.CommandContext(b.ctx, filepath.Join(b.bin, "millrace"), args...)
	// Its processes end with it: give it the time for that.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	h := &held{begun: procfs.Monotonic()}
	if err := start(cmd, serverCPU, clientCPU); err != nil {
		return nil, err
	}
	b.say("million: %d connections from `millrace load` to %d reflectors", n, len(urls))
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(millionWithin)
	defer late.Stop()
	var gaveUp error
	for running := true; running; {
		select {
		case <-tick.C:
			l := lookAt(server, cmd.Process.Pid)
			h.looks = append(h.looks, l)
			if l.available < millionSpare && gaveUp == nil {
				gaveUp = fmt.Errorf("only %s of memory left", quantity.Format(float64(l.available), quantity.Bytes))
				_ = cmd.Process.Signal(syscall.SIGTERM) // it has ended otherwise
			}
		case <-late.C:
			gaveUp = fmt.Errorf("not over within %v", millionWithin)
			_ = cmd.Process.Signal(syscall.SIGTERM)
		case err := <-ended:
			running = false
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				gaveUp = errors.Join(gaveUp, err)
			}
		}
	}
	if gaveUp != nil {
		return nil, fmt.Errorf("holding %d connections: %w", n, gaveUp)
	}
	h.report = new(clients.Report)
	if err := json.NewDecoder(&out).Decode(h.report); err != nil && !errors.Is(err, io.EOF) || h.report.T0Ns == 0 {
		return nil, fmt.Errorf("holding %d connections: no report: %s", n, tail(errs.String()))
	}
	return h, nil
}

// rows tells what was measured while all connections were open and the load ran.
func (h *held) rows(n int, before look, quick bool) []row {
	r := h.report
	seconds := float64(r.T0Ns-h.begun) / 1e9
	var client, server, kernel []float64
	for _, l := range h.looks {
		if l.at < r.T0Ns || l.at > r.T0Ns+int64(r.DurationSeconds*1e9) {
			continue
		}
		each := float64(n)
		client = append(client, float64(l.client)/each)
		server = append(server, float64(l.server)/each)
		kernel = append(kernel, float64(before.available-l.available-l.client-(l.server-before.server))/each)
	}
	what := quantity.Format(float64(n), quantity.Number) + " connections, both ends on this host"
	all := r.ConnectionsOpened == int64(n) && len(client) > 0
	goal, bytesGoal, verdict, bytesVerdict := noGoal, noGoal, noGoal, noGoal
	if !quick {
		goal, bytesGoal = fmt.Sprintf("< %.0f s", millionGoal), fmt.Sprintf("< %.0f B", millionBytesGoal)
		verdict = judge(all && seconds < millionGoal)
		bytesVerdict = judge(all && spreadOf(client).Median < millionBytesGoal)
	}
	note := fmt.Sprintf("`millrace load` with %d processes, %d reflectors; %d opened, %d attempts failed; then %s for %.3g s: %s, %s planned, %s ok",
		len(r.Agents), millionServers, r.ConnectionsOpened, r.ConnectFailures, asRate(millionRate), r.DurationSeconds, r.Verdict,
		strconv.FormatInt(r.Planned, 10), strconv.FormatInt(r.Outcomes[clients.OK.String()], 10))
	rows := []row{{what + ": from the start of the client until all are open", goal, fmt.Sprintf("%.1f s", seconds), verdict, note}}
	if len(client) == 0 {
		return rows
	}
	return append(rows,
		row{what + ": client memory a connection, base included", bytesGoal, spreadOf(client).show(asBytes), bytesVerdict, "RssAnon of all client processes ÷ connections, under that load"},
		row{what + ": kernel memory a connection, both ends", noGoal, spreadOf(kernel).show(asBytes), noGoal,
			fmt.Sprintf("fall of MemAvailable without both sides' RssAnon; the reflectors' RssAnon is %s a connection", spreadOf(server).show(asBytes))})
}
