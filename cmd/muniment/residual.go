package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// residualResult is what is left of a record that is or was under a disposition,
// as the node says; its certificate proves it.
type residualResult struct {
	Disposition uint64           `json:"disposition"`
	Action      string           `json:"action"`
	State       string           `json:"state"` // in words
	LockDay     string           `json:"lock_day"`
	Status      string           `json:"status"`
	Reports     []residualReport `json:"reports"`
}

type residualReport struct {
	Reporter string `json:"reporter"` // office, or custodian in hex
	Entry    uint64 `json:"entry"`    // 0: it is due
	Outcome  string `json:"outcome,omitempty"`
	Claim    string `json:"claim,omitempty"` // in words
}

// residualOf says what became of a record. Nil: it is under no disposition that is
// locked.
func residualOf(d *apiv1.DispositionInfo) *residualResult {
	if d == nil || d.Lock == 0 {
		return nil
	}
	r := &residualResult{
		Disposition: d.Index, Action: printable(d.Action), LockDay: dayText(record.Day(d.LockDay)), Status: printable(d.Status), Reports: []residualReport{},
	}
	preserved := false
	for _, report := range dispositionInfoOf(d).Reports {
		said := d.Reports[len(r.Reports)]
		one := residualReport{Reporter: report.Reporter, Entry: report.Entry, Outcome: printable(said.Outcome)}
		if claim := claimOf(said.Claim); said.Outcome == record.OutcomeDone.String() && d.Action != record.ActionTransfer.String() {
			one.Claim = claim.Says()
		}
		preserved = preserved || said.Outcome == record.OutcomePreserved.String()
		r.Reports = append(r.Reports, one)
	}
	r.State = r.words(preserved)
	return r
}

func claimOf(name string) record.Claim {
	for _, c := range []record.Claim{record.ClaimFiles, record.ClaimKey} {
		if c.String() == name {
			return c
		}
	}
	return 0
}

// words says in one sentence what became of the record.
func (r *residualResult) words(preserved bool) string {
	under := fmt.Sprintf("under disposition %d, locked on %s", r.Disposition, r.LockDay)
	complete := r.Status == "COMPLETE"
	switch {
	case r.Action == record.ActionTransfer.String() && complete:
		return "transferred " + under
	case r.Action == record.ActionPermanent.String():
		return "kept for good " + under
	case r.Action == record.ActionRedact.String():
		return "cannot be read until parts of it are erased " + under
	case r.Action != record.ActionDestroy.String():
		return "locked " + under
	case !complete:
		return "to be destroyed " + under + "; not everybody has reported"
	case preserved:
		return "destroyed " + under + ", but for what some report as preserved"
	}
	return "destroyed " + under
}

// write renders it for people.
func (r *residualResult) write(w io.Writer) {
	fmt.Fprintf(w, "state\t%s, says the node\n", r.State)
	for _, report := range r.Reports {
		if report.Entry == 0 {
			fmt.Fprintf(w, "report\tof %s is due\n", report.Reporter)
			continue
		}
		fmt.Fprintf(w, "report\tof %s: %s, entry %d\n", report.Reporter, report.Outcome, report.Entry)
		if report.Claim != "" {
			fmt.Fprintf(w, "claim\t%s\n", report.Claim)
		}
	}
}

// decisionsText says what was decided about parts of a record.
func decisionsText(w io.Writer, decisions []*apiv1.DecisionInfo) {
	for _, d := range decisions {
		fmt.Fprintf(w, "parts\t%s, redaction %.8x\n", decisionOf(d).text(), d.Redaction)
	}
}

// certifiable tells whether there is a certificate of what became of the record.
func (r *residualResult) certifiable() bool {
	return r != nil && (r.Action == record.ActionDestroy.String() || r.Action == record.ActionRedact.String())
}

// destroyed tells whether everybody has reported that the whole record is gone.
func (r *residualResult) destroyed() bool {
	return r != nil && r.Action == record.ActionDestroy.String() && r.Status == "COMPLETE" &&
		!slices.ContainsFunc(r.Reports, func(one residualReport) bool { return one.Outcome == record.OutcomePreserved.String() })
}
