package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"hash/adler32"
	"math"
)

// The cookies of HdrHistogram's V2 encodings, with the word size of their counts.
const (
	cookieV2         = 0x1c849303 | 0x10
	cookieCompressed = 0x1c849304 | 0x10
)

// encoder writes histograms in HdrHistogram's V2 compressed encoding. It is our own because hdrhistogram-go's wants two
// dense copies of half a megabyte and a new compressor for every interval, in the process whose memory and pauses are
// the ruler's. Its buffers are kept for the next histogram.
type encoder struct {
	payload []byte
	packed  bytes.Buffer
	z       *zlib.Writer
	stored  bool // not compressed
}

// appendTo appends h in base64 to b. The counts are ZigZag LEB128 numbers in the order of the buckets up to the last one
// that is not empty; a negative one is a run of empty buckets.
func (e *encoder) appendTo(b []byte, h *Histogram) ([]byte, error) {
	p := append(e.payload[:0], make([]byte, 40)...)
	next := 0
	h.each(func(i int, n uint64) bool {
		switch gap := i - next; {
		case gap == 1:
			p = append(p, 0)
		case gap > 1:
			p = appendZigZag(p, -int64(gap))
		}
		p = appendZigZag(p, int64(n))
		next = i + 1
		return true
	})
	e.payload = p
	binary.BigEndian.PutUint32(p[0:], cookieV2)
	binary.BigEndian.PutUint32(p[4:], uint32(len(p)-40))
	binary.BigEndian.PutUint32(p[8:], 0) // normalizing index offset
	binary.BigEndian.PutUint32(p[12:], digits)
	binary.BigEndian.PutUint64(p[16:], Lowest)
	binary.BigEndian.PutUint64(p[24:], Highest)
	binary.BigEndian.PutUint64(p[32:], math.Float64bits(1)) // integer to double ratio

	e.packed.Reset()
	e.packed.Write(make([]byte, 8))
	if err := e.pack(p); err != nil {
		return b, err
	}
	out := e.packed.Bytes()
	binary.BigEndian.PutUint32(out[0:], cookieCompressed)
	binary.BigEndian.PutUint32(out[4:], uint32(len(out)-8))
	return base64.StdEncoding.AppendEncode(b, out), nil
}

// pack appends p to packed as zlib has it.
func (e *encoder) pack(p []byte) error {
	switch {
	case e.stored:
		e.packed.Write([]byte{0x78, 0x01})
		for sum := adler32.Checksum(p); ; {
			n := min(len(p), math.MaxUint16)
			block := []byte{0, 0, 0, 0, 0} // RFC 1951, 3.2.4: the last one's flag, its length and that inverted
			if n == len(p) {
				block[0] = 1
			}
			binary.LittleEndian.PutUint16(block[1:], uint16(n))
			binary.LittleEndian.PutUint16(block[3:], ^uint16(n))
			e.packed.Write(block)
			e.packed.Write(p[:n])
			if p = p[n:]; len(p) == 0 {
				e.packed.Write(binary.BigEndian.AppendUint32(nil, sum))
				return nil
			}
		}
	case e.z == nil:
		z, err := zlib.NewWriterLevel(&e.packed, zlib.BestSpeed)
		if err != nil {
			return err
		}
		e.z = z
	default:
		e.z.Reset(&e.packed)
	}
	if _, err := e.z.Write(p); err != nil {
		return err
	}
	return e.z.Close()
}

// appendZigZag appends v as HdrHistogram's LEB128-64b9B: at most nine bytes, the last of which has eight bits.
func appendZigZag(b []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for range 8 {
		if u < 0x80 {
			return append(b, byte(u))
		}
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}
