package sut

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/results"
	"github.com/millrace/millrace/runner/sut/foreign"
	"github.com/millrace/millrace/runner/sut/setting"
	"github.com/millrace/millrace/scenarios"
)

// Models are the server programs in the order in which every table, figure and default run names them.
var Models = []string{"goroutine", "gnet", "netpoll", "nbio", "evio", "rawepoll", "workers", "fasthttp", "nethttp", "echo", "gin"}

// Description is what a server program says of itself with `NAME describe`.
type Description struct {
	Schema    int    `json:"schema"`
	Name      string `json:"name"`
	Doc       string `json:"doc"`
	Framework struct {
		Module  string `json:"module"`
		Version string `json:"version"`
	} `json:"framework"`
	Protocols []string `json:"protocols"`
	// Missing gives the reason for each protocol that the model doesn't speak.
	Missing  map[string]string `json:"missing"`
	Variants []NamedFlags      `json:"variants"`
	// Settings are the model's own flags of `serve`, which variants can be made of: pool-size for --pool-size=64.
	Settings  []string `json:"settings"`
	HalfClose string   `json:"half_close"`
}

// NamedFlags is a variant of a model: the flags of `serve` that a name stands for.
type NamedFlags struct {
	Name  string   `json:"name"`
	Doc   string   `json:"doc"`
	Flags []string `json:"flags"`
}

// describeTimeout bounds `NAME describe`, which only prints.
const describeTimeout = 10 * time.Second

// Describe runs `program describe` and reads its answer.
func Describe(ctx context.Context, program string) (*Description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "describe")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("describing %s: %w: %s", program, err, strings.TrimSpace(errs.String()))
	}
	var d Description
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		return nil, fmt.Errorf("describing %s: %w", program, err)
	}
	return &d, nil
}

// Catalogue is the server programs that a host has, by name, and the foreign servers that Variant was asked for. It is not safe
// for concurrent use.
type Catalogue struct {
	dir    string
	descs  map[string]*Description
	echoes map[string]bool // of foreign servers
}

// ReadCatalogue describes the programs in dir that are in Models.
func ReadCatalogue(ctx context.Context, dir string) (*Catalogue, error) {
	c := &Catalogue{dir: dir, descs: map[string]*Description{}, echoes: map[string]bool{}}
	for _, m := range Models {
		path := filepath.Join(dir, m)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		d, err := Describe(ctx, path)
		if err != nil {
			return nil, err
		}
		c.descs[m] = d
	}
	if len(c.descs) == 0 {
		return nil, fmt.Errorf("reading servers: no server program in %s: run `make build`", dir)
	}
	return c, nil
}

// Names lists all variants, the plain models first, each model's variants behind it.
func (c *Catalogue) Names() []string {
	var names []string
	for _, m := range Models {
		if d := c.descs[m]; d != nil {
			names = append(names, m)
			for _, v := range d.Variants {
				names = append(names, m+"/"+v.Name)
			}
		}
	}
	return names
}

// Description returns what a model says of itself, or nil.
func (c *Catalogue) Description(model string) *Description { return c.descs[model] }

// Variant resolves a name such as "gnet", "gnet/ants" or "workers/pool-size=64,GOGC=400", or the path of a foreign server's
// description. The error of an unknown one lists the known.
func (c *Catalogue) Variant(name string) (results.Variant, error) {
	if foreign.IsFile(name) {
		return c.foreign(name)
	}
	model, words, isVariant := strings.Cut(name, "/")
	d := c.descs[model]
	if d == nil {
		return results.Variant{}, fmt.Errorf("unknown server %q: want one of %s, or a .yaml file that describes a foreign one", name, strings.Join(c.Names(), ", "))
	}
	v := results.Variant{
		Name: name, Model: model, Doc: d.Doc, Binary: filepath.Join(c.dir, model),
		Framework: strings.TrimSpace(d.Framework.Module + " " + d.Framework.Version),
	}
	if isVariant {
		set, err := d.known().Read(name, words)
		if err != nil {
			return results.Variant{}, err
		}
		if v.Args, v.Env, v.Doc = set.Args, set.Env, set.Doc; !set.Named {
			v.Doc = d.Doc + "; " + set.Doc
		}
	}
	var err error
	v.SHA256, err = fileSHA256(v.Binary)
	return v, err
}

// known is what a variant of the model can set.
func (d *Description) known() *setting.Known {
	k := &setting.Known{Flags: d.Settings}
	for _, n := range d.Variants {
		k.Named = append(k.Named, setting.Named(n))
	}
	return k
}

func (c *Catalogue) foreign(path string) (results.Variant, error) {
	f, err := foreign.Read(path, Models)
	if err != nil {
		return results.Variant{}, err
	}
	c.descs[f.Name] = describeForeign(f)
	c.echoes[f.Name] = f.Echo
	return f.Variant(), nil
}

// Again resolves a variant of an earlier run as it is now.
func (c *Catalogue) Again(v results.Variant) (results.Variant, error) {
	if v.File != "" {
		return c.Variant(v.File)
	}
	return c.Variant(v.Name)
}

// CannotServe returns the reason why a variant can't take part in a scenario, or "".
func (c *Catalogue) CannotServe(v results.Variant, s *scenarios.Scenario) string {
	if why := c.NotSpoken(v.Model, s.Protocol); why != "" {
		return fmt.Sprintf("does not speak %s: %s", s.Protocol, why)
	}
	switch {
	case v.File == "":
		return ""
	case s.Work.Kind != "none" && s.Work.Kind != "":
		return fmt.Sprintf("a foreign server does no work of ours: work.kind %s", s.Work.Kind)
	case s.Replicas.Number() > 1:
		return fmt.Sprintf("a foreign server runs as one process group: replicas %s", s.Replicas)
	case s.Protocol == scenarios.WS && s.Pushes():
		return "a foreign server of ws can't be told to send on its own: push"
	case s.Request.Method == "POST" && !c.echoes[v.Model]:
		return "a foreign server that echoes no bodies: request.method POST"
	}
	return ""
}

// SplitNames splits "goroutine,gnet/ants,GOGC=400" into the names of variants: a word behind the name of a variant belongs to it,
// unless it is a server's name itself. Blanks separate names in any case.
func SplitNames(text string) []string {
	var names []string
	for _, group := range strings.Fields(text) {
		first := len(names)
		for word := range strings.SplitSeq(group, ",") {
			last := len(names) - 1
			switch {
			case word == "":
			case last >= first && isSetting(names[last], word):
				names[last] += "," + word
			default:
				names = append(names, word)
			}
		}
	}
	return names
}

// isSetting reports whether a word belongs to the name before it.
func isSetting(before, word string) bool {
	return strings.Contains(before, "/") && !foreign.IsFile(before) && !strings.Contains(word, "/") && !foreign.IsFile(word) && !slices.Contains(Models, word)
}

// NotSpoken returns the reason why a model doesn't speak a protocol, or "" if it does.
func (c *Catalogue) NotSpoken(model, protocol string) string {
	d := c.descs[model]
	if d == nil || slices.Contains(d.Protocols, protocol) {
		return ""
	}
	if why := d.Missing[protocol]; why != "" {
		return why
	}
	return "not among its protocols: " + strings.Join(d.Protocols, ", ")
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("checking program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("checking program %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
