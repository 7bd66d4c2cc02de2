package sut

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/millrace/millrace/internal/procfs"
	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut/foreign"
)

// Limits of replicas.
const (
	maxReplicas = 1024
	// startedAtOnce is how many replicas start at the same time.
	startedAtOnce = 4
	// manyReplicas is from where on a reading costs so much that they are taken once a second only, and may take longer.
	manyReplicas = 9
)

// Replicas are the processes of one server: one, or several that share the connections where one may not open files enough.
// Its methods are safe for concurrent use. Whoever starts them calls Stop.
type Replicas struct {
	all   []*Process
	ended chan struct{} // closed when the first of them has ended
}

// StartReplicas starts n processes of a server, which differ in nothing but the port that they choose, and returns when all of
// them accept connections. The first one's log is the command's; of the others only the last lines are kept.
func StartReplicas(ctx context.Context, c Command, n int) (*Replicas, error) {
	if n < 1 || n > maxReplicas {
		return nil, fmt.Errorf("starting server %s: %d replicas: want 1 to %d", c.Name, n, maxReplicas)
	}
	all := make([]*Process, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	turns := make(chan struct{}, startedAtOnce)
	for i := range n {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			one := c
			if n > 1 {
				one.Name = fmt.Sprintf("%s, replica %d of %d", c.Name, i+1, n)
			}
			if i > 0 {
				one.LogPath, one.OnThread = "", nil
			}
			all[i], errs[i] = StartProcess(ctx, one)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for _, p := range all {
			if p != nil {
				p.kill()
				_, _ = p.await(killWithin)
			}
		}
		return nil, err
	}
	return together(all...), nil
}

// together makes a server of processes that run.
func together(all ...*Process) *Replicas {
	g := &Replicas{all: all, ended: make(chan struct{})}
	var once sync.Once
	for _, p := range all {
		go func() {
			<-p.Done()
			once.Do(func() { close(g.ended) })
		}()
	}
	return g
}

// First is the first replica; where there is one only, the server.
func (g *Replicas) First() *Process { return g.all[0] }

// Addrs are the addresses of all, host:port.
func (g *Replicas) Addrs() []string {
	var addrs []string
	for _, p := range g.all {
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// PIDs are the process ids of all, with the children that a foreign server has now; an error where these can't be told.
func (g *Replicas) PIDs() ([]int, error) {
	var pids []int
	for _, p := range g.all {
		if p.isForeign() {
			group, err := foreign.Group(p.PID())
			if err != nil {
				return nil, err
			}
			pids = append(pids, group...)
			continue
		}
		pids = append(pids, p.PID())
	}
	return pids, nil
}

// Done is closed when any of them has ended.
func (g *Replicas) Done() <-chan struct{} { return g.ended }

func (g *Replicas) hasEnded() bool {
	select {
	case <-g.ended:
		return true
	default:
		return false
	}
}

// Failure is that of the first one that has ended, else of the first.
func (g *Replicas) Failure(reason string) error {
	for _, p := range g.all {
		if p.ended() {
			return p.Failure(reason)
		}
	}
	return g.all[0].Failure(reason)
}

// LogTail are the last lines of those that crashed, else of the first.
func (g *Replicas) LogTail() []string {
	for _, p := range g.all {
		if p.Crashed() != "" {
			return p.LogTail()
		}
	}
	return g.all[0].LogTail()
}

// Crashed is the first line that tells of a crash in the log of any, or "".
func (g *Replicas) Crashed() string {
	for _, p := range g.all {
		if line := p.Crashed(); line != "" {
			return line
		}
	}
	return ""
}

// Stop stops all at once, and tells how the first of them ended that did not end well, else how the first did.
func (g *Replicas) Stop(ctx context.Context) Exit {
	exits := make([]Exit, len(g.all))
	var wg sync.WaitGroup
	for i, p := range g.all {
		wg.Go(func() { exits[i] = p.Stop(ctx) })
	}
	wg.Wait()
	for _, e := range exits {
		if !e.Clean() {
			return e
		}
	}
	return exits[0]
}

// port is that of the first.
func (g *Replicas) port() (int, error) {
	_, port, err := net.SplitHostPort(g.all[0].Addr())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}

// readings asks all for their part of a reading. The sum comes on the returned channel, which is never closed, once all have
// answered.
func (g *Replicas) readings() (<-chan json.RawMessage, error) {
	if g.all[0].isForeign() {
		return nil, nil // there is nobody to ask
	}
	if len(g.all) == 1 {
		return g.all[0].request("readings")
	}
	var parts []<-chan json.RawMessage
	for _, p := range g.all {
		reply, err := p.request("readings")
		if err != nil {
			return nil, err // those asked before answer to nobody
		}
		parts = append(parts, reply)
	}
	sum := make(chan json.RawMessage, 1)
	go func() {
		var total results.Reading
		for _, part := range parts {
			select {
			case reply := <-part:
				var r results.Reading
				if json.Unmarshal(reply, &r) != nil {
					return
				}
				addReading(&total, &r)
			case <-g.ended:
				return
			}
		}
		if data, err := json.Marshal(&total); err == nil {
			sum <- data
		}
	}()
	return sum, nil
}

// largest are the fields of a reading of which several processes have the largest, not the sum.
var largest = map[string]bool{"GCPauseMaxNs": true, "SchedP99Ns": true, "PushLateMaxNs": true, "PushLateP99Ns": true}

// addReading adds the server's part of a reading to those of other replicas. What one of them lacks, the sum lacks from its side
// on: it is then that of those which have it, and a server has it in all its replicas or in none.
func addReading(total, r *results.Reading) {
	to, from := reflect.ValueOf(total).Elem(), reflect.ValueOf(r).Elem()
	for i := range to.NumField() {
		more, ok := from.Field(i).Interface().(*int64)
		if !ok || more == nil {
			continue
		}
		sum := *more
		if so, _ := to.Field(i).Interface().(*int64); so != nil {
			if sum += *so; largest[to.Type().Field(i).Name] {
				sum = max(*so, *more)
			}
		}
		to.Field(i).Set(reflect.ValueOf(&sum))
	}
}

// usages are the resources of all processes, from /proc.
type usages []*procfs.Process

func openUsages(pids []int) (usages, error) {
	var u usages
	for _, pid := range pids {
		p, err := procfs.OpenProcess(pid)
		if err != nil {
			u.close()
			return nil, err
		}
		u = append(u, p)
	}
	return u, nil
}

func (u usages) close() {
	for _, p := range u {
		p.Close()
	}
}

// read adds up. Peaks of single processes add up to an upper bound of that of all.
func (u usages) read() (procfs.Usage, error) {
	var sum procfs.Usage
	for i, p := range u {
		one, err := p.Read()
		if err != nil {
			return sum, err
		}
		if i == 0 {
			sum = one
			continue
		}
		to, from := reflect.ValueOf(&sum).Elem(), reflect.ValueOf(one)
		for i := range to.NumField() {
			if to.Field(i).Int() == procfs.Unknown || from.Field(i).Int() == procfs.Unknown {
				to.Field(i).SetInt(procfs.Unknown)
				continue
			}
			to.Field(i).SetInt(to.Field(i).Int() + from.Field(i).Int())
		}
	}
	return sum, nil
}

// sum adds up what read tells of each; procfs.Unknown where one can't be read.
func (u usages) sum(read func(*procfs.Process) (int64, error)) int64 {
	var total int64
	for _, p := range u {
		n, err := read(p)
		if err != nil {
			return procfs.Unknown
		}
		total += n
	}
	return total
}

// pace is how often so many processes are sampled, and how long their part of a reading may take.
func pace(n int) (every, within time.Duration) {
	if n < manyReplicas {
		return sampleEvery, replyWithin
	}
	return time.Second, time.Second / 2
}
