package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/runner/sut"
	"github.com/millrace/millrace/scenarios"
)

// protocols says what each of scenarios.Protocols is, in a line.
var protocols = map[string]string{
	"http1":        "HTTP/1.1: GET answers a payload, POST echoes its body; keep-alive and pipelining",
	"frame":        "frames with length and id, echoed in any order",
	scenarios.Push: "frames that the server sends on its own to all subscribers",
	scenarios.WS:   "WebSocket (RFC 6455): messages echoed, or sent by the server on its own",
}

// listing is what `list --json` prints.
type listing struct {
	Schema    int              `json:"schema"`
	Models    []listedModel    `json:"models"`
	Variants  []listedVariant  `json:"variants"`
	Protocols []listedProtocol `json:"protocols"`
	Scenarios []listedScenario `json:"scenarios"`
	Engines   []string         `json:"engines"`
}

// listedModel is a model. Settings are what its variants may be made of beside those that have a name.
type listedModel struct {
	Name      string            `json:"name"`
	Framework string            `json:"framework"`
	Protocols []string          `json:"protocols"`
	Missing   map[string]string `json:"missing"`
	Settings  []string          `json:"settings"`
	Doc       string            `json:"doc"`
}

type listedVariant struct {
	Name  string   `json:"name"`
	Flags []string `json:"flags"`
	Doc   string   `json:"doc"`
}

type listedProtocol struct {
	Name   string   `json:"name"`
	Doc    string   `json:"doc"`
	Models []string `json:"models"`
}

// listedScenario is a scenario, resolved.
type listedScenario struct {
	Name        string  `json:"name"`
	Protocol    string  `json:"protocol"`
	Connections int     `json:"connections"`
	Steps       int     `json:"steps"` // of its sweep, at least 1
	Seconds     float64 `json:"seconds"`
	Doc         string  `json:"doc"` // the first sentence of its why
}

func listCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List models, their variants, protocols, scenarios and load engines",
		Long: `List models, their variants, protocols, scenarios and load engines.

A variant is a model with settings behind a slash, joined by commas: those that have a name (gnet/ants), flags of the model's own as
KEY=VALUE (workers/pool-size=64), and the variables GOGC, GOMEMLIMIT, GOMAXPROCS and GODEBUG of Go's runtime (gnet/ants,GOGC=400).
A foreign server is named by the file that describes it (servers/foreign/nginx.yaml).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := serversDir()
			if err != nil {
				return err
			}
			cat, err := sut.ReadCatalogue(cmd.Context(), dir)
			if err != nil {
				return err
			}
			l, err := listOf(cat)
			if err != nil {
				return err
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(l)
			}
			return l.print(cmd.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	return c
}

func listOf(cat *sut.Catalogue) (*listing, error) {
	l := &listing{Schema: 1, Engines: clients.Engines}
	speak := map[string][]string{}
	for _, name := range cat.Names() {
		model, _, isVariant := strings.Cut(name, "/")
		v, err := cat.Variant(name)
		if err != nil {
			return nil, err
		}
		if isVariant {
			l.Variants = append(l.Variants, listedVariant{name, v.Args, v.Doc})
			continue
		}
		d := cat.Description(model)
		l.Models = append(l.Models, listedModel{name, v.Framework, d.Protocols, d.Missing, d.Settings, d.Doc})
		for _, p := range d.Protocols {
			speak[p] = append(speak[p], name)
		}
	}
	for _, p := range scenarios.Protocols {
		l.Protocols = append(l.Protocols, listedProtocol{p, protocols[p], speak[p]})
	}
	for _, name := range scenarios.Names {
		s, err := scenarios.Named(name)
		if err != nil {
			return nil, err
		}
		if s, err = s.Resolve(); err != nil {
			return nil, err
		}
		l.Scenarios = append(l.Scenarios, listedScenario{
			name, s.Protocol, s.Connections.Count, max(len(s.Sweep), 1), s.Duration().Seconds(), firstSentence(s.Why),
		})
	}
	return l, nil
}

// firstSentence is the text up to its first full stop that ends a sentence, in one line.
func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if first, _, found := strings.Cut(text, ". "); found {
		return first
	}
	return strings.TrimSuffix(text, ".")
}

func (l *listing) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MODEL\tPROTOCOLS\tFRAMEWORK\tWHAT")
	for _, m := range l.Models {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", m.Name, strings.Join(m.Protocols, " "), m.Framework, m.Doc)
	}
	w.Flush()
	fmt.Fprintln(w, "\nVARIANT\tFLAGS\tWHAT")
	for _, v := range l.Variants {
		fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, strings.Join(v.Flags, " "), v.Doc)
	}
	w.Flush()
	fmt.Fprintln(w, "\nPROTOCOL\tMODELS\tWHAT")
	for _, p := range l.Protocols {
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.Name, strings.Join(p.Models, " "), p.Doc)
	}
	w.Flush()
	fmt.Fprintln(w, "\nSCENARIO\tPROTOCOL\tCONNECTIONS\tSTEPS\tDURATION\tWHAT")
	for _, s := range l.Scenarios {
		d := time.Duration(s.Seconds * float64(time.Second))
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%v\t%s\n", s.Name, s.Protocol, s.Connections, s.Steps, d, s.Doc)
	}
	w.Flush()
	fmt.Fprintf(w, "\nENGINES\t%s\n", strings.Join(l.Engines, " "))
	return w.Flush()
}
