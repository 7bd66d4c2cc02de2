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
)

// Models are the server programs in the order in which every table, figure and default run names them.
var Models = []string{"goroutine", "gnet", "netpoll", "fasthttp", "nethttp", "workers"}

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
	Missing   map[string]string `json:"missing"`
	Variants  []NamedFlags      `json:"variants"`
	HalfClose string            `json:"half_close"`
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

// Catalogue is the server programs that a host has, by name. It is read-only once made.
type Catalogue struct {
	dir   string
	descs map[string]*Description
}

// ReadCatalogue describes the programs in dir that are in Models.
func ReadCatalogue(ctx context.Context, dir string) (*Catalogue, error) {
	c := &Catalogue{dir: dir, descs: map[string]*Description{}}
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

// Variant resolves a name such as "gnet" or "gnet/ants". The error of an unknown one lists the known.
func (c *Catalogue) Variant(name string) (results.Variant, error) {
	unknown := fmt.Errorf("unknown server %q: want one of %s", name, strings.Join(c.Names(), ", "))
	model, setting, isVariant := strings.Cut(name, "/")
	d := c.descs[model]
	if d == nil {
		return results.Variant{}, unknown
	}
	v := results.Variant{
		Name: name, Model: model, Doc: d.Doc, Binary: filepath.Join(c.dir, model),
		Framework: strings.TrimSpace(d.Framework.Module + " " + d.Framework.Version),
	}
	if isVariant {
		i := slices.IndexFunc(d.Variants, func(v NamedFlags) bool { return v.Name == setting })
		if i < 0 {
			return results.Variant{}, unknown
		}
		v.Doc, v.Args = d.Variants[i].Doc, d.Variants[i].Flags
	}
	var err error
	v.SHA256, err = fileSHA256(v.Binary)
	return v, err
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
