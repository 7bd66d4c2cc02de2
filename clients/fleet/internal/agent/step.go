package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go/micro"
)

// accept checks a request for a step and queues it. The order of steps is part of the check: change is called with the
// lock held and refuses or notes the new state.
func (a *agent) accept(r micro.Request, verb string, change func(trial string) error, call func(context.Context) (json.RawMessage, error)) (any, error) {
	seq, err := strconv.ParseInt(r.Headers().Get(protocol.HeaderSeq), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading the sequence number: %w", err)
	}
	hash := protocol.Hash(r.Data())
	if want := r.Headers().Get(protocol.HeaderHash); hash != want {
		return nil, fmt.Errorf("checking the plan: checksum %s, want %s", hash, want)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.life.Err() != nil {
		return nil, fmt.Errorf("agent %s is ending", a.Agent)
	}
	if a.current != nil {
		return nil, fmt.Errorf("agent %s is busy with %s", a.Agent, a.current.verb)
	}
	if err := change(r.Headers().Get(protocol.HeaderTrial)); err != nil {
		return nil, err
	}
	s := &step{seq: seq, verb: verb, call: call, over: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(a.life)
	if verb == protocol.VerbFinish {
		s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(a.life))
	}
	a.current = s
	a.steps <- s // has room: there is one step at a time
	return protocol.Ack{Seq: seq, SHA256: hash}, nil
}

func (a *agent) onPrepare(r micro.Request) (any, error) {
	plan := json.RawMessage(r.Data())
	spool := filepath.Join(a.Spool, protocol.FilesDir)
	return a.accept(r, protocol.VerbPrepare, func(trial string) error {
		if a.prepared {
			return fmt.Errorf("agent %s is in trial %s, which is not finished", a.Agent, a.trial)
		}
		if err := a.clear(); err != nil {
			return err
		}
		for _, dir := range []string{protocol.FilesDir, protocol.ResultsDir} {
			if err := os.Mkdir(filepath.Join(a.Spool, dir), 0o700); err != nil {
				return fmt.Errorf("making the spool: %w", err)
			}
		}
		a.trial, a.prepared, a.ran = trial, true, false
		return nil
	}, func(ctx context.Context) (json.RawMessage, error) { return a.exec.Prepare(ctx, plan, spool) })
}

func (a *agent) onRun(r micro.Request) (any, error) {
	var arm protocol.Arming
	if err := json.Unmarshal(r.Data(), &arm); err != nil {
		return nil, fmt.Errorf("reading T0: %w", err)
	}
	return a.accept(r, protocol.VerbRun, func(trial string) error {
		if !a.prepared || a.ran || trial != a.trial {
			return fmt.Errorf("agent %s is not prepared for trial %s", a.Agent, trial)
		}
		a.ran = true
		return nil
	}, func(ctx context.Context) (json.RawMessage, error) { return a.exec.Run(ctx, arm.T0Ns, a.progress.offer) })
}

func (a *agent) onFinish(r micro.Request) (any, error) {
	return a.accept(r, protocol.VerbFinish, func(trial string) error {
		if !a.prepared || trial != a.trial {
			return fmt.Errorf("agent %s is not in trial %s", a.Agent, trial)
		}
		a.prepared = false
		return nil
	}, a.exec.Finish)
}

// onStop cancels the step of that number; if it is over already there is nothing to do.
func (a *agent) onStop(r micro.Request) (any, error) {
	seq, err := strconv.ParseInt(r.Headers().Get(protocol.HeaderSeq), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("reading the sequence number: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current != nil && a.current.seq == seq {
		a.current.cancel()
	}
	return protocol.Ack{Seq: seq}, nil
}

// work calls the executor, spools the result and notifies the coordinator.
func (a *agent) work(s *step) {
	defer close(s.over)
	before := a.progress.dropped.Load()
	d := protocol.Done{Seq: s.seq, StartedNs: protocol.Monotonic()}
	result, err := s.call(s.ctx)
	if s.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // told to end, and did
	}
	s.cancel()
	d.Dropped = a.progress.dropped.Load() - before
	if len(result) > 0 {
		info, spoolErr := a.spoolResult(s, result)
		if err = errors.Join(err, spoolErr); spoolErr == nil {
			d.Result = &info
		}
	}
	if err != nil {
		d.Error = protocol.NewFailure(err)
	}
	a.mu.Lock()
	a.current = nil
	a.mu.Unlock()
	// Without a connection there is nobody to tell, and life ends by its own handler.
	_ = a.publish(protocol.VerbDone, d)
}

func (a *agent) spoolResult(s *step, result json.RawMessage) (protocol.FileInfo, error) {
	info := protocol.FileInfo{Name: fmt.Sprintf("%d-%s.json", s.seq, s.verb), Bytes: int64(len(result)), SHA256: protocol.Hash(result)}
	if info.Bytes > protocol.MaxResultBytes {
		return info, fmt.Errorf("spooling the result: %d bytes, want at most %d", info.Bytes, protocol.MaxResultBytes)
	}
	if err := os.WriteFile(filepath.Join(a.Spool, protocol.ResultsDir, info.Name), result, 0o600); err != nil {
		return info, fmt.Errorf("spooling the result: %w", err)
	}
	return info, nil
}

func onClock(micro.Request) (any, error) {
	now := protocol.Monotonic()
	return protocol.ClockReply{ReceivedNs: now, SentNs: protocol.Monotonic()}, nil
}

// onList lists the regular files that the executor left; links and the like are not followed and not listed.
func (a *agent) onList(micro.Request) (any, error) {
	if err := a.idle(); err != nil {
		return nil, err
	}
	files := []protocol.FileInfo{}
	dir := os.DirFS(filepath.Join(a.Spool, protocol.FilesDir))
	err := fs.WalkDir(dir, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if len(files) == protocol.MaxFiles {
			return fmt.Errorf("more than %d files", protocol.MaxFiles)
		}
		f, err := dir.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		n, err := io.Copy(sum, io.LimitReader(f, protocol.MaxFileBytes+1))
		files = append(files, protocol.FileInfo{Name: name, Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the spool: %w", err)
	}
	return files, nil
}

// onRead returns a chunk of a file below the spool, and of no other.
func (a *agent) onRead(r micro.Request) (any, error) {
	var q protocol.ReadRequest
	if err := json.Unmarshal(r.Data(), &q); err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if q.Bytes < 1 || q.Bytes > protocol.ChunkBytes || q.Offset < 0 {
		return nil, fmt.Errorf("reading %q: %d bytes at %d, want 1 to %d from 0 on", q.Name, q.Bytes, q.Offset, protocol.ChunkBytes)
	}
	f, err := os.OpenInRoot(a.Spool, filepath.FromSlash(q.Name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	chunk := make([]byte, q.Bytes)
	n, err := f.ReadAt(chunk, q.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return chunk[:n], nil
}

// onDrop deletes the spool: everything in it has been collected.
func (a *agent) onDrop(micro.Request) (any, error) {
	if err := a.idle(); err != nil {
		return nil, err
	}
	return protocol.Ack{}, a.clear()
}

// idle refuses what would get in the way of a trial.
func (a *agent) idle() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prepared || a.current != nil {
		return fmt.Errorf("agent %s is in trial %s, which is not finished", a.Agent, a.trial)
	}
	return nil
}

func (a *agent) clear() error {
	for _, dir := range []string{protocol.FilesDir, protocol.ResultsDir} {
		if err := os.RemoveAll(filepath.Join(a.Spool, dir)); err != nil {
			return fmt.Errorf("clearing the spool: %w", err)
		}
	}
	return nil
}
