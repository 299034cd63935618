package rpc

import (
	"context"
	"sync"

	"github.com/muniment/muniment/app/record"
)

// door lets so many transactions of each line in at once. Further ones wait: a
// client that streams sends no more meanwhile, and whoever sends more than the
// network takes of one office is slowed down, not refused at a cost.
type door struct {
	most int

	mu    sync.Mutex
	lines map[transactionLine]*passage // no empty ones
}

// transactionLine is where a transaction waits: with those that the same office or
// node hands in, whoever signed them. What is urgent does not wait behind the rest.
type transactionLine struct {
	payer  string
	urgent bool
}

func lineOf(ctx context.Context, transaction []byte) transactionLine {
	return transactionLine{payer: callerOf(ctx).payer(), urgent: record.Urgent(transaction)}
}

// passage is what is of one line there.
type passage struct {
	inside  int
	waiting []chan struct{} // closed when let in, oldest first
}

func newDoor(most int) *door { return &door{most: most, lines: make(map[transactionLine]*passage)} }

// enter waits for its turn. Who waits is bounded by the calls of a payer.
func (d *door) enter(ctx context.Context, l transactionLine) error {
	d.mu.Lock()
	p := d.lines[l]
	if p == nil {
		p = new(passage)
		d.lines[l] = p
	}
	if p.inside < d.most {
		p.inside++
		d.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	d.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, other := range p.waiting {
		if other == turn {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return refuse(reasonBusy, "%s has %d transactions under way and more in line: wait until some are committed", l.payer, d.most)
		}
	}
	return nil // let in at the last moment
}

// leave lets the next one in.
func (d *door) leave(l transactionLine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.lines[l]
	if len(p.waiting) > 0 {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
		return
	}
	if p.inside--; p.inside == 0 {
		delete(d.lines, l)
	}
}
