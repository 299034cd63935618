package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) recordCommand() *cobra.Command {
	return group("record", "Show and supersede records", p.recordShowCommand(), p.recordSupersedeCommand())
}

// recordResult is what record show prints. All but what is marked was verified
// by the record's receipt.
type recordResult struct {
	Index        uint64 `json:"index"`
	CID          string `json:"cid"`
	Department   string `json:"department"`
	Series       string `json:"series"`
	Custody      string `json:"custody"`
	Date         string `json:"date"` // YYYY-MM-DD; empty: undated
	Height       int64  `json:"height"`
	Transaction  int64  `json:"transaction"`
	NotBefore    string `json:"not_before,omitempty"`
	NotAfter     string `json:"not_after,omitempty"`
	Grade        string `json:"grade"`
	SupersededBy uint64 `json:"superseded_by,omitempty"` // as the node says
	HeldHere     bool   `json:"held_here"`               // as the node says

	Residual  *residualResult `json:"residual,omitempty"` // under a disposition that is locked; as the node says
	Decisions []decisionInfo  `json:"decisions"`          // about parts of it; as the node says
}

func (p *program) recordShowCommand() *cobra.Command {
	var department string
	c := &cobra.Command{
		Use: "show RECORD", Short: "Show what the ledger knows of a record", Args: exactly(1, "one record"),
		Example: "  muniment record show 42",
	}
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.onRecord(c, args[0], department, func(s *session, a anchored) error {
			said, err := departmentsCall(c.Context(), s, apiv1.DepartmentsClient.Record, &apiv1.RecordRequest{Record: a.ref()})
			if err != nil {
				return err
			}
			return p.showRecord(a, said)
		})
	}
	return c
}

func (p *program) showRecord(a anchored, said *apiv1.RecordResponse) error {
	e, v := a.entry, a.verdict
	result := recordResult{
		Index: a.index, CID: a.commitment().CID(), Department: string(e.Office), Series: string(e.Series), Custody: string(e.Custody),
		Height: v.BlockHeight, Grade: v.Grade, SupersededBy: said.SupersededBy, HeldHere: said.HeldHere,
		Residual: residualOf(said.Disposition), Decisions: []decisionInfo{},
	}
	for _, d := range said.Decisions {
		result.Decisions = append(result.Decisions, decisionOf(d))
	}
	if e.Flags&record.FlagUndated == 0 {
		result.Date = dayText(e.Day)
	}
	if v.Signed != nil {
		result.Transaction = v.Signed.TxIndex
	}
	const second = "2006-01-02T15:04:05Z07:00"
	if v.NotBefore != nil {
		result.NotBefore = v.NotBefore.Time.Format(second)
	}
	if v.NotAfter != nil {
		result.NotAfter = v.NotAfter.Time.Format(second)
	}
	err := p.show(result, func(w io.Writer) {
		date := result.Date
		if date == "" {
			date = "undated"
		}
		fmt.Fprintf(w, "record\t%d\nCID\t%s\ndepartment\t%s\nseries\t%s\ncustody\t%s\ndate\t%s\n", a.index, result.CID, e.Office, e.Series, e.Custody, date)
		fmt.Fprintf(w, "anchored\tblock %d, transaction entry %d, %s to %s, grade %s\n", result.Height, result.Transaction, result.NotBefore, result.NotAfter, v.Grade)
		if result.SupersededBy != 0 {
			fmt.Fprintf(w, "superseded by\trecord %d, says the node\n", result.SupersededBy)
		}
		if result.HeldHere {
			fmt.Fprintf(w, "content\tkept by the node that answered\n")
		}
		if result.Residual != nil {
			result.Residual.write(w)
		}
		decisionsText(w, said.Decisions)
	})
	if err != nil {
		return err
	}
	if result.Residual.certifiable() {
		p.say("next: muniment certificate %d -o %d.certificate", a.index, a.index)
	} else {
		p.say("next: muniment receipt %d -o %d.receipt", a.index, a.index)
	}
	return nil
}

func (p *program) recordSupersedeCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "supersede OLD NEW", Short: "State that record NEW replaces record OLD",
		Long: "OLD and NEW are entry indexes of records of the acting office. NEW was anchored later than OLD.",
		Args: exactly(2, "two records"),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		old, err := parseIndex(args[0])
		if err != nil {
			return err
		}
		by, err := parseIndex(args[1])
		if err != nil {
			return err
		}
		if by <= old {
			return usage("record %d was not anchored later than record %d", by, old)
		}
		done, err := p.act(c.Context(), &record.SupersedeRecord{Record: old, By: by})
		if err != nil {
			return err
		}
		return p.showAct(done, fmt.Sprintf("muniment record show %d", old))
	}
	return c
}
