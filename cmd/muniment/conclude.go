package main

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/muniment/muniment/app/record"
)

const receiptsAtOnce = 8

// final are the refusals of a transaction that no later state of the ledger
// turns into an acceptance: the day never goes back, a suspended key stays
// suspended, and what is malformed stays so.
var final = map[string]bool{
	"EXPIRED": true, "KEY_SUSPENDED": true, "MALFORMED": true, "TOO_LARGE": true, "WRONG_NETWORK": true,
	"WRONG_KEY_USE": true, "BAD_SIGNATURE": true, "DUPLICATE_IN_BATCH": true, "ALREADY_ANCHORED": true,
}

// resume ends what earlier runs began: it hands in again every transaction of
// which a record is open. The ledger executes each of them once.
func (a *anchoring) resume(ctx context.Context) error {
	for _, b := range append([]*pending(nil), a.journal.pending...) {
		a.session.program.say("ending what an earlier run began: %d records", len(b.open))
		err := a.conclude(ctx, b, false, func(i int, o outcome) {
			a.mu.Lock()
			defer a.mu.Unlock()
			if o.err != nil {
				a.blocked[b.slot(i)] = o.err
			} else {
				a.finished[b.slot(i)] = true
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// conclude hands in a transaction that is in the journal, fetches and verifies
// the receipts, and notes them. Fresh says that nobody handed it in before: then
// a refusal ends it. For the others only a final refusal does, and a batch that
// is refused for another reason stays open. Report is called for each item.
func (a *anchoring) conclude(ctx context.Context, b *pending, fresh bool, report func(i int, o outcome)) error {
	response, attempts, err := a.session.submit(ctx, b.raw)
	if codeOf(err) == exitRefused {
		return a.refuse(b, err, fresh && attempts == 1, report)
	}
	if err != nil {
		return err
	}
	if response.Count != uint64(len(b.contents)) {
		return failed(exitContradicted, "RECEIPT_OF_ANOTHER", "do not rely on this node: tell whoever runs it", "the node counts %d records where %d were signed", response.Count, len(b.contents))
	}
	outcomes, err := a.receipts(ctx, b, response.FirstIndex)
	items := map[int]uint64{}
	for i, o := range outcomes {
		if o != nil {
			items[i] = o.index
		}
	}
	a.mu.Lock()
	kept := a.journal.keep(b, items)
	a.mu.Unlock()
	if kept != nil {
		return kept
	}
	for i, o := range outcomes {
		if o != nil {
			report(i, *o)
		}
	}
	return err
}

// refuse deals with a batch that the ledger refused.
func (a *anchoring) refuse(b *pending, err error, first bool, report func(i int, o outcome)) error {
	gone := first || final[reasonOf(err)]
	if gone {
		a.mu.Lock()
		dropped := a.journal.drop(b)
		a.mu.Unlock()
		if dropped != nil {
			return dropped
		}
	}
	for i := range b.contents {
		if first || !gone { // else the content is simply anchored anew
			report(i, outcome{err: err})
		}
	}
	return nil
}

// receipts fetches and verifies the receipts of a batch, a few at once. The
// outcome of an item without one is nil.
func (a *anchoring) receipts(ctx context.Context, b *pending, first uint64) ([]*outcome, error) {
	outcomes := make([]*outcome, len(b.contents))
	errs := make([]error, len(b.contents))
	next := make(chan int)
	var workers sync.WaitGroup
	for range receiptsAtOnce {
		workers.Go(func() {
			for i := range next {
				index, item := first+uint64(i), b.message.Items[i]
				path, err := a.itemReceipt(ctx, b, index, item)
				if errs[i] = err; err == nil {
					outcomes[i] = &outcome{index: index, commitment: item.Commitment, receipt: path}
				}
			}
		})
	}
	for i := range b.contents {
		next <- i
	}
	close(next)
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return outcomes, err
		}
	}
	return outcomes, nil
}

// itemReceipt holds the receipt of an entry against the item that was signed.
func (a *anchoring) itemReceipt(ctx context.Context, b *pending, index uint64, item record.AnchorItem) (path string, err error) {
	verdict, text, err := a.session.receipt(ctx, index)
	if err != nil {
		return "", err
	}
	want := record.AnchorEntry{Office: a.session.account.Office, Series: b.message.Series, Custody: b.message.Custody,
		Commitment: item.Commitment, Day: item.Day, Flags: item.Flags}
	if got, ok := verdict.Entry.(record.AnchorEntry); !ok || got != want {
		return "", failed(exitContradicted, "RECEIPT_OF_ANOTHER", "do not rely on this node: tell whoever runs it", "entry %d is not the record that was signed", index)
	}
	return a.writeReceipt(index, text)
}

// fetchReceipt fetches, verifies and writes the receipt of a known record.
func (a *anchoring) fetchReceipt(ctx context.Context, index uint64, want record.Commitment) (path string, err error) {
	verdict, text, err := a.session.receipt(ctx, index)
	if err != nil {
		return "", err
	}
	if got, ok := verdict.Entry.(record.AnchorEntry); !ok || got.Commitment != want {
		return "", failed(exitContradicted, "RECEIPT_OF_ANOTHER", "do not rely on this node: tell whoever runs it", "entry %d is not the record of the journal", index)
	}
	return a.writeReceipt(index, text)
}

func (a *anchoring) writeReceipt(index uint64, text []byte) (path string, err error) {
	if a.options.receipts == "" {
		return "", nil
	}
	path = filepath.Join(a.options.receipts, fmt.Sprintf("%d.receipt", index))
	if err := replaceFile(path, text); err != nil {
		return "", fmt.Errorf("write receipt: %w", err)
	}
	return path, nil
}
