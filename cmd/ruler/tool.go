package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// load is what every tool can be asked for, over HTTP/1.1.
type load struct {
	connections int
	length      time.Duration // whole seconds: wrk and ab know no others
	rate        float64       // requests a second; 0 is a closed loop
	pipeline    int           // millrace only; 0 is 1
	spin        bool          // millrace only
	short       bool          // a connection for each request, which the server closes
	memory      bool          // read the client's memory
}

// tool is a load client that is compared.
type tool struct {
	name    string
	program string // found in PATH
	install string
	// open says that it can send at a fixed rate, short that it can take a connection for each request.
	open, short bool
	// command is what is run; files go to dir.
	command func(l load, url, dir string) []string
	// parse reads what it said, and the files in dir.
	parse func(l load, p *process, dir string) (reading, error)
}

// missing is nil where the tool is installed.
func (t *tool) missing() error {
	if _, err := exec.LookPath(t.program); err != nil {
		return errMissing{t.program, t.install}
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d.Round(time.Second) / time.Second)) }

// manyRequests is more than ab can make in the time it has; it sets memory aside for them, which it touches as it goes.
const manyRequests = "5000000"

// foreignTools are those that nobody here wrote.
var foreignTools = []*tool{&wrk, &ab, &h2load, &vegeta}

var wrk = tool{
	name: "wrk", program: "wrk", install: "apt-get install wrk", short: true,
	command: func(l load, url, _ string) []string {
		args := []string{"wrk", "-t1", "-c" + strconv.Itoa(l.connections), "-d" + seconds(l.length) + "s", "--latency"}
		if l.short {
			args = append(args, "-H", "Connection: close")
		}
		return append(args, url)
	},
	parse: func(_ load, p *process, _ string) (reading, error) { return parseWrk(p.stdout) },
}

var ab = tool{
	name: "ab", program: "ab", install: "apt-get install apache2-utils", short: true,
	command: func(l load, url, dir string) []string {
		// -t sets -n, so that -n comes after it.
		args := []string{"ab", "-q", "-l", "-c", strconv.Itoa(l.connections), "-t", seconds(l.length), "-n", manyRequests, "-e", filepath.Join(dir, "ab.csv")}
		if !l.short {
			args = append(args, "-k")
		}
		return append(args, url)
	},
	parse: func(_ load, p *process, dir string) (reading, error) {
		percentiles, err := os.ReadFile(filepath.Join(dir, "ab.csv"))
		if err != nil {
			return reading{}, fmt.Errorf("reading ab's percentiles: %w", err)
		}
		return parseAB(p.stdout, string(percentiles))
	},
}

var h2load = tool{
	name: "h2load", program: "h2load", install: "apt-get install nghttp2-client", open: true,
	command: func(l load, url, dir string) []string {
		args := []string{"h2load", "--h1", "-t1", "-c" + strconv.Itoa(l.connections), "-D" + seconds(l.length)}
		if l.rate > 0 {
			// Its log costs CPU time for each request, which at saturation would be rate.
			args = append(args, "--rps="+strconv.FormatFloat(l.rate/float64(l.connections), 'f', -1, 64), "--log-file="+filepath.Join(dir, "h2load.log"))
		}
		return append(args, url)
	},
	parse: func(l load, p *process, dir string) (reading, error) {
		var log []byte
		if l.rate > 0 {
			var err error
			if log, err = os.ReadFile(filepath.Join(dir, "h2load.log")); err != nil {
				return reading{}, fmt.Errorf("reading h2load's log: %w", err)
			}
		}
		return parseH2load(p.stdout, log)
	},
}

var vegeta = tool{
	name: "vegeta", program: "vegeta", install: "go install github.com/tsenart/vegeta/v12@latest", open: true,
	command: func(l load, url, dir string) []string {
		n := strconv.Itoa(l.connections)
		rate := strconv.FormatFloat(l.rate, 'f', -1, 64)                                // 0 is as fast as it can
		_ = os.WriteFile(filepath.Join(dir, "targets"), []byte("GET "+url+"\n"), 0o600) // vegeta says if it is not there
		return []string{"vegeta", "attack", "-targets", filepath.Join(dir, "targets"), "-rate", rate, "-duration", l.length.String(),
			"-connections", n, "-workers", n, "-max-workers", n, "-output", filepath.Join(dir, "vegeta.bin")}
	},
	parse: func(_ load, _ *process, dir string) (reading, error) {
		file := filepath.Join(dir, "vegeta.bin")
		report, err := exec.Command("vegeta", "report", "-type", "json", file).Output()
		if err != nil {
			return reading{}, fmt.Errorf("running vegeta report: %w", err)
		}
		results, err := exec.Command("vegeta", "encode", "-to", "csv", file).Output()
		if err != nil {
			return reading{}, fmt.Errorf("running vegeta encode: %w", err)
		}
		return parseVegeta(string(report), bytes.NewReader(results))
	},
}

// foreign is a foreign tool by its name.
func foreign(name string) *tool {
	for _, t := range foreignTools {
		if t.name == name {
			return t
		}
	}
	panic("no tool " + name)
}

// millrace is `millrace load` with one of its engines.
func millrace(bin, name, engine string) *tool {
	program := filepath.Join(bin, "millrace")
	return &tool{
		name: name, program: program, install: "make build", open: true, short: true,
		command: func(l load, url, _ string) []string {
			args := []string{program, "load", url, "-c", strconv.Itoa(l.connections), "-d", l.length.String(), "--engine", engine, "--json", "-"}
			if l.rate > 0 {
				args = append(args, "--rate", strconv.FormatFloat(l.rate, 'f', -1, 64))
			}
			if l.pipeline > 1 {
				args = append(args, "--pipeline", strconv.Itoa(l.pipeline))
			}
			args = append(args, "--spin="+strconv.FormatBool(l.spin))
			if l.short {
				args = append(args, "--requests", "1", "--close", "fin-server", "-H", "Connection: close")
			}
			return args
		},
		parse: func(_ load, p *process, _ string) (reading, error) { return parseMillrace(p.stdout) },
	}
}

// sample is one run of one tool: what it said, and what it and the server used meanwhile.
type sample struct {
	reading
	cpu, wall, serverCPU time.Duration
	preempted            int64
	rssAnon              float64
}

// run makes a tool load a server.
func (t *tool) run(ctx context.Context, s *server, l load) (sample, error) {
	dir, err := os.MkdirTemp("", "ruler-")
	if err != nil {
		return sample{}, fmt.Errorf("running %s: %w", t.name, err)
	}
	defer os.RemoveAll(dir)
	before := s.cpu()
	p, err := client(ctx, t.command(l, s.url(), dir), l.length, l.memory)
	if err != nil {
		return sample{}, err
	}
	used := s.cpu() - before
	r, err := t.parse(l, p, dir)
	if err != nil {
		return sample{}, fmt.Errorf("%w (exit status %d, standard error %q)", err, p.status, tail(p.stderr))
	}
	if r.requests == 0 {
		return sample{}, fmt.Errorf("running %s: no good reply: %q", t.name, tail(p.stderr))
	}
	if r.bad > r.requests/1000 {
		return sample{}, fmt.Errorf("running %s: %d of %d requests got no good reply", t.name, r.bad, r.requests+r.bad)
	}
	return sample{r, p.cpu, p.wall, used, p.preempted, p.rssAnon}, nil
}

// tail is the end of what a program said.
func tail(s string) string { return s[max(0, len(s)-300):] }

// perCPU is good replies per second of the client's CPU time, its start and its connecting among it.
func (s *sample) perCPU() float64 { return float64(s.requests) / s.cpu.Seconds() }

// isMissing reports whether an error is that of a program that is not installed.
func isMissing(err error) bool {
	var m errMissing
	return errors.As(err, &m)
}
