package rpc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// planned drains the marks of a plan as a redaction has them, and counts messages.
func planned(ctx context.Context, d apiv1.DepartmentsClient, r *apiv1.PlanRedactionRequest) (marks []commitment.PlannedMark, messages int, err error) {
	stream, err := d.PlanRedaction(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	for ; ; messages++ {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return marks, messages, nil
		}
		if err != nil {
			return nil, 0, err
		}
		for _, p := range m.Marks {
			marks = append(marks, commitment.PlannedMark{
				Mark: commitment.Mark{Range: commitment.Range{First: p.First, Last: p.Last}, Code: p.Code}, Why: p.Why, Label: p.Label,
			})
		}
	}
}

func redactionOf(marks []commitment.Mark) commitment.Redaction {
	r := commitment.Redaction{Authority: "CT-FOI", Dated: "2030-11-01", Marks: marks}
	rand.Read(r.Salt[:])
	return r
}

// texts drains the redactions of a record.
func texts(ctx context.Context, d apiv1.DepartmentsClient, ref *apiv1.RecordRef) (all [][]byte, err error) {
	stream, err := d.Redactions(ctx, &apiv1.RedactionsRequest{Record: ref})
	if err != nil {
		return nil, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m.Redactions...)
	}
}

func copyOf(ctx context.Context, d apiv1.DepartmentsClient, r *apiv1.CopyRequest) ([]byte, error) {
	stream, err := d.Copy(ctx, r)
	if err != nil {
		return nil, err
	}
	return drain(stream.Recv, (*apiv1.CopyResponse).GetChunk)
}

func evidenceOf(ctx context.Context, d apiv1.DepartmentsClient, r *apiv1.EvidenceRequest) (commitment.Bundle, error) {
	stream, err := d.Evidence(ctx, r)
	if err != nil {
		return commitment.Bundle{}, err
	}
	car, err := drain(stream.Recv, (*apiv1.EvidenceResponse).GetChunk)
	if err != nil {
		return commitment.Bundle{}, err
	}
	return commitment.ParseBundle(car)
}

const (
	caseWork  = apiv1.Purpose_PURPOSE_CASE_WORK
	exemption = "CT-1-210-b-2"
)

// TestRedactionOverTheWire: planned, filed and seen; withheld by two offices; and
// then applied to a copy and to evidence, which says who decided.
func TestRedactionOverTheWire(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	want, index := c.anchored(minutes, "Minutes of May")
	clerk, counsel := apiv1.NewDepartmentsClient(c.as("CLERK")), apiv1.NewDepartmentsClient(c.as("COUNSEL"))
	marks, _, err := planned(ctx, clerk, &apiv1.PlanRedactionRequest{
		Record: byCommitment(want[:]), Purpose: caseWork, Asks: []*apiv1.RedactionAsk{{Selector: "paragraphs 3", Code: exemption}},
	})
	wantMarks := []commitment.PlannedMark{
		{Mark: commitment.Mark{Range: commitment.Range{First: 2, Last: 2}, Code: "-"}, Why: "digest", Label: "digest"},
		{Mark: commitment.Mark{Range: commitment.Range{First: 5, Last: 5}, Code: exemption}, Why: "asked", Label: "paragraph 3"},
	}
	if err != nil || !slices.Equal(marks, wantMarks) {
		t.Fatalf("planned %+v, %v", marks, err)
	}
	r := redactionOf(commitment.Marks(marks))
	text, hash := must(r.Marshal()), must(r.Hash())
	filed, err := clerk.FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: byIndex(index), Redaction: text})
	if err != nil || !bytes.Equal(filed.Hash, hash[:]) {
		t.Fatalf("filed %v, %v", filed, err)
	}
	other := must(redactionOf(commitment.Marks(marks)).Marshal())
	if _, err := counsel.FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: byIndex(index), Redaction: other}); err != nil {
		t.Fatal(err)
	}
	if all, err := texts(ctx, counsel, byIndex(index)); err != nil || len(all) != 2 || !bytes.Equal(all[0], text) && !bytes.Equal(all[1], text) {
		t.Errorf("filed are %q, %v", all, err)
	}
	first := c.do("CLERK", &record.Withhold{Record: record.Index(index), Redaction: hash})
	second := c.do("COUNSEL", &record.Withhold{Record: record.Index(index), Redaction: hash})
	c.do("COUNSEL", &record.Withhold{Record: record.Index(index), Redaction: [32]byte{9}}) // of which nothing is shown

	redactions := [][]byte{hash[:]}
	car, err := copyOf(ctx, clerk, &apiv1.CopyRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_PUBLIC_REQUEST, Redactions: redactions})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := must(commitment.ParseCopy(car)).Verify(commitment.Commitment(want))
	if err != nil || string(opened.Content()) != strings.Replace(minutes, "The budget was read twice.\n\n", "", 1) || bytes.Contains(car, []byte("May")) {
		t.Errorf("copy discloses %q, %v", opened.Content(), err)
	}
	bundle, err := evidenceOf(ctx, counsel, &apiv1.EvidenceRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_LEGAL, Redactions: redactions})
	if err != nil || len(bundle.Receipts) != 4 {
		t.Fatalf("bundle of %d parts, %v", len(bundle.Receipts), err)
	}
	if opened, err = bundle.Copy.Verify(commitment.Commitment(want)); err != nil || strings.Contains(string(opened.Content()), "budget") {
		t.Errorf("evidence discloses %q, %v", opened.Content(), err)
	}
	if fields, err := opened.Fields(); err != nil || len(fields) != 2 {
		t.Errorf("evidence discloses the fields %v, %v", fields, err)
	}
	for i, at := range []record.Index{record.Index(index), first, second} {
		v, err := receipt.Verify(c.network, bundle.Receipts[i])
		if err != nil || v.Outcome != receipt.Passed || record.Index(v.Index) != at {
			t.Errorf("receipt %d: %+v, %v; want entry %d", i, v, err, at)
			continue
		}
		if w, ok := v.Entry.(record.WithholdingEntry); i > 0 && (!ok || w.Redaction != hash || w.Record != record.Index(index)) {
			t.Errorf("receipt %d is about %+v", i, v.Entry)
		}
	}
	if !bytes.Equal(bundle.Receipts[3], text) {
		t.Errorf("the bundle ends with %q", bundle.Receipts[3])
	}
	if bundle, err = evidenceOf(ctx, clerk, &apiv1.EvidenceRequest{Record: byIndex(index), Purpose: caseWork}); err != nil || len(bundle.Receipts) != 1 {
		t.Errorf("evidence that hides nothing has %d parts, %v", len(bundle.Receipts), err)
	}
}

// TestErasureOverTheWire: what was erased by a disposition is hidden in every
// copy, and evidence shows with nothing but the network file under which
// disposition, and what is withheld beside it.
func TestErasureOverTheWire(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.adopt(rule("DEMO-MINUTES", "3 years after created"))
	item, err := deposit(ctx, c.as("DPW"), minutes, "Minutes of May", nil)
	if err != nil {
		t.Fatal(err)
	}
	index := c.do("DPW", anchor(item))
	if err := c.custody.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	d := apiv1.NewDepartmentsClient(c.as("DPW"))
	file := func(paragraph uint32) (text []byte, hash [32]byte) {
		t.Helper()
		r := redactionOf([]commitment.Mark{{Range: commitment.Range{First: 2, Last: 2}, Code: "-"}, {Range: commitment.Range{First: 2 + paragraph, Last: 2 + paragraph}, Code: exemption}})
		if _, err := d.FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: byIndex(uint64(index)), Redaction: must(r.Marshal())}); err != nil {
			t.Fatal(err)
		}
		return must(r.Marshal()), must(r.Hash())
	}
	first, erased := file(3)
	second, withheld := file(1)
	c.do("CLERK", &record.Withhold{Record: index, Redaction: withheld})
	proposal := &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionRedact, Records: []record.Index{index}, Redaction: erased}
	disposition := c.do("DPW", proposal)
	hash := must3(ledger.DispositionOf(c.node.View(), disposition)).Hash
	for _, office := range []record.Code{"CLERK", "COUNSEL", activeOffice(record.RoleStateRecords)} {
		c.do(office, &record.ApproveDisposition{Disposition: disposition, Hash: hash})
	}
	c.do(activeOffice(record.RoleOperator), &record.LockDisposition{Disposition: disposition, Hash: hash})
	_, err = copyOf(ctx, d, &apiv1.CopyRequest{Record: byIndex(uint64(index)), Purpose: caseWork})
	wantReason(t, "copy of what is locked", err, "LOCKED")
	if done, err := c.custody.Erase(ctx); err != nil || !slices.Equal(done.Dispositions, []record.Index{disposition}) {
		t.Fatalf("erased %+v, %v", done, err)
	}
	stream, err := d.Read(ctx, &apiv1.ReadRequest{Record: byIndex(uint64(index)), Purpose: caseWork})
	if err != nil {
		t.Fatal(err)
	}
	_, err = drain(stream.Recv, (*apiv1.ReadResponse).GetChunk)
	wantReason(t, "read", err, "PARTLY_DESTROYED")
	segments, err := d.Segments(ctx, &apiv1.SegmentsRequest{Record: byIndex(uint64(index)), Purpose: caseWork})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := segments.Recv(); err != nil || !list.Segments[5].Destroyed || list.Segments[5].Size != 0 || list.Segments[4].Destroyed || list.Segments[4].Size == 0 {
		t.Errorf("segments %v, %v", list, err)
	}
	bundle, err := evidenceOf(ctx, d, &apiv1.EvidenceRequest{Record: byIndex(uint64(index)), Purpose: caseWork, Redactions: [][]byte{withheld[:]}, Hide: []string{"segments 4"}})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := bundle.Copy.Verify(commitment.Commitment(item))
	if err != nil || string(opened.Content()) != "Present: five members.\n\n" {
		t.Errorf("evidence discloses %q, %v", opened.Content(), err)
	}
	receipts, redactions, reports := receipt.SplitBundle(bundle.Receipts)
	if len(receipts) != 8 || len(reports) != 1 || !slices.EqualFunc(redactions, [][]byte{second, first}, bytes.Equal) {
		t.Fatalf("%d receipts, %d reports, redactions %q", len(receipts), len(reports), redactions)
	}
	var verdicts []receipt.Verdict
	for i, text := range receipts {
		v, err := receipt.Verify(c.network, text)
		if err != nil || v.Outcome != receipt.Passed {
			t.Fatalf("receipt %d: %+v, %v", i, v, err)
		}
		verdicts = append(verdicts, v)
	}
	decisions, err := receipt.Decisions(int64(index), verdicts, redactions, reports)
	if err != nil {
		t.Fatal(err)
	}
	runs, shown, err := receipt.HiddenRuns(opened, decisions)
	if err != nil || shown != nil {
		t.Fatal(shown, err)
	}
	for _, d := range decisions {
		if len(d.Offices) != map[receipt.HiddenStatus]int{receipt.HiddenErased: 4, receipt.HiddenWithheld: 1}[d.Status] {
			t.Errorf("%s, decided by %v", d.Status, d.Offices)
		}
	}
	got := map[string]receipt.HiddenStatus{}
	for _, r := range runs {
		got[receipt.Segments(r.First, r.Last)] = r.Status
	}
	if want := map[string]receipt.HiddenStatus{"2": receipt.HiddenErased, "3": receipt.HiddenWithheld, "5": receipt.HiddenErased, "6": receipt.HiddenUndecided}; !maps.Equal(got, want) {
		t.Errorf("hidden runs %v, want %v", got, want)
	}
}

func must3[T any](v T, ok bool, err error) T {
	if err != nil || !ok {
		panic(fmt.Sprint(ok, err))
	}
	return v
}

// TestRedactionRefusals: what is refused, and by which reason.
func TestRedactionRefusals(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	want, index := c.anchored(minutes, "Minutes of May") // 2 fields, digest, 4 paragraphs, padding up to 16
	good := must(redactionOf([]commitment.Mark{{Range: commitment.Range{First: 2, Last: 2}, Code: "-"}, {Range: commitment.Range{First: 5, Last: 5}, Code: "X"}}).Marshal())
	open := must(redactionOf([]commitment.Mark{{Range: commitment.Range{First: 5, Last: 5}, Code: "X"}}).Marshal())
	clerk := apiv1.NewDepartmentsClient(c.as("CLERK"))
	for _, test := range []struct {
		what string
		code record.Code
		ref  *apiv1.RecordRef
		text []byte
		want string
	}{
		{"no record named", "CLERK", nil, good, "MALFORMED"},
		{"another department", "DPW", byIndex(index), good, "DENIED"},
		{"another department's commitment", "DPW", byCommitment(want[:]), good, "NOT_FOUND"},
		{"role that opens nothing", "AUDIT", byIndex(index), good, "DENIED"},
		{"no redaction", "CLERK", byIndex(index), []byte("a letter"), "MALFORMED"},
		{"one that betrays", "CLERK", byIndex(index), open, "MALFORMED"},
		{"one too large", "CLERK", byIndex(index), make([]byte, 512<<10+1), "TOO_LARGE"},
		{"one larger than a message", "CLERK", byIndex(index), make([]byte, 601<<10), codes.ResourceExhausted.String()},
		{"a good one", "CLERK", byIndex(index), good, "OK"},
		{"a good one of counsel", "COUNSEL", byIndex(index), good, "OK"},
	} {
		_, err := apiv1.NewDepartmentsClient(c.as(test.code)).FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: test.ref, Redaction: test.text})
		wantReason(t, "file "+test.what, err, test.want)
	}
	for range 63 {
		text := must(redactionOf([]commitment.Mark{{Range: commitment.Range{First: 0, Last: 0}, Code: "X"}}).Marshal())
		if _, err := clerk.FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: byIndex(index), Redaction: text}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := clerk.FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: byIndex(index), Redaction: must(redactionOf([]commitment.Mark{{Code: "X"}}).Marshal())})
	wantReason(t, "file the 65th", err, "TOO_MANY_REDACTIONS")
	for what, code := range map[string]record.Code{"DENIED": "DPW", "OK": "COUNSEL"} {
		_, err := texts(ctx, apiv1.NewDepartmentsClient(c.as(code)), byIndex(index))
		wantReason(t, "list as "+string(code), err, what)
	}
	for _, test := range []struct {
		what, want string
		r          *apiv1.PlanRedactionRequest
	}{
		{"without a purpose", "MALFORMED", &apiv1.PlanRedactionRequest{Record: byIndex(index), Asks: []*apiv1.RedactionAsk{{Selector: "paragraphs 1", Code: "X"}}}},
		{"of nothing", "MALFORMED", &apiv1.PlanRedactionRequest{Record: byIndex(index), Purpose: caseWork}},
		{"without a code", "MALFORMED", &apiv1.PlanRedactionRequest{Record: byIndex(index), Purpose: caseWork, Asks: []*apiv1.RedactionAsk{{Selector: "paragraphs 1"}}}},
		{"of a paragraph that is not there", "NO_SUCH_SEGMENT", &apiv1.PlanRedactionRequest{Record: byIndex(index), Purpose: caseWork, Asks: []*apiv1.RedactionAsk{{Selector: "paragraphs 9", Code: "X"}}}},
	} {
		_, _, err := planned(ctx, clerk, test.r)
		wantReason(t, "plan "+test.what, err, test.want)
	}
	for what, hash := range map[string][]byte{"MALFORMED": make([]byte, 31), "NO_SUCH_REDACTION": make([]byte, 32)} {
		_, err := copyOf(ctx, clerk, &apiv1.CopyRequest{Record: byIndex(index), Purpose: caseWork, Redactions: [][]byte{hash}})
		wantReason(t, "copy", err, what)
		_, err = evidenceOf(ctx, clerk, &apiv1.EvidenceRequest{Record: byIndex(index), Purpose: caseWork, Redactions: [][]byte{hash}})
		wantReason(t, "evidence", err, what)
	}
}

// TestManyMarksCome: a plan with more marks than one message holds comes whole.
func TestManyMarksCome(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	const rows = 60_000
	var content strings.Builder
	for i := range rows {
		fmt.Fprintf(&content, "%d,%s\n", i, strings.Repeat("x", i%2))
	}
	item, err := deposit(ctx, c.as("CLERK"), content.String(), "A table", func(h *apiv1.DepositHeader) {
		h.Profile, h.ExpectedCommitment = "csv/1;d=,", nil
	})
	if item == (record.Commitment{}) {
		t.Fatal(err)
	}
	index := uint64(c.do("CLERK", anchor(item)))
	marks, messages, err := planned(ctx, apiv1.NewDepartmentsClient(c.as("CLERK")), &apiv1.PlanRedactionRequest{
		Record: byIndex(index), Purpose: caseWork, Asks: []*apiv1.RedactionAsk{{Selector: `text ",x"`, Code: exemption}},
	})
	if err != nil || len(marks) != rows/2+1 || messages < 2 {
		t.Errorf("%d marks in %d messages, %v; want %d in several", len(marks), messages, err, rows/2+1)
	}
	_, err = apiv1.NewDepartmentsClient(c.as("CLERK")).FileRedaction(ctx, &apiv1.FileRedactionRequest{
		Record: byIndex(index), Redaction: must(redactionOf(commitment.Marks(marks[:15_000])).Marshal()),
	})
	if err != nil {
		t.Errorf("15,000 marks: %v", err)
	}
}
