// Package foreign describes servers that speak a protocol of ours and keep nothing else of the server contract, such as nginx.
package foreign

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/scenarios"
)

// Server is such a server, as a file tells it. It is seen from outside only. Command, Files and Dir may hold Placeholders.
type Server struct {
	Name string `yaml:"name"` // for tables; none of ours
	Doc  string `yaml:"doc"`  // one line
	// Framework is its name and version, for the report.
	Framework string `yaml:"framework"`
	// Version is a program and its arguments that print the version, which is put behind Framework: the first word of digits with
	// dots in what it prints. Empty leaves Framework as it is.
	Version []string `yaml:"version"`
	// Command is the program, looked for in PATH, and its arguments. It must stay in the foreground, and its children in its
	// process group.
	Command []string `yaml:"command"`
	// Files are written into a fresh folder before each start, by name.
	Files map[string]string `yaml:"files"`
	// Dir is the working directory. Default {{dir}}, the fresh folder.
	Dir string `yaml:"dir"`
	// Protocols that it speaks, and why it doesn't speak the others.
	Protocols []string          `yaml:"protocols"`
	Missing   map[string]string `yaml:"missing"`
	// Echo says that POST is answered with the request's body; frames always are.
	Echo bool `yaml:"echo"`
	// Stop is the signal that ends it orderly: SIGTERM (the default), SIGINT or SIGQUIT.
	Stop string `yaml:"stop"`

	path, program, sum string
}

// Placeholders are what stands in a description for what differs from start to start.
var Placeholders = []string{"{{addr}}", "{{host}}", "{{port}}", "{{payload}}", "{{body}}", "{{dir}}", "{{cpus}}", "{{protocol}}"}

const (
	maxForeign = 1 << 20 // bytes of a description
	maxFiles   = 16
)

var (
	placeholder = regexp.MustCompile(`\{\{[^{}]*\}\}`)
	foreignName = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,39}$`)
	stopSignals = map[string]syscall.Signal{"": syscall.SIGTERM, "SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT}
)

// IsFile reports whether the name of a server is that of a description.
func IsFile(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// Read reads a description, strictly, and finds its program. Its name must not be among those taken.
func Read(path string, taken []string) (*Server, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, fmt.Errorf("reading server: %w", err)
	}
	var f Server
	if err := yaml.UnmarshalWithOptions(data, &f, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("reading server %s: %s", path, yaml.FormatError(err, false, true))
	}
	if f.path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("reading server: %w", err)
	}
	if err := f.validate(taken); err != nil {
		return nil, fmt.Errorf("server %s: %w", path, err)
	}
	if f.program, err = exec.LookPath(f.Command[0]); err != nil {
		return nil, fmt.Errorf("server %s: command: %w: install it, or name its path", path, err)
	}
	if err := f.askVersion(); err != nil {
		return nil, fmt.Errorf("server %s: %w", path, err)
	}
	f.sum, err = sumOf(data, f.program)
	return &f, err
}

// versionWithin bounds a program that only prints.
const versionWithin = 5 * time.Second

var versionWord = regexp.MustCompile(`\d+(\.\d+)+`)

// askVersion puts the version behind Framework.
func (f *Server) askVersion() error {
	if len(f.Version) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), versionWithin)
	defer cancel()
	said, err := exec.CommandContext(ctx, f.Version[0], f.Version[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("version: running %s: %w", strings.Join(f.Version, " "), err)
	}
	word := versionWord.Find(said)
	if word == nil {
		return fmt.Errorf("version: %s prints %.80q: want digits with dots in it, such as 1.2.3", strings.Join(f.Version, " "), said)
	}
	f.Framework = strings.TrimSpace(f.Framework + " " + string(word))
	return nil
}

// sumOf is the SHA-256 of a description and its program.
func sumOf(description []byte, program string) (string, error) {
	file, err := os.Open(program)
	if err != nil {
		return "", fmt.Errorf("checking program: %w", err)
	}
	defer file.Close()
	h := sha256.New()
	h.Write(description)
	if _, err := io.Copy(h, file); err != nil {
		return "", fmt.Errorf("checking program %s: %w", program, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func readLimited(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxForeign+1))
	if err == nil && len(data) > maxForeign {
		err = fmt.Errorf("%s: more than %d bytes", path, maxForeign)
	}
	return data, err
}

func (f *Server) validate(taken []string) error {
	switch {
	case !foreignName.MatchString(f.Name):
		return fmt.Errorf("name %q: want lower-case letters, digits, dots and dashes, at most 40", f.Name)
	case slices.Contains(taken, f.Name):
		return fmt.Errorf("name %q is one of our own servers: want another", f.Name)
	case f.Doc == "":
		return fmt.Errorf("doc is empty: say in a line what it is")
	case len(f.Command) == 0 || f.Command[0] == "":
		return fmt.Errorf("command is empty: want the program and its arguments, such as [nginx, -c, '{{dir}}/nginx.conf']")
	case len(f.Protocols) == 0:
		return fmt.Errorf("protocols is empty: want some of %s", strings.Join(scenarios.Protocols, ", "))
	case len(f.Files) > maxFiles:
		return fmt.Errorf("files: %d of them, want at most %d", len(f.Files), maxFiles)
	}
	for _, p := range f.Protocols {
		if !slices.Contains(scenarios.Protocols, p) {
			return fmt.Errorf("protocols: %q: want some of %s", p, strings.Join(scenarios.Protocols, ", "))
		}
	}
	if _, ok := stopSignals[f.Stop]; !ok {
		return fmt.Errorf("stop %q: want SIGTERM, SIGINT or SIGQUIT", f.Stop)
	}
	for name := range f.Files {
		if name != filepath.Base(name) || name == "." || name == ".." || name == bodyFile {
			return fmt.Errorf("files: %q: want a plain name other than %s", name, bodyFile)
		}
	}
	for _, text := range f.templates() {
		for _, p := range placeholder.FindAllString(text, -1) {
			if !slices.Contains(Placeholders, p) {
				return fmt.Errorf("unknown placeholder %s: want one of %s", p, strings.Join(Placeholders, ", "))
			}
		}
	}
	return nil
}

func (f *Server) templates() []string {
	all := append(slices.Clone(f.Command), f.Dir)
	for _, text := range f.Files {
		all = append(all, text)
	}
	return all
}

// Variant is the contender of a run.
func (f *Server) Variant() results.Variant {
	return results.Variant{
		Name: f.Name, Model: f.Name, Doc: f.Doc, Framework: f.Framework, Binary: f.program, SHA256: f.sum, File: f.path,
	}
}

// Command says how to start a server once.
type Command struct {
	Args []string
	Dir  string
	// Addr is where it is to accept connections, and Stop the signal that asks it to end.
	Addr string
	Stop syscall.Signal
}

// bodyFile is the file in a server's folder that holds the payload.
const bodyFile = "body"

// Prepare writes the server's files into dir, which should be fresh, and says how to start it at a free port. payload is what GET
// is to be answered with, cpus the number of CPUs, zero for all.
func (f *Server) Prepare(dir, protocol string, payload []byte, cpus int) (Command, error) {
	addr, err := freeAddr()
	if err != nil {
		return Command{}, fmt.Errorf("starting server %s: %w", f.Name, err)
	}
	host, port, _ := net.SplitHostPort(addr)
	if cpus == 0 {
		cpus = runtime.NumCPU()
	}
	values := []string{addr, host, port, strconv.Itoa(len(payload)), filepath.Join(dir, bodyFile), dir, strconv.Itoa(cpus), protocol}
	var pairs []string
	for i, p := range Placeholders {
		pairs = append(pairs, p, values[i])
	}
	fill := strings.NewReplacer(pairs...).Replace
	err = os.WriteFile(filepath.Join(dir, bodyFile), payload, 0o644)
	for name, text := range f.Files {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(fill(text)), 0o644)
		}
	}
	if err != nil {
		return Command{}, fmt.Errorf("writing files of server %s: %w", f.Name, err)
	}
	c := Command{Addr: addr, Dir: dir, Stop: stopSignals[f.Stop]}
	for _, a := range f.Command[1:] {
		c.Args = append(c.Args, fill(a))
	}
	if f.Dir != "" {
		c.Dir = fill(f.Dir)
	}
	return c, nil
}

// freeAddr is an address of this host at which nobody listens.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
