package hist

import (
	"encoding"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var (
	_ encoding.TextMarshaler   = (*Histogram)(nil)
	_ encoding.TextUnmarshaler = (*Histogram)(nil)
)

// MarshalText is the histogram on its way to another process, as in JSON: MAX,OUTSIDE,HDR. MAX is in ns, and HDR is
// HdrHistogram's V2 compressed encoding in base64, empty without values.
func (h *Histogram) MarshalText() ([]byte, error) {
	b := fmt.Appendf(nil, "%d,%d,", h.max, h.outside)
	if h.count == 0 {
		return b, nil
	}
	b, err := new(encoder).appendTo(b, h)
	if err != nil {
		return nil, fmt.Errorf("encoding histogram: %w", err)
	}
	return b, nil
}

// UnmarshalText makes h, which may be the zero value here, what MarshalText was called on. Min is known only by its bucket.
func (h *Histogram) UnmarshalText(text []byte) error {
	fields := strings.SplitN(string(text), ",", 3)
	if len(fields) != 3 {
		return fmt.Errorf("decoding histogram: %d fields: want maximum, values outside and counts", len(fields))
	}
	maxNs, err := strconv.ParseUint(fields[0], 10, 63)
	outside, bad := strconv.ParseUint(fields[1], 10, 63)
	if err != nil || bad != nil {
		return fmt.Errorf("decoding histogram: maximum %.20q and outside %.20q: want two numbers", fields[0], fields[1])
	}
	if h.counts == nil {
		h.counts, h.min = newCounts(h), math.MaxInt64
	}
	h.Reset()
	h.outside = outside
	if fields[2] == "" {
		return nil
	}
	d, err := decode(fields[2])
	if err != nil {
		return err
	}
	if err := d.exactMax(int64(maxNs)); err != nil {
		return fmt.Errorf("decoding histogram: %w", err)
	}
	h.Merge(d)
	return nil
}

// exactMax sets the maximum of a histogram that knows it by its bucket only.
func (h *Histogram) exactMax(ns int64) error {
	if h.count == 0 {
		return nil
	}
	if low := lowOf(index(h.max)); ns < low || ns > h.max {
		return fmt.Errorf("maximum of %d ns: the histogram's is in [%d, %d]", ns, low, h.max)
	}
	h.max = ns
	return nil
}
