package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestDepositRefusals: a deposit that is not as it should be is refused with its
// reason, and nothing of it is kept.
func TestDepositRefusals(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	conn := c.as("CLERK")
	for _, test := range []struct {
		what   string
		change func(*apiv1.DepositHeader)
		want   string
	}{
		{"unknown series", func(h *apiv1.DepositHeader) { h.Series = "NONE" }, "UNKNOWN_SERIES"},
		{"series that is no code", func(h *apiv1.DepositHeader) { h.Series = "minutes of May" }, "UNKNOWN_SERIES"},
		{"unknown custody", func(h *apiv1.DepositHeader) { h.Custody = "COUNTY" }, "UNKNOWN_CUSTODY"},
		{"last day has passed", func(h *apiv1.DepositHeader) { h.NotAfterDay = uint32(today - 1) }, "EXPIRED"},
		{"last day too far ahead", func(h *apiv1.DepositHeader) { h.NotAfterDay = 1<<32 - 1 }, "TOO_FAR_AHEAD"},
		{"unknown profile", func(h *apiv1.DepositHeader) { h.Profile = "none/1" }, "PROFILE_REFUSED"},
		{"field twice", func(h *apiv1.DepositHeader) { h.Fields = append(h.Fields, h.Fields[0]) }, "MALFORMED"},
		{"another commitment", func(h *apiv1.DepositHeader) { h.ExpectedCommitment = make([]byte, 32) }, "COMMITMENT_MISMATCH"},
		{"short commitment", func(h *apiv1.DepositHeader) { h.ExpectedCommitment = make([]byte, 31) }, "MALFORMED"},
		{"another record key", func(h *apiv1.DepositHeader) { h.RecordKey = make([]byte, 32) }, "COMMITMENT_MISMATCH"},
		{"long record key", func(h *apiv1.DepositHeader) { h.RecordKey = make([]byte, 33) }, "MALFORMED"},
		{"content cut off", func(h *apiv1.DepositHeader) { h.Size++ }, "SIZE_MISMATCH"},
		{"content goes on", func(h *apiv1.DepositHeader) { h.Size-- }, "SIZE_MISMATCH"},
		{"too large", func(h *apiv1.DepositHeader) { h.Size = 8<<20 + 1 }, "TOO_LARGE"},
		{"size of another world", func(h *apiv1.DepositHeader) { h.Size = 1<<64 - 1 }, "MALFORMED"},
	} {
		_, err := deposit(ctx, conn, minutes, "Minutes of May", test.change)
		wantReason(t, test.what, err, test.want)
	}
	header := headerPart(&apiv1.DepositHeader{Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today), Profile: "raw/1", Size: 4})
	for what, parts := range map[string][]*apiv1.DepositRequest{
		"nothing at all":  {},
		"content first":   {chunkPart("abcd")},
		"header twice":    {header, chunkPart("ab"), header},
		"neither of both": {{}},
	} {
		_, err := depositRaw(ctx, conn, parts...)
		wantReason(t, what, err, "MALFORMED")
	}
	cut, cancel := context.WithCancel(ctx)
	stream, err := apiv1.NewDepartmentsClient(conn).Deposit(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.Send(header), stream.Send(chunkPart("ab"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "broken stream", func() bool { return c.underWay("CLERK") == 0 })
	if n, err := c.custody.Records(); n != 0 || err != nil {
		t.Errorf("refused deposits left %d records, %v", n, err)
	}
	if _, err := deposit(ctx, conn, minutes, "Minutes of May", nil); err != nil {
		t.Errorf("a good deposit afterwards: %v", err)
	}
}

// TestOpeningRefusals: what cannot be opened is refused with its reason.
func TestOpeningRefusals(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	want, index := c.anchored(minutes, "Minutes of May")
	elsewhere := uint64(c.mustApply(c.tx("CLERK", anchor(record.Commitment{9}))).TxIndex) + 1
	const caseWork, legal, public = apiv1.Purpose_PURPOSE_CASE_WORK, apiv1.Purpose_PURPOSE_LEGAL, apiv1.Purpose_PURPOSE_PUBLIC_REQUEST
	for _, test := range []struct {
		what    string
		code    record.Code
		ref     *apiv1.RecordRef
		purpose apiv1.Purpose
		hide    []string
		want    string
	}{
		{"no record named", "CLERK", nil, caseWork, nil, "MALFORMED"},
		{"short commitment", "CLERK", byCommitment(want[:31]), caseWork, nil, "MALFORMED"},
		{"no purpose", "CLERK", byIndex(index), 0, nil, "MALFORMED"},
		{"unknown purpose", "CLERK", byIndex(index), 99, nil, "MALFORMED"},
		{"unknown commitment", "CLERK", byCommitment(make([]byte, 32)), caseWork, nil, "NOT_FOUND"},
		{"another department's commitment", "DPW", byCommitment(want[:]), caseWork, nil, "NOT_FOUND"},
		{"entry that anchors nothing", "CLERK", byIndex(0), caseWork, nil, "NOT_FOUND"},
		{"entry beyond the end", "CLERK", byIndex(1 << 40), caseWork, nil, "NOT_FOUND"},
		{"content that is not here", "CLERK", byIndex(elsewhere), caseWork, nil, "NOT_FOUND"},
		{"another department's record", "DPW", byIndex(index), caseWork, nil, "DENIED"},
		{"counsel without a legal purpose", "COUNSEL", byIndex(index), public, nil, "DENIED"},
		{"counsel", "COUNSEL", byIndex(index), legal, nil, "OK"},
		{"role that opens nothing", "AUDIT", byIndex(index), apiv1.Purpose_PURPOSE_AUDIT, nil, "DENIED"},
		{"no such paragraph", "CLERK", byIndex(index), caseWork, []string{"paragraphs 99"}, "NO_SUCH_SEGMENT"},
		{"selector of another profile", "CLERK", byIndex(index), caseWork, []string{"rows 3-5"}, "NO_SUCH_SEGMENT"},
	} {
		departments := apiv1.NewDepartmentsClient(c.as(test.code))
		stream, err := departments.Copy(ctx, &apiv1.CopyRequest{Record: test.ref, Purpose: test.purpose, Hide: test.hide})
		if err == nil {
			_, err = drain(stream.Recv, (*apiv1.CopyResponse).GetChunk)
		}
		wantReason(t, test.what, err, test.want)
	}
	clerk := apiv1.NewDepartmentsClient(c.as("CLERK"))
	for what, r := range map[string]*apiv1.SearchRequest{
		"one letter":        {Text: "M"},
		"large page":        {Text: "Minutes", PageSize: 1001},
		"page token of old": {Text: "Minutes", PageToken: "AAAA"},
		"token of no hit":   {Text: "Minutes", PageToken: strings.Repeat("B", 43)},
	} {
		_, err := clerk.Search(ctx, r)
		wantReason(t, what, err, "MALFORMED")
	}
	_, err := clerk.Record(ctx, &apiv1.RecordRequest{Record: byCommitment(want[:]), Department: "not a code"})
	wantReason(t, "department that is no code", err, "MALFORMED")
}

// TestNoCustodian: a node without content says so, and does all the rest.
func TestNoCustodian(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.server.options.Custody = nil
	conn := c.as("CLERK")
	_, err := deposit(ctx, conn, minutes, "Minutes of May", nil)
	wantReason(t, "deposit", err, "NOT_CUSTODIAN")
	_, err = apiv1.NewDepartmentsClient(conn).Search(ctx, &apiv1.SearchRequest{Text: "May"})
	wantReason(t, "search", err, "NOT_CUSTODIAN")
	_, err = apiv1.NewDepartmentsClient(conn).FileRedaction(ctx, &apiv1.FileRedactionRequest{Record: byIndex(1)})
	wantReason(t, "file a redaction", err, "NOT_CUSTODIAN")
	index := uint64(c.mustApply(c.tx("CLERK", anchor(record.Commitment{1}))).TxIndex) + 1
	if told, err := apiv1.NewDepartmentsClient(conn).Record(ctx, &apiv1.RecordRequest{Record: byIndex(index)}); err != nil || told.HeldHere {
		t.Errorf("record: %v, %v", told, err)
	}
}

// TestSubmitRefusals: a refused transaction is an answer, not an error; it names
// the bad item, and the log does not grow.
func TestSubmitRefusals(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	departments := apiv1.NewDepartmentsClient(c.as("DPW"))
	first := c.tx("DPW", anchor(record.Commitment{1}))
	accepted := c.mustApply(first)
	size := c.node.View().Head().Size
	altered := append([]byte(nil), first...)
	altered[len(altered)-1] ^= 1
	for _, test := range []struct {
		what string
		raw  []byte
		want string
		bad  int64
	}{
		{"nothing", nil, "MALFORMED", -1},
		{"unknown field", append(append([]byte(nil), first...), 0x20, 1), "MALFORMED", -1},
		{"altered", altered, "BAD_SIGNATURE", -1},
		{"twice in a batch", c.tx("DPW", anchor(record.Commitment{2}, record.Commitment{3}, record.Commitment{2})), "DUPLICATE_IN_BATCH", 2},
		{"anchored before", c.tx("DPW", anchor(record.Commitment{4}, record.Commitment{1})), "ALREADY_ANCHORED", 1},
		{"unknown series", c.tx("DPW", &record.AnchorRecords{Series: "NONE", Custody: "CITY", Items: []record.AnchorItem{{Commitment: record.Commitment{5}, Day: today}}}), "UNKNOWN_SERIES", -1},
		{"role without records", c.tx("AUDIT", anchor(record.Commitment{6})), "WRONG_ROLE", -1},
	} {
		got, err := departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: test.raw})
		if err != nil || got.Reason != test.want || got.BadItem != test.bad || got.Count != 0 || got.FirstIndex != 0 {
			t.Errorf("%s: %v, %v; want %s, item %d", test.what, got, err, test.want, test.bad)
		}
	}
	again, err := departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: first})
	if err != nil || again.Reason != "OK" || again.TransactionIndex != uint64(accepted.TxIndex) {
		t.Errorf("replayed: %v, %v; want the first answer", again, err)
	}
	if now := c.node.View().Head().Size; now != size {
		t.Errorf("the log has grown from %d to %d", size, now)
	}
}

// TestSubmitStreamKeepsOrder: answers come in the order of the requests, refusals
// among them, however many are under way.
func TestSubmitStreamKeepsOrder(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	stream, err := apiv1.NewDepartmentsClient(c.as("DPW")).SubmitStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3 * submitWindow
	go func() {
		for i := range n {
			m := &apiv1.SubmitStreamRequest{}
			if i%5 != 0 {
				m.Submit = &apiv1.SubmitRequest{Transaction: c.tx("DPW", anchor(record.Commitment{byte(i), 7}))}
			}
			if stream.Send(m) != nil {
				return
			}
		}
		stream.CloseSend()
	}()
	for i := range n {
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			if got.Submit.Reason != "MALFORMED" {
				t.Errorf("answer %d: %v", i, got)
			}
			continue
		}
		entry, err := record.ParseEntry(must(c.node.View().Entry(record.Index(got.Submit.FirstIndex))))
		if err != nil || entry.(record.AnchorEntry).Commitment != (record.Commitment{byte(i), 7}) {
			t.Errorf("answer %d is about %+v, %v", i, entry, err)
		}
	}
	if _, err := stream.Recv(); reasonIn(err) != codes.Unknown.String() { // io.EOF
		t.Errorf("after the last answer: %v", err)
	}
}

// TestEveryReasonHasACode: no reason reaches a client as success.
func TestEveryReasonHasACode(t *testing.T) {
	for _, r := range custody.Reasons() {
		if code := grpcCodes[string(r)]; code == codes.OK {
			t.Errorf("%s has no gRPC code", r)
		}
	}
	for reason, code := range grpcCodes {
		if code == codes.OK || reason == "" || strings.ToUpper(reason) != reason {
			t.Errorf("%q is %v", reason, code)
		}
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "OK"},
		{refuse(reasonDenied, "no"), "DENIED"},
		{fmt.Errorf("around: %w", refuse(reasonMalformed, "no")), "MALFORMED"},
		{fmt.Errorf("%w: %w", ErrBusy, errors.New("mempool")), "BUSY"},
		{fmt.Errorf("%w: %w", ErrStopping, errors.New("mempool")), "STOPPING"},
		{fmt.Errorf("%w: %w", ErrOutcomeUnknown, ErrStopping), "OUTCOME_UNKNOWN"},
		{fmt.Errorf("%w: %w", ErrOutcomeUnknown, context.DeadlineExceeded), "OUTCOME_UNKNOWN"},
		{context.DeadlineExceeded, "DEADLINE"},
		{fmt.Errorf("wait: %w", context.Canceled), "CANCELED"},
		{record.ErrMalformed, "INTERNAL"}, // of a stored entry: what a client sends is judged by the ledger
		{errors.New("pebble: canary"), "INTERNAL"},
		{&custody.Error{Reason: "NEW_ONE"}, "INTERNAL"},
	} {
		got := status(test.err)
		wantReason(t, fmt.Sprint(test.err), got, test.want)
		if got != nil && strings.Contains(got.Error(), "canary") {
			t.Errorf("%v tells what is inside: %v", test.err, got)
		}
	}
}

// TestNothingPersonalInTheLog: titles, words searched for, selectors and content
// reach no line, whether a call succeeds or fails.
func TestNothingPersonalInTheLog(t *testing.T) {
	const canary = "Xanthippe"
	c, ctx := newCity(t, nil), within10s(t)
	_, index := c.anchored("Present: "+canary+".\n", canary)
	departments := apiv1.NewDepartmentsClient(c.as("CLERK"))
	departments.Search(ctx, &apiv1.SearchRequest{Text: canary})
	departments.Search(ctx, &apiv1.SearchRequest{Text: canary, PageToken: canary})
	departments.Record(ctx, &apiv1.RecordRequest{Record: byIndex(index), Department: canary})
	copies, err := departments.Copy(ctx, &apiv1.CopyRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_LEGAL, Hide: []string{canary}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = drain(copies.Recv, (*apiv1.CopyResponse).GetChunk)
	wantReason(t, "selector", err, "NO_SUCH_SEGMENT")
	_, err = deposit(ctx, c.as("CLERK"), canary, canary, func(h *apiv1.DepositHeader) {
		h.Series, h.Profile, h.Custody = canary, canary, canary
		h.Fields = append(h.Fields, &apiv1.MetadataField{Key: commitment.FieldFileName, Value: canary})
	})
	wantReason(t, "deposit", err, "UNKNOWN_SERIES")
	eventually(t, "lines for what failed", func() bool { return c.lines("call did not succeed") >= 4 })
	if log := c.log.String(); strings.Contains(strings.ToLower(log), strings.ToLower(canary)) {
		t.Errorf("the log holds the canary:\n%s", log)
	}
}
