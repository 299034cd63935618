package rpc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const minutes = "Council meeting\n\nPresent: five members.\n\nThe budget was read twice.\n\nAdjourned.\n"

// longMinutes do not fit what flow control lets out before the client reads.
var longMinutes = strings.Repeat(strings.Repeat("A line of the minutes of a long meeting.\n", 500)+"\n", 200)

// deposit streams a document as its department would and gives the commitment
// that the client has computed itself.
func deposit(ctx context.Context, conn *grpc.ClientConn, content, title string, change func(*apiv1.DepositHeader)) (record.Commitment, error) {
	var k commitment.RecordKey
	rand.Read(k[:])
	fields := []commitment.Field{{Key: commitment.FieldMediaType, Value: "text/plain"}, {Key: commitment.FieldTitle, Value: title}}
	layout, err := commitment.Arrange(commitment.Text, []byte(content), fields)
	if err != nil {
		return record.Commitment{}, err
	}
	manifest, _, err := commitment.Commit(commitment.NewState(k, layout.N()), layout)
	if err != nil {
		return record.Commitment{}, err
	}
	want := manifest.Commitment()
	header := &apiv1.DepositHeader{
		Series: "DEMO-MINUTES", Custody: "CITY", NotAfterDay: uint32(today + 1), Profile: string(commitment.Text),
		RecordKey: k[:], ExpectedCommitment: want[:], Size: uint64(len(content)),
	}
	for _, f := range fields {
		header.Fields = append(header.Fields, &apiv1.MetadataField{Key: f.Key, Value: f.Value})
	}
	if change != nil {
		change(header)
	}
	parts := []*apiv1.DepositRequest{headerPart(header)}
	for at := 0; at < len(content); at += chunkBytes {
		parts = append(parts, chunkPart(content[at:min(at+chunkBytes, len(content))]))
	}
	resp, err := depositRaw(ctx, conn, parts...)
	if err != nil {
		return record.Commitment{}, err
	}
	got := record.Commitment(resp.Commitment)
	if got != record.Commitment(want) {
		return got, fmt.Errorf("custodian answers %x, want %x", got, want)
	}
	return got, nil
}

func headerPart(h *apiv1.DepositHeader) *apiv1.DepositRequest {
	return &apiv1.DepositRequest{Part: &apiv1.DepositRequest_Header{Header: h}}
}

func chunkPart(s string) *apiv1.DepositRequest {
	return &apiv1.DepositRequest{Part: &apiv1.DepositRequest_Chunk{Chunk: []byte(s)}}
}

// depositRaw sends messages as they are.
func depositRaw(ctx context.Context, conn *grpc.ClientConn, parts ...*apiv1.DepositRequest) (*apiv1.DepositResponse, error) {
	stream, err := apiv1.NewDepartmentsClient(conn).Deposit(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := stream.Send(p); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return stream.CloseAndRecv()
}

// anchored deposits a document for CLERK and anchors it.
func (c *city) anchored(content, title string) (record.Commitment, uint64) {
	c.t.Helper()
	want, err := deposit(within10s(c.t), c.as("CLERK"), content, title, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	result := c.mustApply(c.tx("CLERK", anchor(want)))
	if err := c.custody.CatchUp(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	return want, uint64(result.TxIndex) + 1
}

func byIndex(i uint64) *apiv1.RecordRef {
	return &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: i}}
}

func byCommitment(c []byte) *apiv1.RecordRef {
	return &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: c}}
}

// TestRecordOverTheWire is the way of a record through every call of Departments.
func TestRecordOverTheWire(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	conn := c.as("CLERK")
	departments := apiv1.NewDepartmentsClient(conn)
	want, err := deposit(ctx, conn, minutes, "Minutes of May", nil)
	if err != nil {
		t.Fatal(err)
	}
	submitted, err := departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: c.tx("CLERK", anchor(want))})
	if err != nil || submitted.Reason != "OK" || submitted.Count != 1 || submitted.FirstIndex != submitted.TransactionIndex+1 || submitted.BadItem != -1 {
		t.Fatalf("submit: %v, %v", submitted, err)
	}
	if err := c.custody.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	index := submitted.FirstIndex

	proven, err := departments.Receipt(ctx, &apiv1.ReceiptRequest{Index: index})
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := receipt.Verify(c.network, proven.Receipt)
	if err != nil || verdict.Outcome != receipt.Passed || verdict.Entry.(record.AnchorEntry).Commitment != want ||
		verdict.Signed == nil || verdict.Signed.Office != "CLERK" || verdict.Grade != proven.Grade {
		t.Errorf("receipt: %+v, %v", verdict, err)
	}

	for _, ref := range []*apiv1.RecordRef{byIndex(index), byCommitment(want[:])} {
		told, err := departments.Record(ctx, &apiv1.RecordRequest{Record: ref})
		if err != nil || told.Index != index || !bytes.Equal(told.Commitment, want[:]) || told.Department != "CLERK" || told.Series != "DEMO-MINUTES" ||
			told.Custody != "CITY" || record.Day(told.Day) != today || told.SupersededBy != 0 || !told.HeldHere {
			t.Errorf("record: %v, %v", told, err)
		}
	}

	found, err := departments.Search(ctx, &apiv1.SearchRequest{Text: "of may"})
	if err != nil || len(found.Hits) != 1 || found.NextPageToken != "" || found.Hits[0].Title != "Minutes of May" || found.Hits[0].Index != index || !found.Hits[0].Anchored {
		t.Errorf("search: %v, %v", found, err)
	}

	segments, err := departments.Segments(ctx, &apiv1.SegmentsRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_CASE_WORK})
	if err != nil {
		t.Fatal(err)
	}
	list, err := segments.Recv()
	if err != nil || len(list.Segments) < 4 || list.Segments[0].Kind != "metadata" || list.Segments[3].Label != "paragraph 1" {
		t.Errorf("segments: %v, %v", list, err)
	}

	read, err := departments.Read(ctx, &apiv1.ReadRequest{Record: byCommitment(want[:]), Purpose: apiv1.Purpose_PURPOSE_CASE_WORK})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := drain(read.Recv, (*apiv1.ReadResponse).GetChunk); err != nil || string(got) != minutes {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestCopyAndEvidenceOverTheWire verifies what leaves the node with nothing but
// the network file.
func TestCopyAndEvidenceOverTheWire(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	want, index := c.anchored(minutes, "Minutes of May")
	later, laterIndex := c.anchored(minutes+"\nCorrected.\n", "Minutes of May, corrected")
	c.mustApply(c.tx("CLERK", &record.SupersedeRecord{Record: record.Index(index), By: record.Index(laterIndex)}))
	departments := apiv1.NewDepartmentsClient(c.as("CLERK"))

	copies, err := departments.Copy(ctx, &apiv1.CopyRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_PUBLIC_REQUEST, Hide: []string{"paragraphs 3"}})
	if err != nil {
		t.Fatal(err)
	}
	car, err := drain(copies.Recv, (*apiv1.CopyResponse).GetChunk)
	if err != nil {
		t.Fatal(err)
	}
	made, err := commitment.ParseCopy(car)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := made.Verify(commitment.Commitment(want))
	if err != nil || strings.Contains(string(opened.Content()), "budget") || !strings.Contains(string(opened.Content()), "five members") {
		t.Errorf("copy discloses %q, %v", opened.Content(), err)
	}

	evidence, err := departments.Evidence(ctx, &apiv1.EvidenceRequest{Record: byIndex(index), Purpose: apiv1.Purpose_PURPOSE_LEGAL})
	if err != nil {
		t.Fatal(err)
	}
	if car, err = drain(evidence.Recv, (*apiv1.EvidenceResponse).GetChunk); err != nil {
		t.Fatal(err)
	}
	bundle, err := commitment.ParseBundle(car)
	if err != nil || len(bundle.Receipts) != 2 {
		t.Fatalf("%d receipts, %v", len(bundle.Receipts), err)
	}
	if opened, err = bundle.Copy.Verify(commitment.Commitment(want)); err != nil || string(opened.Content()) != minutes {
		t.Errorf("evidence discloses %q, %v", opened.Content(), err)
	}
	anchored, err := receipt.Verify(c.network, bundle.Receipts[0])
	if err != nil || anchored.Outcome != receipt.Passed || anchored.Entry.(record.AnchorEntry).Commitment != want {
		t.Errorf("receipt of the anchor: %+v, %v", anchored, err)
	}
	superseded, err := receipt.Verify(c.network, bundle.Receipts[1])
	if err != nil || superseded.Outcome != receipt.Passed || superseded.Entry != record.Entry(record.SupersedeEntry{Office: "CLERK", Record: record.Index(index), By: record.Index(laterIndex)}) {
		t.Errorf("receipt of the supersession: %+v, %v", superseded, err)
	}
	if told, err := departments.Record(ctx, &apiv1.RecordRequest{Record: byCommitment(want[:])}); err != nil || told.SupersededBy != laterIndex {
		t.Errorf("record: %v, %v; want superseded by %d", told, err, laterIndex)
	}
	if bytes.Contains(car, later[:]) || bytes.Contains(car, []byte("Corrected")) {
		t.Error("evidence for one record holds something of another")
	}
}

// TestReceiptOfEveryEntry: whatever an office can cause, and the genesis too,
// has a receipt that verifies.
func TestReceiptOfEveryEntry(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	proposal := c.mustApply(c.tx("CLERK", &record.ProposeChange{Fact: &record.Office{Code: "NEW", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}}))
	hash := must(record.FactHash(&record.Office{Code: "NEW", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}))
	c.mustApply(c.tx("COUNSEL", &record.ApproveChange{Proposal: proposal.TxIndex + 1, FactHash: hash}))
	c.mustApply(c.tx("DPW", anchor(record.Commitment{1}, record.Commitment{2}, record.Commitment{3})))
	departments := apiv1.NewDepartmentsClient(c.as("AUDIT"))
	kinds := map[string]bool{}
	for i := range uint64(c.node.View().Head().Size) {
		got, err := departments.Receipt(ctx, &apiv1.ReceiptRequest{Index: i})
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		v, err := receipt.Verify(c.network, got.Receipt)
		if err != nil || v.Outcome != receipt.Passed || v.Index != int64(i) {
			t.Fatalf("entry %d: %s %v, %v", i, v.Outcome, v.Reasons, err)
		}
		kinds[v.Kind] = true
	}
	if len(kinds) != 8 {
		t.Errorf("kinds %v: want genesis, fact, block, tx, anchor, proposal, approval, suspension", kinds)
	}
	_, err := departments.Receipt(ctx, &apiv1.ReceiptRequest{Index: uint64(c.node.View().Head().Size)})
	wantReason(t, "entry beyond the end", err, "NOT_FOUND")
}

// TestSearchPages walks through pages of hits, each found once and in order.
func TestSearchPages(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	conn := c.as("CLERK")
	for i := range 7 {
		if _, err := deposit(ctx, conn, minutes, fmt.Sprintf("Minutes %d %s", i, strings.Repeat("x", 4000)), nil); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	request := &apiv1.SearchRequest{Text: "minutes", PageSize: 3}
	pages := 0
	for ; request.PageToken != "" || pages == 0; pages++ {
		page, err := apiv1.NewDepartmentsClient(conn).Search(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Hits {
			seen[h.Title] = true
		}
		request.PageToken = page.NextPageToken
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("found %d titles on %d pages, want 7 on 3", len(seen), pages)
	}
	other, err := apiv1.NewDepartmentsClient(c.as("DPW")).Search(ctx, &apiv1.SearchRequest{Text: "minutes"})
	if err != nil || len(other.Hits) != 0 {
		t.Errorf("another department finds %v, %v", other, err)
	}
}
