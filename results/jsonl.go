package results

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxRecordBytes is the longest record that is read: a trial of an hour in intervals of 10 ms is 30 MB.
const maxRecordBytes = 64 << 20

// ErrTorn says that the last line of a file was cut off, as by a crash while it was written. What stands before it is
// whole.
var ErrTorn = errors.New("the last line is torn off, as by a crash")

// eachLine calls f with every line of the file, numbered from 1, without its end. The line is valid until f returns. A
// last line without an end is not passed on: eachLine then returns an error that is ErrTorn.
func eachLine(path string, f func(no int, line []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 64<<10)
	var long []byte
	for no := 1; ; {
		part, err := r.ReadSlice('\n')
		if err == nil && len(long) == 0 {
			if err := f(no, part[:len(part)-1]); err != nil {
				return err
			}
			no++
			continue
		}
		if long = append(long, part...); len(long) > maxRecordBytes {
			return fmt.Errorf("%s:%d: the line is longer than %d bytes: not a file of millrace", path, no, maxRecordBytes)
		}
		switch {
		case err == nil:
			if err := f(no, long[:len(long)-1]); err != nil {
				return err
			}
			no++
			long = long[:0]
		case errors.Is(err, io.EOF) && len(long) > 0:
			return fmt.Errorf("%s:%d: %w", path, no, ErrTorn)
		case errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%s:%d: %w", path, no, err)
		}
	}
}

// unmarshal decodes one record strictly: its schema must be ours, no key unknown, and nothing may follow it.
func unmarshal(data []byte, into any) error {
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return located(data, err)
	}
	if head.Schema != Schema {
		return fmt.Errorf("schema %d: want %d: read it with the millrace that wrote it", head.Schema, Schema)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return located(data, dec.Decode(into))
}

// unknownKey begins encoding/json's error about a key that the record doesn't have.
const unknownKey = "json: unknown field "

// located says in which line of data a JSON error is, where it knows and data has several.
func located(data []byte, err error) error {
	var at int64
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.As(err, &wrong):
		at = wrong.Offset
	case err != nil && strings.HasPrefix(err.Error(), unknownKey):
		// The decoder says which key, in quotes, and not where.
		at = int64(max(bytes.Index(data, []byte(strings.TrimPrefix(err.Error(), unknownKey)+":")), 0))
	default:
		return err
	}
	if bytes.IndexByte(bytes.TrimSpace(data), '\n') < 0 {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:min(int(at), len(data))], []byte("\n")), err)
}
