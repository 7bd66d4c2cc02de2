package request

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/millrace/millrace/clients"
)

const (
	// MaxFile is the most bytes that a targets file may have.
	MaxFile = 64 << 20
	// maxBodies is the most bytes that the bodies of a plan may have together.
	maxBodies = 64 << 20
)

var (
	// methodLine begins a target of vegeta's http format.
	methodLine = regexp.MustCompile(`^[A-Z]+[ \t]`)
	// urlLine begins a target without a method.
	urlLine = regexp.MustCompile(`^[a-z]+://`)
)

// ParseFile reads a targets file in vegeta's http format:
//
//	# a comment
//	GET http://127.0.0.1:8080/item/{n}
//	Accept: text/plain
//
//	POST http://127.0.0.1:8080/items
//	@body.json
//
// A target is "METHOD URL" or a URL alone, its headers in the lines below, and last the file of its body. A blank line, or
// the next target, ends it. What a target leaves out is taken from common, whose headers are added to each. readBody reads
// a body's file. Errors name the line.
func ParseFile(data []byte, common clients.Request, readBody func(name string) ([]byte, error)) ([]clients.Request, error) {
	var out []clients.Request
	within := false // a target that takes headers and a body
	number, size := 0, 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimSpace(string(line))
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("line %d: %w", number, fmt.Errorf(format, args...))
		}
		switch {
		case text == "":
			within = false
		case strings.HasPrefix(text, "#"):
		case methodLine.MatchString(text) || urlLine.MatchString(text):
			if len(out) == MaxRequests {
				return nil, wrong("more than %d targets", MaxRequests)
			}
			r := common
			r.Headers = append([]string(nil), common.Headers...)
			r.URL = text
			if methodLine.MatchString(text) {
				method, url, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
				r.Method, r.URL = method, strings.TrimSpace(url)
			}
			if strings.ContainsAny(r.URL, " \t") || !urlLine.MatchString(r.URL) {
				return nil, wrong("%.60q: want METHOD URL, such as GET http://127.0.0.1:8080/", text)
			}
			out, within = append(out, r), true
		case !within:
			return nil, wrong("%.60q: want METHOD URL, such as GET http://127.0.0.1:8080/, before headers and body", text)
		case strings.HasPrefix(text, "@"):
			body, err := readBody(strings.TrimSpace(text[1:]))
			if err != nil {
				return nil, wrong("reading body: %w", err)
			}
			if size += len(body); size > maxBodies {
				return nil, wrong("bodies of more than %d bytes together", maxBodies)
			}
			out[len(out)-1].Body, within = append([]byte{}, body...), false
		default:
			last := &out[len(out)-1]
			last.Headers = append(last.Headers, text)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%d lines without a target: want METHOD URL, such as GET http://127.0.0.1:8080/", number)
	}
	return out, nil
}
