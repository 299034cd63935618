package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// reference is RECORD on a command line: an entry index or a CID.
type reference struct {
	index      uint64
	commitment *commitment.Commitment // nil: by index
}

func parseReference(text string) (reference, error) {
	if index, err := strconv.ParseUint(text, 10, 62); err == nil && strconv.FormatUint(index, 10) == text {
		return reference{index: index}, nil
	}
	if c, err := commitment.ParseCID(text); err == nil {
		return reference{commitment: &c}, nil
	}
	return reference{}, usage("%q names no record: use its entry index or its CID", printable(text))
}

// parseIndex reads a command-line argument that must be an entry index.
func parseIndex(text string) (record.Index, error) {
	index, err := strconv.ParseInt(text, 10, 63)
	if err != nil || index < 0 || strconv.FormatInt(index, 10) != text {
		return 0, usage("%q is not an entry index", printable(text))
	}
	return record.Index(index), nil
}

// anchored is a record whose anchor was verified.
type anchored struct {
	index   uint64
	entry   record.AnchorEntry
	receipt []byte
	verdict receipt.Verdict
}

func (a anchored) commitment() commitment.Commitment {
	return commitment.Commitment(a.entry.Commitment)
}

func (a anchored) ref() *apiv1.RecordRef {
	return &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: a.index}}
}

// resolve finds the record that a reference means and verifies its receipt. A
// node that answers about another record is found out. Department says whose
// record a CID is; empty means the office that asks.
func (s *session) resolve(ctx context.Context, r reference, department string) (anchored, error) {
	index := r.index
	if r.commitment != nil {
		response, err := departmentsCall(ctx, s, apiv1.DepartmentsClient.Record, &apiv1.RecordRequest{
			Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: r.commitment[:]}}, Department: department,
		})
		if err != nil {
			return anchored{}, err
		}
		index = response.Index
	}
	verdict, text, err := s.receipt(ctx, index)
	if err != nil {
		return anchored{}, err
	}
	entry, ok := verdict.Entry.(record.AnchorEntry)
	if !ok {
		return anchored{}, failed(exitNotFound, "NOT_FOUND", adviceOn["NOT_FOUND"], "entry %d anchors no record", index)
	}
	if r.commitment != nil && entry.Commitment != record.Commitment(*r.commitment) {
		return anchored{}, failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the node gave the receipt of another record, entry %d", index)
	}
	return anchored{index, entry, text, verdict}, nil
}

// receipt fetches the receipt of an entry and verifies it against the pinned
// network. What it returns PASSED.
func (s *session) receipt(ctx context.Context, index uint64) (receipt.Verdict, []byte, error) {
	response, err := departmentsCall(ctx, s, apiv1.DepartmentsClient.Receipt, &apiv1.ReceiptRequest{Index: index})
	if err != nil {
		return receipt.Verdict{}, nil, err
	}
	verdict, err := receipt.Verify(s.network, response.Receipt)
	if err != nil {
		return receipt.Verdict{}, nil, err
	}
	if err := verdictError(verdict); err != nil {
		return receipt.Verdict{}, nil, err
	}
	if verdict.Index < 0 || uint64(verdict.Index) != index {
		return receipt.Verdict{}, nil, failed(exitContradicted, "RECEIPT_OF_ANOTHER", "", "the node gave the receipt of entry %d for entry %d", verdict.Index, index)
	}
	return verdict, response.Receipt, nil
}

// verdictError turns an outcome other than PASSED into a failure.
func verdictError(v receipt.Verdict) error {
	if v.Outcome == receipt.Passed {
		return nil
	}
	reason := ""
	if len(v.Reasons) > 0 {
		reason = string(v.Reasons[0])
	}
	detail := errors.New(printable(v.Detail))
	if v.Outcome == receipt.Indeterminate {
		return failed(exitIndeterminate, reason, "the network file may be out of date: muniment network refresh", "the receipt is %s: %w", v.Outcome, detail)
	}
	return failed(exitContradicted, reason, "do not rely on this node: tell whoever runs it", "the receipt is %s: %w", v.Outcome, detail)
}

// onRecord finds and verifies the record that a command is about, and has it run.
func (p *program) onRecord(c *cobra.Command, name, department string, run func(*session, anchored) error) error {
	r, err := parseReference(name)
	if err != nil {
		return err
	}
	s, err := p.open(false)
	if err != nil {
		return err
	}
	defer s.close()
	a, err := s.resolve(c.Context(), r, department)
	if err != nil {
		return err
	}
	return run(s, a)
}
