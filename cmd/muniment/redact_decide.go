package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// maxRedactionBytes is the most that a custodian keeps of one redaction.
const maxRedactionBytes = 512 << 10

// redactionResult is what commands print that decided something by a redaction.
type redactionResult struct {
	actResult
	Record    uint64 `json:"record"`
	Redaction string `json:"redaction"` // hash, in hex
	Already   bool   `json:"already"`   // the office had stated it before: nothing was signed
}

func (p *program) withholdCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use: "withhold PLAN", Short: "File a planned redaction, and state that the office withholds by it",
		Long: "The redaction goes to the custodian, which keeps it sealed with the record, and its hash onto the ledger. Copies that\n" +
			"are made by it say why they hide what they hide. Nothing is erased, and a later decision may be another one.",
		Example: "  muniment redact withhold 42.plan",
		Args:    exactly(1, "one plan"),
	}
	exemptionsFlag(c, &from)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.byPlan(c.Context(), args[0], from, anyOffice, func(s *session, a anchored, hash [32]byte) error {
			return s.withhold(c.Context(), a, hash)
		})
	}
	return c
}

// byPlan files what a plan file states, if the office may go on with it, and has
// run do that. What only the node can judge, it judges before it files.
func (p *program) byPlan(ctx context.Context, path, exemptions string, may func(*session, anchored) error, run func(*session, anchored, [32]byte) error) error {
	plan, r, err := p.readPlan(path, exemptions)
	if err != nil {
		return err
	}
	text, err := r.Marshal()
	if err != nil {
		return err
	}
	if len(text) > maxRedactionBytes {
		return failed(exitRefused, "TOO_LARGE", "hide whole rows, or plan several redactions, such as of rows 1-10000 columns 3 and of the rows after them",
			"its %s make a redaction of %d KiB, and %d are kept", counted(len(r.Marks), "mark"), len(text)>>10, maxRedactionBytes>>10)
	}
	hash, err := r.Hash()
	if err != nil {
		return err
	}
	s, err := p.open(true)
	if err != nil {
		return err
	}
	defer s.close()
	a, err := s.resolve(ctx, reference{index: plan.index}, "")
	if err != nil {
		return err
	}
	if cid := a.commitment().CID(); cid != plan.cid {
		return failed(exitRefused, "OTHER_RECORD", "plan anew: the file was changed, or is of another network", "the plan is not of record %d, whose CID is %s", plan.index, cid)
	}
	if err := may(s, a); err != nil {
		return err
	}
	response, err := departmentsCall(ctx, s, apiv1.DepartmentsClient.FileRedaction, &apiv1.FileRedactionRequest{Record: a.ref(), Redaction: text})
	if err != nil {
		return err
	}
	if !bytes.Equal(response.Hash, hash[:]) {
		return failed(exitContradicted, "REDACTION_MISMATCH", "do not rely on this node: tell whoever runs it", "the custodian answered with the hash of another redaction")
	}
	p.say("filed: a redaction of %s", plan.summary())
	return run(s, a, hash)
}

// anyOffice leaves it to the node who may file, and so withhold.
func anyOffice(*session, anchored) error { return nil }

// ownRecord wants the record to be one of the acting office, which alone proposes
// what is to become of it.
func ownRecord(s *session, a anchored) error {
	if s.account.Office == a.entry.Office {
		return nil
	}
	return failed(exitRefused, "WRONG_OFFICE", "have the head of the department propose it: --office "+string(a.entry.Office),
		"record %d is one of %s, and %s cannot propose to erase parts of it: nothing was filed", a.index, a.entry.Office, s.account.Office)
}

func (p *program) decideCommand() *cobra.Command {
	var hash, department string
	c := &cobra.Command{
		Use: "decide RECORD --redaction HASH", Short: "State, as another office, that what a filed redaction says is withheld",
		Long: "For counsel or the clerk, who look at the redaction of a department and state the same: what it hides is shown, and\n" +
			"the signature binds it. muniment redact list shows the hashes.",
		Example: "  muniment redact decide 42 --redaction HASH --office COUNSEL",
		Args:    exactly(1, "one record"),
	}
	c.Flags().StringVar(&hash, "redaction", "", "hash of the redaction, in hex (required)")
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		if hash == "" {
			return usage("which one? give --redaction HASH; muniment redact list %s shows them", args[0])
		}
		want, err := parseHash(hash)
		if err != nil {
			return err
		}
		r, err := parseReference(args[0])
		if err != nil {
			return err
		}
		s, err := p.open(true)
		if err != nil {
			return err
		}
		defer s.close()
		a, err := s.resolve(c.Context(), r, department)
		if err != nil {
			return err
		}
		f, err := s.redaction(c.Context(), a, want)
		if err != nil {
			return err
		}
		p.say("withholding: %s", f.text())
		return s.withhold(c.Context(), a, want)
	}
	return c
}

// withhold states that the office withholds by a redaction, unless it stated so
// before: a statement more would say nothing.
func (s *session) withhold(ctx context.Context, a anchored, hash [32]byte) error {
	decisions, err := s.decisions(ctx, a)
	if err != nil {
		return err
	}
	result := redactionResult{Record: a.index, Redaction: hex.EncodeToString(hash[:])}
	for _, d := range decisions {
		if !d.Erased && d.Office == string(s.account.Office) && bytes.Equal(d.Redaction, hash[:]) {
			verdict, _, err := s.receipt(ctx, d.Entry)
			if err != nil {
				return err
			}
			if e, ok := verdict.Entry.(record.WithholdingEntry); ok && e.Office == s.account.Office && e.Redaction == hash && uint64(e.Record) == a.index {
				result.Already = true
				result.actResult = actResult{Kind: verdict.Kind, Index: verdict.Index, Height: verdict.BlockHeight}
				if verdict.Signed != nil {
					result.Transaction = verdict.Signed.TxIndex
				}
				break
			}
		}
	}
	if !result.Already {
		if result.actResult, err = s.act(ctx, &record.Withhold{Record: record.Index(a.index), Redaction: hash}); err != nil {
			return err
		}
	}
	return s.program.showRedaction(result, fmt.Sprintf("muniment evidence %d --redaction %s -o %d.mun.car", a.index, result.Redaction, a.index))
}

func (p *program) proposeRedactionCommand() *cobra.Command {
	var from string
	c := &cobra.Command{
		Use: "propose PLAN", Short: "File a planned redaction, and propose to erase for good what it hides",
		Long: "As the head of the department. The redaction goes to the custodian, which keeps it sealed with the record; the\n" +
			"proposal is a disposition with the action REDACT, which is approved and locked like any other. From the lock on the\n" +
			"record cannot be read until the custodians have erased; then the rest of it can, and nobody opens the erased parts.",
		Example: "  muniment redact propose 42.plan\n  muniment disposition approve DISPOSITION --office COUNSEL",
		Args:    exactly(1, "one plan"),
	}
	exemptionsFlag(c, &from)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.byPlan(c.Context(), args[0], from, ownRecord, func(s *session, a anchored, hash [32]byte) error {
			done, err := s.act(c.Context(), &record.ProposeDisposition{
				Series: a.entry.Series, Action: record.ActionRedact, Records: []record.Index{record.Index(a.index)}, Redaction: hash,
			})
			if err != nil {
				return err
			}
			return p.showRedaction(redactionResult{actResult: done, Record: a.index, Redaction: hex.EncodeToString(hash[:])},
				fmt.Sprintf("muniment disposition show %d tells whose approval it needs; each runs: muniment disposition approve %d", done.Index, done.Index))
		})
	}
	return c
}

func (p *program) showRedaction(r redactionResult, next string) error {
	err := p.show(r, func(w io.Writer) {
		fmt.Fprintf(w, "record\t%d\nredaction\t%s\nentry\t%d, %s\ntransaction\tentry %d\nheight\t%d\n", r.Record, r.Redaction, r.Index, r.Kind, r.Transaction, r.Height)
	})
	if err != nil {
		return err
	}
	if r.Already {
		p.say("the office has stated that before: nothing was signed")
	}
	p.say("next: %s", next)
	return nil
}
