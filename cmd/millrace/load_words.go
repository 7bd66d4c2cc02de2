package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/internal/validity"
)

// flagWords are the fields of a scenario, as errors and remedies name them, beside the flags of `millrace load` that set them.
var flagWords = strings.NewReplacer(
	"want 0, and the rate in the phases' arrivals", "leave it out, and give --rate",
	"or the arrivals where", "or --rate where",
	"connections.count", "-c",
	"connections.rate", "--connect-rate",
	"connections.pipeline", "--pipeline",
	"connections.requests", "--requests",
	"connections.close", "--close",
	"connections.trickle", "--trickle",
)

// phaseFields match the fields of a phase, whose names are load's own.
var phaseFields = []struct {
	pattern *regexp.Regexp
	flag    func(*loadFlags) string
}{
	{regexp.MustCompile(`\btimeout (\S+): want`), func(*loadFlags) string { return "--timeout $1: want" }},
	{regexp.MustCompile(`\bphases: (\d+) of them`), func(*loadFlags) string { return "--rate: $1 parts" }},
	{regexp.MustCompile(`\bphases\.[\w-]+\.for\b`), (*loadFlags).lengthFlag},
	{regexp.MustCompile(`\bphases\.[\w-]+\.arrivals(\.\w+)?`), (*loadFlags).arrivalsFlag},
	{regexp.MustCompile(`\bphases\.[\w-]+\.active\b`), func(*loadFlags) string { return "--active" }},
}

// lengthFlag is what gives a phase its length.
func (f *loadFlags) lengthFlag() string {
	if strings.Contains(strings.ReplaceAll(f.rate, "/s", ""), "/") {
		return "--rate: duration"
	}
	return "-d"
}

// arrivalsFlag is what gives a phase its arrivals.
func (f *loadFlags) arrivalsFlag() string {
	if f.trace != "" {
		return "--trace"
	}
	return "--rate"
}

// words puts flags into a text, where it names fields of a scenario: who loads has given no scenario.
func (f *loadFlags) words(text string) string {
	text = flagWords.Replace(text)
	for _, p := range phaseFields {
		text = p.pattern.ReplaceAllString(text, p.flag(f))
	}
	return text
}

// reworded is an error with another text.
type reworded struct {
	error
	text string
}

func (e *reworded) Error() string { return e.text }
func (e *reworded) Unwrap() error { return e.error }

// reword puts flags into an error's text.
func (f *loadFlags) reword(err error) error {
	if err == nil {
		return nil
	}
	return &reworded{err, f.words(err.Error())}
}

// rewordReport puts flags into the reasons and remedies of a report.
func (f *loadFlags) rewordReport(r *clients.Report) {
	for i := range r.Checks {
		c := &r.Checks[i]
		c.Reason, c.Remedy = f.words(c.Reason), f.words(c.Remedy)
	}
	r.Verdict, r.Reasons = validity.Judge(r.Checks)
}

// printWords says what the lines of the table of latencies are.
func printWords(w io.Writer, r *clients.Report) {
	if r.Planned == 0 {
		return
	}
	fmt.Fprintln(w, "response: due to answered; service: sent to answered; lag: due with a connection free to sent, the client's own delay")
	if r.Split != nil {
		fmt.Fprintln(w, "client, wire+server: whose part of response it was, by the kernel's time stamps on a sample of requests")
	}
}
