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

// wantedLog is the exemption log that a command line asks for.
type wantedLog struct {
	file  string // empty: none is wanted
	from  string // authority file beside the one that comes with the program
	codes []receipt.ExemptionCodes
}

// logFlags adds the flags that ask for an exemption log.
func logFlags(c *cobra.Command, w *wantedLog) {
	c.Flags().StringVar(&w.from, "exemptions", "", "with --log: the authority file of exemption codes that the redaction cites, if it is not the one that comes with the program")
	c.Flags().StringVar(&w.file, "log", "", "file to write the exemption log to: what is not disclosed, by which decision and code; .csv and .json say the format, else it is text")
}

// read takes up the authority files that may say what a code is about.
func (w *wantedLog) read(p *program) error {
	if w.file == "" && w.from != "" {
		return usage("--exemptions explains the codes of an exemption log: give --log FILE")
	}
	if w.file == "" {
		return nil
	}
	for _, path := range slices.Compact([]string{w.from, ""}) {
		e, err := p.readExemptions(path)
		if err != nil {
			return err
		}
		codes := receipt.ExemptionCodes{Authority: e.authority, Dated: e.dated}
		for _, x := range e.list {
			codes.Codes = append(codes.Codes, receipt.ExemptionCode{Code: x.Code, Subject: x.Subject, Citation: x.Citation, Verified: x.Verified})
		}
		w.codes = append(w.codes, codes)
	}
	return nil
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
// receipts PASSED, if one is wanted.
func (p *program) writeLog(w wantedLog, a anchored, o commitment.Opened, verdicts []receipt.Verdict, redactions, reports [][]byte) error {
	if w.file == "" {
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
	log := receipt.NewExemptionLog(a.commitment(), []receipt.Verdict{a.verdict}, o.N, hidden)
	for _, codes := range slices.Backward(w.codes) { // what was given says more than what is shipped
		log.Explain(codes)
	}
	text, err := log.Marshal(logFormat(w.file))
	if err != nil {
		return err
	}
	if err := p.deliver(w.file, text); err != nil {
		return err
	}
	p.say("what is not disclosed is in %s", printable(w.file))
	if authority, dated := log.Unexplained(); authority != "" {
		p.say("it does not say what all codes are about: give the file of %s of %s with --exemptions FILE", printable(authority), printable(dated))
	}
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
