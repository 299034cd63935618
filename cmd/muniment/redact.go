package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func (p *program) redactCommand() *cobra.Command {
	c := group("redact", "Plan what is withheld or erased of a record, and decide it",
		p.redactPlanCommand(), p.withholdCommand(), p.decideCommand(), p.proposeRedactionCommand(), p.redactListCommand())
	c.Long = "A redaction is a list of the parts of one record that are withheld from copies, or erased for good, each with an\n" +
		"exemption code. The custodian keeps it, sealed with the record; on the ledger stands its hash. To withhold takes\n" +
		"the statement of one office and can be undone; to erase is a disposition that is approved and locked."
	c.Example = "  muniment redact plan 42 --hide 'text \"account 0815\"' --code CT-1-210-b-5-B -o 42.plan\n" +
		"  muniment redact withhold 42.plan\n" +
		"  muniment evidence 42 --redaction HASH -o 42.mun.car"
	return c
}

// filed is a redaction that a custodian keeps, as commands print it.
type filed struct {
	Hash      string         `json:"redaction"` // in hex
	Authority string         `json:"authority,omitempty"`
	Dated     string         `json:"dated,omitempty"`
	Marks     []filedMark    `json:"marks"`     // empty where the text is not filed with this node
	Decisions []decisionInfo `json:"decisions"` // as the node says
	redaction commitment.Redaction
}

type filedMark struct {
	Leaves string `json:"leaves"`
	Code   string `json:"code"`
}

// decisionInfo is a decision to withhold, or the erasure, by a redaction.
type decisionInfo struct {
	Entry  uint64 `json:"entry"`
	Office string `json:"office"`
	Day    string `json:"day"`
	Erased bool   `json:"erased"`
}

func (d decisionInfo) text() string {
	if d.Erased {
		return fmt.Sprintf("erased by disposition %d of %s, locked on %s", d.Entry, d.Office, d.Day)
	}
	return fmt.Sprintf("withheld by %s, %s, entry %d", d.Office, d.Day, d.Entry)
}

func filedOf(r commitment.Redaction) (filed, error) {
	hash, err := r.Hash()
	if err != nil {
		return filed{}, err
	}
	f := filed{Hash: hex.EncodeToString(hash[:]), Authority: r.Authority, Dated: r.Dated, Decisions: []decisionInfo{}, redaction: r}
	for _, m := range r.Marks {
		f.Marks = append(f.Marks, filedMark{leavesText(m.Range), m.Code})
	}
	return f, nil
}

func leavesText(r commitment.Range) string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// text says which leaves are hidden under which codes.
func (f filed) text() string {
	var parts []string
	leaves := 0
	for i, m := range f.redaction.Marks {
		parts = append(parts, f.Marks[i].Leaves+" "+m.Code)
		leaves += int(m.Last-m.First) + 1
	}
	const most = 12
	more := ""
	if len(parts) > most {
		more = fmt.Sprintf(", and %d more", len(parts)-most)
		parts = parts[:most]
	}
	if len(parts) == 0 {
		return "its text was not given out"
	}
	return fmt.Sprintf("%s under %s of %s: %s%s", leafCount(leaves), f.Authority, f.Dated, joined(parts), more)
}

func leafCount(n int) string {
	if n == 1 {
		return "1 leaf"
	}
	return fmt.Sprintf("%d leaves", n)
}

// redactions fetches the redactions of a record that are filed with the node.
func (s *session) redactions(ctx context.Context, a anchored) ([]filed, error) {
	const most = 1000 // more than a custodian keeps of one record
	client, err := s.departments(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := client.Redactions(ctx, &apiv1.RedactionsRequest{Record: a.ref()})
	if err != nil {
		return nil, remote(err)
	}
	list := []filed{}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, remote(err)
		}
		for _, text := range response.Redactions {
			r, err := commitment.ParseRedaction(text)
			if err != nil || len(list) == most {
				return nil, failed(exitError, "BAD_ANSWER", "tell whoever runs the node", "the node answered with what is no list of redactions")
			}
			f, err := filedOf(r)
			if err != nil {
				return nil, err
			}
			list = append(list, f)
		}
	}
}

// redaction fetches one redaction of a record by its hash.
func (s *session) redaction(ctx context.Context, a anchored, hash [32]byte) (filed, error) {
	list, err := s.redactions(ctx, a)
	if err != nil {
		return filed{}, err
	}
	want := hex.EncodeToString(hash[:])
	if i := slices.IndexFunc(list, func(f filed) bool { return f.Hash == want }); i >= 0 {
		return list[i], nil
	}
	return filed{}, failed(exitNotFound, "NO_SUCH_REDACTION", adviceOn["NO_SUCH_REDACTION"], "no redaction %s of record %d is filed", want, a.index)
}

// sayParts shows what a disposition would erase of a record, to offices that may
// see it. Others sign by the hash alone.
func (s *session) sayParts(ctx context.Context, d proposed) error {
	if d.message.Action != record.ActionRedact {
		return nil
	}
	a, err := s.resolve(ctx, reference{index: uint64(d.message.Records[0])}, "")
	if err != nil {
		return err
	}
	f, err := s.redaction(ctx, a, d.message.Redaction)
	if err != nil {
		s.program.say("which parts that are is not shown: %v", err)
		return nil
	}
	s.program.say("it marks %s; muniment segments %d says what these are", f.text(), a.index)
	return nil
}

// decisions asks for the decisions about parts of a record.
func (s *session) decisions(ctx context.Context, a anchored) ([]*apiv1.DecisionInfo, error) {
	said, err := departmentsCall(ctx, s, apiv1.DepartmentsClient.Record, &apiv1.RecordRequest{Record: a.ref()})
	if err != nil {
		return nil, err
	}
	return said.Decisions, nil
}

func decisionOf(d *apiv1.DecisionInfo) decisionInfo {
	return decisionInfo{d.Entry, printable(d.Office), dayText(record.Day(d.Day)), d.Erased}
}

func (p *program) redactListCommand() *cobra.Command {
	var department string
	c := &cobra.Command{
		Use: "list RECORD", Short: "List the redactions of a record, and what was decided by them", Args: exactly(1, "one record"),
		Example: "  muniment redact list 42",
	}
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		return p.onRecord(c, args[0], department, func(s *session, a anchored) error {
			list, err := s.redactions(c.Context(), a)
			switch {
			case slices.Contains([]string{"LOCKED", "QUARANTINED", "DESTROYED"}, reasonOf(err)): // the ledger tells all the same
				p.say("the texts are not given out: %v", err)
				list = []filed{}
			case err != nil:
				return err
			}
			decisions, err := s.decisions(c.Context(), a)
			if err != nil {
				return err
			}
			return p.showRedactions(a, withDecisions(list, decisions))
		})
	}
	return c
}

// withDecisions puts each decision to its redaction; one whose text is not filed
// stands by its hash alone.
func withDecisions(list []filed, decisions []*apiv1.DecisionInfo) []filed {
	for _, d := range decisions {
		hash := hex.EncodeToString(d.Redaction)
		i := slices.IndexFunc(list, func(f filed) bool { return f.Hash == hash })
		if i < 0 {
			i = len(list)
			list = append(list, filed{Hash: hash, Marks: []filedMark{}})
		}
		list[i].Decisions = append(list[i].Decisions, decisionOf(d))
	}
	return list
}

func (p *program) showRedactions(a anchored, list []filed) error {
	result := struct {
		Index      uint64  `json:"index"`
		CID        string  `json:"cid"`
		Redactions []filed `json:"redactions"`
	}{a.index, a.commitment().CID(), list}
	if len(list) == 0 {
		p.say("no redaction of record %d is filed, and nothing is decided", a.index)
	}
	return p.show(result, func(w io.Writer) {
		for _, f := range list {
			fmt.Fprintf(w, "redaction\t%s\n\t%s\n", f.Hash, f.text())
			for _, d := range f.Decisions {
				fmt.Fprintf(w, "\t%s\n", d.text())
			}
			if len(f.Decisions) == 0 {
				fmt.Fprintf(w, "\tnothing is decided by it\n")
			}
		}
	})
}

// redactionFlag adds the flag that names filed redactions.
func redactionFlag(c *cobra.Command, hashes *[]string) {
	c.Flags().StringArrayVar(hashes, "redaction", nil, "hash of a redaction to hide by (muniment redact list RECORD); repeatable")
}

// parseHashes reads hashes in hex.
func parseHashes(texts []string) ([][]byte, error) {
	var out [][]byte
	for _, text := range texts {
		hash, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		out = append(out, hash[:])
	}
	return out, nil
}

func parseHash(text string) (hash [32]byte, err error) {
	if unhex(hash[:], text) != nil {
		return [32]byte{}, usage("%q is no hash of a redaction: it has 64 hexadecimal digits", printable(text))
	}
	return hash, nil
}
