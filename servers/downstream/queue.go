package main

// queue is a binary heap of requests, the one that is due first at its head.
type queue []pending

func (q *queue) push(p pending) {
	h := append(*q, p)
	i := len(h) - 1
	for i > 0 && p.due < h[(i-1)/2].due {
		h[i] = h[(i-1)/2]
		i = (i - 1) / 2
	}
	h[i] = p
	*q = h
}

// pop takes the head off; there must be one.
func (q *queue) pop() pending {
	h := *q
	head, last := h[0], h[len(h)-1]
	h[len(h)-1] = pending{}
	h = h[:len(h)-1]
	*q = h
	if len(h) == 0 {
		return head
	}
	i := 0
	for child := 1; child < len(h); child = 2*i + 1 {
		if child+1 < len(h) && h[child+1].due < h[child].due {
			child++
		}
		if last.due <= h[child].due {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = last
	return head
}
