package kit

// Batch is requests of one connection on their way to a goroutine that answers them. It holds their bytes itself, in memory
// that is used again with the Batch. The zero value is empty.
type Batch struct{ jobs []Job }

// Fill takes up to limit requests off in and returns how many bytes it took. It is Session's Next for several.
func (b *Batch) Fill(s *Session, in []byte, limit int) (taken int) {
	for n := len(b.jobs); n < limit; n++ {
		if n == cap(b.jobs) {
			b.jobs = append(b.jobs, Job{})[:n]
		}
		j := &b.jobs[:n+1][n]
		size, ok := s.Next(in[taken:], j)
		if !ok {
			break
		}
		j.Own()
		taken += size
		b.jobs = b.jobs[:n+1]
	}
	return taken
}

// Len is the number of requests.
func (b *Batch) Len() int { return len(b.jobs) }

// Last reports whether the connection is to be closed after the answers.
func (b *Batch) Last() bool { return len(b.jobs) > 0 && b.jobs[len(b.jobs)-1].Last }

// Answer does the work on the calling goroutine, appends the replies to out in order, counts them and empties the batch.
// It calls flush where replies would wait for the work of a request behind them or are 64 KiB; flush returns the empty
// buffer to go on with, out itself or another.
func (b *Batch) Answer(e *Env, out []byte, flush func(out []byte) []byte) []byte {
	for i := range b.jobs {
		j := &b.jobs[i]
		if len(out) >= batchBytes || j.work && len(out) > 0 {
			out = flush(out)
		}
		out = e.Answer(j, out)
	}
	b.Clear()
	return out
}

// Clear empties the batch, and lets go of its memory where that is large.
func (b *Batch) Clear() {
	for i := range b.jobs {
		if j := &b.jobs[i]; cap(j.own) > batchBytes {
			*j = Job{}
		}
	}
	b.jobs = b.jobs[:0]
}
