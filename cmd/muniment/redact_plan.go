package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// planFile is a planned redaction of a record, as its file states it.
type planFile struct {
	index            uint64
	cid              string
	authority, dated string
	salt             [32]byte
	marks            []commitment.PlannedMark
}

func exemptionsFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "exemptions", "", "authority file of exemption codes (default: the one that comes with the program)")
}

func (p *program) redactPlanCommand() *cobra.Command {
	var hide, codes []string
	var file, from, purpose, department string
	c := &cobra.Command{
		Use: "plan RECORD (--hide SELECTOR --code CODE)... [-o PLAN]", Short: "Find what must be hidden together, and write it to a file for you to change",
		Long: "Finds what the selectors name, where else the hidden words stand, and what would betray them: digests, signatures,\n" +
			"checksums, the file name. The plan is a file to read and to change; nothing is decided by it, and nothing filed.\n" +
			"Selectors are those of copy --hide. The first --code is for the first --hide, and so on; a single one is for all.\n" +
			"What is said in other words, in pictures or in base64 is not found: read the record.",
		Example: "  muniment redact plan 42 --hide 'rows 12' --code CT-1-210-b-2 --hide 'text \"server room\"' --code CT-1-210-b-19 -o 42.plan",
		Args:    exactly(1, "one record"),
	}
	f := c.Flags()
	f.StringArrayVar(&hide, "hide", nil, hideHelp)
	f.StringArrayVar(&codes, "code", nil, "exemption code (muniment exemptions list); repeatable")
	f.StringVarP(&file, "out", "o", "", "file to write the plan to (default: standard output)")
	exemptionsFlag(c, &from)
	purposeFlag(c, &purpose)
	departmentFlag(c, &department)
	c.RunE = func(c *cobra.Command, args []string) error {
		asks, err := asksOf(hide, codes)
		if err != nil {
			return err
		}
		if _, err := os.Lstat(file); file != "" && file != fromStdin && !errors.Is(err, fs.ErrNotExist) {
			return failed(exitRefused, "FILE_EXISTS", "name another file with -o PLAN: one that was edited is not replaced", "%s is there already", printable(file))
		}
		e, err := p.readExemptions(from)
		if err != nil {
			return err
		}
		for _, ask := range asks {
			if err := e.citable(ask.Code, p.today()); err != nil {
				return err
			}
		}
		s, a, why, err := p.openRecord(c.Context(), args[0], department, purpose)
		if err != nil {
			return err
		}
		defer s.close()
		plan := planFile{index: a.index, cid: a.commitment().CID(), authority: e.authority, dated: e.dated}
		rand.Read(plan.salt[:]) // never fails
		if plan.marks, err = s.planRedaction(c.Context(), a, why, asks); err != nil {
			return err
		}
		return p.showRedactionPlan(plan, e, file)
	}
	return c
}

// today is the ledger day by this computer's clock.
func (p *program) today() record.Day { return record.LedgerDay(p.now().UnixNano()) }

// asksOf pairs selectors and codes in their order; one code is for all.
func asksOf(hide, codes []string) ([]*apiv1.RedactionAsk, error) {
	switch {
	case len(hide) == 0:
		return nil, usage("what is to be hidden? give --hide SELECTOR")
	case len(codes) == 0:
		return nil, usage("under which exemption? give --code CODE; muniment exemptions list shows the codes")
	case len(codes) != 1 && len(codes) != len(hide):
		return nil, usage("one --code for all, or one for each --hide: here are %d for %d", len(codes), len(hide))
	}
	var asks []*apiv1.RedactionAsk
	for i, selector := range hide {
		asks = append(asks, &apiv1.RedactionAsk{Selector: selector, Code: codes[min(i, len(codes)-1)]})
	}
	return asks, nil
}

// planRedaction has the custodian plan. What it answers is checked as far as a
// plan must hold by itself.
func (s *session) planRedaction(ctx context.Context, a anchored, why apiv1.Purpose, asks []*apiv1.RedactionAsk) ([]commitment.PlannedMark, error) {
	client, err := s.departments(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := client.PlanRedaction(ctx, &apiv1.PlanRedactionRequest{Record: a.ref(), Purpose: why, Asks: asks})
	if err != nil {
		return nil, remote(err)
	}
	var marks []commitment.PlannedMark
	answered := true // with what was asked
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, remote(err)
		}
		for _, m := range response.Marks {
			marks = append(marks, commitment.PlannedMark{
				Mark: commitment.Mark{Range: commitment.Range{First: m.First, Last: m.Last}, Code: m.Code}, Why: m.Why, Label: m.Label,
			})
			cited := m.Code == commitment.Betrays || slices.ContainsFunc(asks, func(ask *apiv1.RedactionAsk) bool { return ask.Code == m.Code })
			answered = answered && isWhy(m.Why) && cited
		}
		if len(marks) > commitment.MaxMarks {
			break
		}
	}
	if _, err := (planFile{authority: "X", dated: "2000-01-01", marks: marks}).redaction(); err != nil || !answered {
		return nil, failed(exitError, "BAD_ANSWER", "tell whoever runs the node", "the node answered with what is no plan of what was asked")
	}
	return marks, nil
}

// redaction gives what a plan says without its reasons.
func (f planFile) redaction() (commitment.Redaction, error) {
	r := commitment.Redaction{Salt: f.salt, Authority: f.authority, Dated: f.dated, Marks: commitment.Marks(f.marks)}
	_, err := r.Marshal()
	return r, err
}

// codes lists the exemption codes that a plan cites, each once.
func (f planFile) codes() []string {
	var codes []string
	for _, m := range f.marks {
		if m.Code != commitment.Betrays && !slices.Contains(codes, m.Code) {
			codes = append(codes, m.Code)
		}
	}
	return codes
}

// whyTexts says what the reasons of marks mean, in the order in which a summary
// counts them.
var whyTexts = []struct{ why, text string }{
	{commitment.WhyAsked, "you asked for it"},
	{commitment.WhySameText, "what is hidden stands here too"},
	{commitment.WhyDigest, "the length and digest of the whole record: must stay"},
	{commitment.WhySignature, "signs what is hidden: must stay"},
	{commitment.WhyChecksum, "is a checksum of what is hidden, or is named as one"},
	{commitment.WhyFileName, "what is hidden stands in the file name or title"},
}

// isWhy tells whether a plan can give a reason.
func isWhy(why string) bool {
	return slices.ContainsFunc(whyTexts, func(w struct{ why, text string }) bool { return w.why == why })
}

// text writes the plan for people to read and change.
func (f planFile) text(e exemptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Plan of a redaction of record %d. Nothing is decided yet. Read it, change it, then run one of\n", f.index)
	b.WriteString("#   muniment redact withhold FILE    withholds from copies; can be undone\n")
	b.WriteString("#   muniment redact propose FILE     proposes to erase for good: a disposition\n")
	b.WriteString("# Each [[mark]] hides leaves of the record, by the numbers of muniment segments. To strike a mark out, delete it.\n")
	b.WriteString("# The reasons:\n")
	for _, w := range whyTexts {
		if slices.ContainsFunc(f.marks, func(m commitment.PlannedMark) bool { return m.Why == w.why }) {
			fmt.Fprintf(&b, "#   %-10s %s\n", w.why, w.text)
		}
	}
	if list := e.unverified(f.codes()); len(list) > 0 {
		fmt.Fprintf(&b, "# unverified, compare with the source: %s\n", joined(list))
	}
	fmt.Fprintf(&b, "\nrecord = %d\ncid = %q\nauthority = %q\ndated = %s\n", f.index, f.cid, f.authority, f.dated)
	fmt.Fprintf(&b, "salt = %q # keeps the hash of the redaction from being guessed\n", base64.StdEncoding.EncodeToString(f.salt[:]))
	for _, m := range f.marks {
		count := ""
		if m.First != m.Last {
			count = fmt.Sprintf(" # %d leaves; the label is of the first", m.Last-m.First+1)
		}
		fmt.Fprintf(&b, "\n[[mark]]\nleaves = %q%s\ncode = %q\nwhy = %q\nlabel = %s\n", leavesText(m.Range), count, m.Code, m.Why, tomlQuoted(m.Label))
	}
	return b.String()
}

// tomlQuoted writes a string as TOML does; a label may hold what a mail says.
func tomlQuoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(s)) + `"`
}

// planResult is what redact plan prints with --output json, or of a file it wrote.
type planResult struct {
	Index      uint64     `json:"index"`
	CID        string     `json:"cid"`
	File       string     `json:"file,omitempty"`
	Authority  string     `json:"authority"`
	Dated      string     `json:"dated"`
	Marks      []planMark `json:"marks"`
	Unverified []string   `json:"unverified"` // codes
}

type planMark struct {
	Leaves   string `json:"leaves"`
	Code     string `json:"code"`
	Why      string `json:"why"`
	Label    string `json:"label"` // of the first leaf
	MustStay bool   `json:"must_stay"`
}

func (p *program) showRedactionPlan(f planFile, e exemptions, file string) error {
	text := f.text(e)
	result := planResult{f.index, f.cid, file, f.authority, f.dated, []planMark{}, append([]string{}, e.unverified(f.codes())...)}
	chunks := false
	for _, m := range f.marks {
		result.Marks = append(result.Marks, planMark{leavesText(m.Range), m.Code, m.Why, printable(m.Label), m.MustStay()})
		chunks = chunks || m.Code != commitment.Betrays && strings.Contains(m.Label, "chunk ")
	}
	if file == fromStdin {
		file, result.File = "", ""
	}
	var err error
	switch {
	case file != "":
		if err = writeOutput(file, []byte(text)); err == nil {
			err = p.show(result, func(w io.Writer) { result.write(w) })
		}
	case p.output == "json":
		err = p.show(result, nil)
	default:
		_, err = io.WriteString(p.stdout, text)
	}
	if err != nil {
		return err
	}
	if len(result.Unverified) > 0 {
		p.say("unverified: %s: compare with the source before you rely on it", joined(result.Unverified))
	}
	if chunks {
		p.say("a chunk is hidden whole: of a PDF, an image or an office file make a public rendition (docs/spec/redaction.md)")
	}
	if file != "" {
		p.say("next: read %s, strike out what need not be hidden, then muniment redact withhold %s, or propose %s", file, file, file)
	}
	return nil
}

// write counts the marks by their reasons.
func (r planResult) write(w io.Writer) {
	fmt.Fprintf(w, "record\t%d\nCID\t%s\nplan\t%s\n", r.Index, r.CID, printable(r.File))
	for _, why := range whyTexts {
		n := 0
		for _, m := range r.Marks {
			if m.Why == why.why {
				n++
			}
		}
		if n > 0 {
			fmt.Fprintf(w, "%s\t%s\n", why.why, counted(n, "mark"))
		}
	}
}
