package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// logFlag adds the flag that asks for an exemption log.
func logFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "log", "", "file to write the exemption log to: what is not disclosed, by which decision and code; .csv and .json say the format, else it is text")
}

// logFormat is what the name of the file asks for.
func logFormat(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		return receipt.LogCSV
	case ".json":
		return receipt.LogJSON
	}
	return receipt.LogText
}

// writeLog writes the exemption log of a copy of a record, by decisions whose
// receipts PASSED. No file name: none is wanted.
func (p *program) writeLog(file string, a anchored, o commitment.Opened, verdicts []receipt.Verdict, redactions, reports [][]byte) error {
	if file == "" {
		return nil
	}
	decisions, err := receipt.Decisions(int64(a.index), verdicts, redactions, reports)
	if err != nil {
		return badLog(err)
	}
	hidden, _, err := receipt.HiddenRuns(o, decisions)
	if err != nil {
		return badLog(err)
	}
	text, err := receipt.NewExemptionLog(a.commitment().CID(), o.N, hidden).Marshal(logFormat(file))
	if err != nil {
		return err
	}
	if err := p.deliver(file, text); err != nil {
		return err
	}
	p.say("what is not disclosed is in %s", printable(file))
	return nil
}

func badLog(err error) error {
	return failed(exitContradicted, "REDACTION_MISMATCH", "do not rely on this node: tell whoever runs it", "the decisions do not hold: %w", err)
}

// decidedParts fetches what shows the decisions about a record that a copy goes
// by: those that erased, and those that name one of the redactions.
func (s *session) decidedParts(ctx context.Context, a anchored, hashes [][]byte) (verdicts []receipt.Verdict, redactions [][]byte, err error) {
	decisions, err := s.decisions(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	filed, err := s.redactions(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range filed {
		hash, err := f.redaction.Hash()
		if err != nil {
			return nil, nil, err
		}
		by := slices.DeleteFunc(slices.Clone(decisions), func(d *apiv1.DecisionInfo) bool { return string(d.Redaction) != string(hash[:]) })
		erased := slices.ContainsFunc(by, func(d *apiv1.DecisionInfo) bool { return d.Erased })
		if !erased && !slices.ContainsFunc(hashes, func(h []byte) bool { return string(h) == string(hash[:]) }) {
			continue
		}
		text, err := f.redaction.Marshal()
		if err != nil {
			return nil, nil, err
		}
		redactions = append(redactions, text)
		for _, d := range by {
			found, err := s.decisionVerdicts(ctx, d)
			if err != nil {
				return nil, nil, err
			}
			verdicts = append(verdicts, found...)
		}
	}
	return verdicts, redactions, nil
}

// decisionVerdicts fetches and verifies the receipts of a decision: of the
// withholding; or of the proposal of the erasure, its approvals, its item and its
// reports.
func (s *session) decisionVerdicts(ctx context.Context, d *apiv1.DecisionInfo) (verdicts []receipt.Verdict, err error) {
	entries := []uint64{d.Entry}
	if d.Erased {
		info, err := s.dispositionInfo(ctx, d.Entry)
		if err != nil {
			return nil, err
		}
		for _, a := range info.Approvals {
			entries = append(entries, a.Entry)
		}
		entries = append(entries, info.Lock+1) // a redaction is of one record
		for _, r := range info.Reports {
			if r.Entry != 0 {
				entries = append(entries, r.Entry)
			}
		}
	}
	for _, entry := range entries {
		v, _, err := s.receipt(ctx, entry)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}
