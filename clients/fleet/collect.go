package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/millrace/millrace/clients/fleet/internal/protocol"
	"github.com/nats-io/nats.go"
)

// buffer is an io.Writer into memory.
type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// fetch reads a file of the spool's directory dir chunk by chunk into w, and fails unless size and checksum are as announced.
func (m *member) fetch(ctx context.Context, dir string, f protocol.FileInfo, maxBytes int64, w io.Writer) error {
	if err := f.Check(maxBytes); err != nil {
		return err
	}
	sum := sha256.New()
	for at := int64(0); at < f.Bytes; {
		ask, err := json.Marshal(protocol.ReadRequest{Name: path.Join(dir, f.Name), Offset: at, Bytes: int(min(protocol.ChunkBytes, f.Bytes-at))})
		if err != nil {
			return err
		}
		chunk, err := m.request(ctx, &nats.Msg{Subject: protocol.Subject(m.info.ID, protocol.VerbRead), Data: ask})
		if err != nil {
			return fmt.Errorf("fetching %q at %d: %w", f.Name, at, err)
		}
		if len(chunk) == 0 || int64(len(chunk)) > f.Bytes-at {
			return fmt.Errorf("fetching %q at %d: got %d bytes, want up to %d: it changed after it was listed", f.Name, at, len(chunk), f.Bytes-at)
		}
		sum.Write(chunk)
		if _, err := w.Write(chunk); err != nil {
			return fmt.Errorf("writing %q: %w", f.Name, err)
		}
		at += int64(len(chunk))
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return fmt.Errorf("fetching %q: checksum %s, want %s", f.Name, got, f.SHA256)
	}
	return nil
}

// collector writes agents' files into one directory and never outside it.
type collector struct {
	root *os.Root
	seen map[string]bool // names of this trial
	n    int             // of temporary files
}

func newCollector(dir string) (*collector, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory for collected files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the directory for collected files: %w", err)
	}
	return &collector{root: root, seen: map[string]bool{}}, nil
}

// from collects all files of m below the sub-directory under ("" for none). A file that can't be collected does not
// keep the others from it. The spool is deleted only when all went well.
func (c *collector) from(ctx context.Context, m *member, under string) error {
	var files []protocol.FileInfo
	if err := m.ask(ctx, &nats.Msg{Subject: protocol.Subject(m.info.ID, protocol.VerbList)}, &files); err != nil {
		return fmt.Errorf("listing the files of agent %s: %w", m.info.ID, err)
	}
	if len(files) > protocol.MaxFiles {
		return fmt.Errorf("listing the files of agent %s: %d files, want at most %d", m.info.ID, len(files), protocol.MaxFiles)
	}
	var errs []error
	for _, f := range files {
		if err := c.one(ctx, m, f, under); err != nil {
			errs = append(errs, fmt.Errorf("collecting from agent %s: %w", m.info.ID, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	var a protocol.Ack
	if err := m.ask(ctx, &nats.Msg{Subject: protocol.Subject(m.info.ID, protocol.VerbDrop)}, &a); err != nil {
		return fmt.Errorf("deleting the spool of agent %s: %w", m.info.ID, err)
	}
	return nil
}

// one writes a file beside its place and renames it when it is whole.
func (c *collector) one(ctx context.Context, m *member, f protocol.FileInfo, under string) (err error) {
	if err := f.Check(protocol.MaxFileBytes); err != nil {
		return err
	}
	name := path.Join(under, f.Name)
	if c.seen[name] {
		return fmt.Errorf("file %q: another agent of this trial has one of that name", name)
	}
	c.seen[name] = true
	if err := c.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	c.n++
	temp := path.Join(path.Dir(name), fmt.Sprintf(".collecting-%d", c.n))
	w, err := c.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = c.root.Remove(temp)
		}
	}()
	err = m.fetch(ctx, protocol.FilesDir, f, protocol.MaxFileBytes, w)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	return c.root.Rename(temp, name)
}
