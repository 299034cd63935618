package main

import (
	"context"
	"fmt"
	"io"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// batchProfile is how a batch is cut where nothing else is asked for: whatever
// is in it, its manifest has the same size.
const batchProfile = "raw/1"

// batchResult is what anchor --batch prints.
type batchResult struct {
	Index       int64  `json:"index"`
	CID         string `json:"cid"`
	Series      string `json:"series"`
	Day         string `json:"day"` // ledger day that the batch stands for
	Transaction int64  `json:"transaction"`
	Height      int64  `json:"height"`
	Receipt     string `json:"receipt,omitempty"`
}

// anchorBatch anchors the batch of this ledger day: one file, or an empty batch.
// The ledger takes one batch a day, so that a second run cannot make another.
func (p *program) anchorBatch(ctx context.Context, o anchorOptions, args []string) error {
	if err := o.checkBatch(args); err != nil {
		return err
	}
	var content []byte
	var name string
	if len(args) == 1 {
		sources, _, err := expand(args)
		if err != nil {
			return err
		}
		if len(sources) != 1 {
			return usage("a batch is one file: %s holds %d", printable(args[0]), len(sources))
		}
		doc, err := p.readSource(sources[0])
		if err != nil {
			return err
		}
		content, name = doc.content, sources[0].name()
	}
	s, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.close()
	registry, err := s.registry(ctx)
	if err != nil {
		return err
	}
	intake, err := registry.intake(o.series, s.account.Office, s.ledgerDay())
	if err != nil {
		return err
	}
	if !intake.batched {
		return refused("NOT_BATCHED")
	}
	if o.custody, err = registry.custody(o.custody); err != nil {
		return err
	}
	profile := o.profile
	if profile == "" {
		profile = batchProfile
	}
	header := &apiv1.DepositHeader{Series: string(o.series), Custody: string(o.custody), NotAfterDay: uint32(s.ledgerDay() + notAfterDays), Profile: profile}
	fields := fieldsOf(name, o.title, "", commitment.Profile(profile))
	deposited, err := s.deposit(ctx, header, content, fields, commitment.ArrangeBatch)
	if err != nil {
		return err
	}
	done, err := s.act(ctx, &record.AnchorBatch{Series: o.series, Custody: o.custody, Commitment: deposited})
	if err != nil {
		return err
	}
	return s.showBatch(ctx, o, deposited, done)
}

func (o anchorOptions) checkBatch(args []string) error {
	switch {
	case len(args) > 1:
		return usage("a batch is one file, or none: here are %d", len(args))
	case o.day != nil || o.undated:
		return usage("a batch has the ledger day as its date: leave --date and --undated out")
	case o.again:
		return usage("there is one batch a ledger day: leave --again out")
	case o.profile == cellsProfile:
		return usage("a batch is cut by a profile such as raw/1 or text/1, not by %s", cellsProfile)
	}
	return nil
}

// showBatch verifies that the entry is the batch that was signed.
func (s *session) showBatch(ctx context.Context, o anchorOptions, c record.Commitment, done actResult) error {
	verdict, text, err := s.receipt(ctx, uint64(done.Index))
	if err != nil {
		return err
	}
	e, ok := verdict.Entry.(record.AnchorEntry)
	if !ok || e.Commitment != c || e.Series != o.series || e.Flags&record.FlagBatch == 0 {
		return failed(exitContradicted, "RECEIPT_OF_ANOTHER", "do not rely on this node: tell whoever runs it", "entry %d is not the batch that was signed", done.Index)
	}
	result := batchResult{Index: done.Index, CID: commitment.Commitment(c).CID(), Series: string(o.series), Day: e.Day.String(), Transaction: done.Transaction, Height: done.Height}
	if o.receipts != "" {
		a := &anchoring{session: s, options: o}
		if result.Receipt, err = a.writeReceipt(uint64(done.Index), text); err != nil {
			return err
		}
	}
	err = s.program.show(result, func(w io.Writer) {
		fmt.Fprintf(w, "%d\t%s\tbatch of %s for %s\n", result.Index, result.CID, result.Series, result.Day)
	})
	if err == nil {
		s.program.say("next: muniment record show %d", done.Index)
	}
	return err
}
