package hist

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// LogWriter writes a HdrHistogram V2 log, version 1.3, which the Java HistogramLogProcessor and hdrhistogram-go read:
// one line an interval, with its tag, start and length in seconds, maximum in ms and compressed histogram. Not for
// concurrent use.
type LogWriter struct {
	w    io.Writer
	line []byte
	enc  *encoder
}

// Entry is one interval of a log. StartNs counts from the log's start.
type Entry struct {
	Tag       string
	StartNs   int64
	LengthNs  int64
	Histogram *Histogram
}

// maxLine is more than a line can take in bytes: 9 a bucket at most, in base64, and its figures.
const maxLine = bucketsLen*9*4/3 + 4096

// logVersion begins every log; ReadLog reads no other format.
const logVersion = "#[Histogram log format version 1.3]"

// outsideMark begins a comment before an interval whose histogram counted values outside its range. HdrHistogram knows
// no such counter, and its readers skip comments.
const outsideMark = "#[Outside: "

// NewLogWriter begins a log whose times count from start. Every line is one call of w.Write, so w need not be buffered.
func NewLogWriter(w io.Writer, start time.Time) (*LogWriter, error) {
	sec := float64(start.UnixMilli()) / 1000
	_, err := fmt.Fprintf(w, "%s\n#[StartTime: %.3f (seconds since epoch), %s]\n#[BaseTime: %.3f (seconds since epoch)]\n%s\n",
		logVersion, sec, start.UTC().Format(time.RFC3339), sec,
		`"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"`)
	if err != nil {
		return nil, fmt.Errorf("writing histogram log: %w", err)
	}
	return &LogWriter{w: w, enc: &encoder{}}, nil
}

// Write appends an interval of lengthNs from startNs after the log's start. The tag, mostly the phase, may be empty and
// holds no comma, white space or quote. h stays as it is. It allocates little after the first call.
func (l *LogWriter) Write(tag string, startNs, lengthNs int64, h *Histogram) error {
	if strings.ContainsAny(tag, ", \t\r\n\"") {
		return fmt.Errorf("writing histogram log: tag %q: want no comma, white space or quote", tag)
	}
	if startNs < 0 || lengthNs < 0 {
		return fmt.Errorf("writing histogram log: interval from %d ns of %d ns: want neither negative", startNs, lengthNs)
	}
	b := l.line[:0]
	if h.outside > 0 {
		b = fmt.Appendf(b, "%s%d]\n", outsideMark, h.outside)
	}
	if tag != "" {
		b = fmt.Appendf(b, "Tag=%s,", tag)
	}
	b = fmt.Appendf(b, "%d.%09d,%d.%09d,%d.%06d,", startNs/1e9, startNs%1e9, lengthNs/1e9, lengthNs%1e9, h.max/1e6, h.max%1e6)
	b, err := l.enc.appendTo(b, h)
	if err == nil {
		b = append(b, '\n')
		_, err = l.w.Write(b)
	}
	l.line = b
	if err != nil {
		return fmt.Errorf("writing histogram log: %w", err)
	}
	return nil
}

// ReadLog reads a whole log that LogWriter wrote. It is strict: an error names the line. Counts come back exactly, and so
// do Max and Outside; Min as the smallest value of its bucket.
func ReadLog(r io.Reader) ([]Entry, error) {
	var entries []Entry
	err := EachEntry(r, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// EachEntry calls f with each interval of a log as ReadLog would return it, and returns f's first error as it is.
func EachEntry(r io.Reader, f func(Entry) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), maxLine)
	var outside uint64
	no := 0
	for sc.Scan() {
		no++
		line := sc.Text()
		var err error
		switch {
		case no == 1:
			if line != logVersion {
				return fmt.Errorf("reading histogram log: line 1: %.60q: want %q", line, logVersion)
			}
		case strings.HasPrefix(line, outsideMark):
			outside, err = strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(line, outsideMark), "]"), 10, 63)
		case strings.HasPrefix(line, "#"), strings.HasPrefix(line, `"`):
		default:
			var e Entry
			if e, err = readEntry(line); err == nil {
				e.Histogram.outside, outside = outside, 0
				if stop := f(e); stop != nil {
					return stop
				}
			}
		}
		if err != nil {
			return fmt.Errorf("reading histogram log: line %d: %w", no, err)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("reading histogram log: line %d: %w", no+1, err)
	}
	if no == 0 {
		return errors.New("reading histogram log: it is empty")
	}
	return nil
}

// readEntry reads the line of an interval.
func readEntry(line string) (Entry, error) {
	var e Entry
	if rest, ok := strings.CutPrefix(line, "Tag="); ok {
		e.Tag, line, _ = strings.Cut(rest, ",")
	}
	fields := strings.Split(line, ",")
	if len(fields) != 4 {
		return e, fmt.Errorf("%d fields: want start, length, maximum and histogram", len(fields))
	}
	var times [3]int64
	for i, unit := range []int{9, 9, 6} {
		ns, err := parseFixed(fields[i], unit)
		if err != nil {
			return e, err
		}
		times[i] = ns
	}
	e.StartNs, e.LengthNs = times[0], times[1]
	h, err := decode(fields[3])
	if err != nil {
		return e, err
	}
	e.Histogram = h
	return e, h.exactMax(times[2])
}

// parseFixed reads a decimal number that is not negative as an integer of its digits-th decimal place.
func parseFixed(s string, digits int) (int64, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if len(frac) > digits {
		return 0, fmt.Errorf("number %q: want at most %d decimal places", s, digits)
	}
	v, err := strconv.ParseUint(whole+frac+strings.Repeat("0", digits-len(frac)), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("number %q: %w", s, errors.Unwrap(err))
	}
	return int64(v), nil
}

// decode reads a base64 V2 compressed histogram of our layout.
func decode(text string) (*Histogram, error) {
	d, err := hdr.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("decoding histogram: %w", err)
	}
	if lo, hi, sig := d.LowestTrackableValue(), d.HighestTrackableValue(), d.SignificantFigures(); lo != Lowest || hi != Highest || sig != digits {
		return nil, fmt.Errorf("decoding histogram: range %d to %d with %d digits: want %d to %d with %d", lo, hi, sig, Lowest, Highest, digits)
	}
	h := New()
	for i, n := range d.Export().Counts {
		if n == 0 {
			continue
		}
		h.add(i, uint64(n))
		h.max, h.min = highOf(i), min(h.min, max(lowOf(i), Lowest))
	}
	if h.count > math.MaxInt64 {
		return nil, fmt.Errorf("decoding histogram: more than %d values", int64(math.MaxInt64))
	}
	return h, nil
}
