package rpc

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

func certificateFor(index, disposition record.Index) *apiv1.CertificateRequest {
	return &apiv1.CertificateRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(index)}}, Disposition: uint64(disposition)}
}

// certify fetches a certificate and gives its verdict.
func (a *archive) certify(index, disposition record.Index) (receipt.Verdict, []byte) {
	a.t.Helper()
	got, err := apiv1.NewRecordsStaffClient(a.as("AUDIT")).Certificate(within10s(a.t), certificateFor(index, disposition))
	if err != nil {
		a.t.Fatal(err)
	}
	v, err := receipt.VerifyCertificate(a.network, got.File)
	if err != nil {
		a.t.Fatal(err)
	}
	return v, got.File
}

// TestS4_7_CertificateOfALockedRecord has the real machine lock a record and take
// its report: before that the certificate does not pass, and afterwards it does.
func TestS4_7_CertificateOfALockedRecord(t *testing.T) {
	a := kept(t, nil)
	index := a.records["locked"]
	v, _ := a.certify(index, 0)
	if v.Outcome != receipt.Indeterminate || v.Reasons[0] != receipt.ReportsDue || !strings.Contains(v.Detail, "pending at DPW") {
		t.Errorf("before the report: %s %v %s", v.Outcome, v.Reasons, v.Detail)
	}
	a.do("DPW", &record.ReportErasure{Disposition: a.locked, Outcome: record.OutcomeDone})
	v, file := a.certify(index, a.locked)
	if v.Outcome != receipt.Passed || v.Certificate == nil || v.Certificate.Result != receipt.Destroyed || v.Certificate.Record != int64(index) {
		t.Fatalf("after the report: %s %v %s", v.Outcome, v.Reasons, v.Detail)
	}
	for _, want := range []string{"CERTIFICATE OF DESTRUCTION\n", "No hold ever covered it.", "Conn. Code Evid. 9-3A", "Fed. R. Evid. 902(14)"} {
		if !strings.Contains(string(file), want) {
			t.Errorf("the certificate has no %q", want)
		}
	}
	got, err := apiv1.NewDepartmentsClient(a.as("AUDIT")).Record(within10s(t), &apiv1.RecordRequest{Record: certificateFor(index, 0).Record})
	if err != nil || got.Disposition == nil || got.Disposition.Status != "COMPLETE" || got.Disposition.Reports[0].Outcome != "DONE" || len(got.Decisions) != 0 {
		t.Errorf("the residual record: %v, %v", got, err)
	}
}

// TestS4_9_CertificateOfAPreservedRecord: a late hold preserved the
// record; the disposition is found by its number alone then.
func TestS4_9_CertificateOfAPreservedRecord(t *testing.T) {
	a := kept(t, nil)
	index := a.records["locked"]
	a.do("COUNSEL", &record.PlaceHold{Kind: record.HoldAnticipated, Matter: [32]byte{9}, Scope: record.Scope{Records: []record.Index{index}}})
	a.do("DPW", &record.ReportErasure{Disposition: a.locked, Outcome: record.OutcomePreserved})
	v, file := a.certify(index, a.locked)
	if v.Outcome != receipt.Passed || v.Certificate.Result != receipt.Preserved || !strings.Contains(string(file), "\nRECORD PRESERVED: NO CERTIFICATE OF DESTRUCTION\n") {
		t.Errorf("%s %v %s", v.Outcome, v.Reasons, v.Detail)
	}
	client := apiv1.NewRecordsStaffClient(a.as("AUDIT"))
	for name, ask := range map[string]*apiv1.CertificateRequest{
		"preserved, without a number": certificateFor(index, 0), "never locked": certificateFor(a.records["due"], 0),
		"an open disposition": certificateFor(a.records["mail"], a.open), "of another record": certificateFor(a.records["due"], a.locked),
		"no disposition": certificateFor(index, 3), "no record": certificateFor(a.locked, 0),
	} {
		if _, err := client.Certificate(within10s(t), ask); grpcstatus.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDecisionsOfARecord: who decided to withhold parts of it.
func TestDecisionsOfARecord(t *testing.T) {
	a := kept(t, nil)
	index, parts := a.records["due"], [32]byte{4}
	entry := a.do("COUNSEL", &record.Withhold{Record: index, Redaction: parts})
	got, err := apiv1.NewDepartmentsClient(a.as("DPW")).Record(within10s(t), &apiv1.RecordRequest{Record: certificateFor(index, 0).Record})
	if err != nil || len(got.Decisions) != 1 {
		t.Fatal(got, err)
	}
	d := got.Decisions[0]
	if d.Entry != uint64(entry) || d.Erased || [32]byte(d.Redaction) != parts || d.Office != "COUNSEL" || d.Day != int32(today) || got.Disposition != nil {
		t.Errorf("decision %v, disposition %v", d, got.Disposition)
	}
}

// TestS0_5_CertificateOfWhatACustodianDestroyed: the custodian carries the
// disposition out; the certificate has its report with text and claim, and the copy
// that was given out before; nothing reads the record any more, and what is left of
// it says so.
func TestS0_5_CertificateOfWhatACustodianDestroyed(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	c.adopt(rule("DEMO-MINUTES", "3 years after created"))
	item, err := deposit(ctx, c.as("DPW"), minutes, "Minutes of May", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := anchor(item)
	m.Items[0].Day = day("2020-01-05")
	index := c.do("DPW", m)
	if err := c.custody.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	a := &archive{city: c}
	d := apiv1.NewDepartmentsClient(c.as("DPW"))
	if _, err := copyOf(ctx, d, &apiv1.CopyRequest{Record: byIndex(uint64(index)), Purpose: caseWork}); err != nil {
		t.Fatal(err)
	}
	at := a.propose("DEMO-MINUTES", index)
	a.approve("CLERK", at)
	c.do(activeOffice(record.RoleOperator), &record.LockDisposition{Disposition: at, Hash: a.hash(at)})
	if v, _ := a.certify(index, 0); reasonsOf(v) != "REPORTS_DUE" {
		t.Errorf("before the erasure: %s %v", v.Outcome, v.Reasons)
	}
	if done, err := c.custody.Erase(ctx); err != nil || done.Destroyed != 1 {
		t.Fatalf("erased %+v, %v", done, err)
	}
	v, file := a.certify(index, 0)
	if v.Outcome != receipt.Passed || v.Certificate.Result != receipt.Destroyed || !v.Certificate.Reports[0].HasText || v.Certificate.Reports[0].Released != 1 ||
		v.Certificate.Reports[0].Claim != record.ClaimFiles.Says() {
		t.Fatalf("%s %v %s, %+v", v.Outcome, v.Reasons, v.Detail, v.Certificate)
	}
	for _, canary := range []string{"Minutes of May", "five members"} {
		if strings.Contains(string(file), canary) {
			t.Errorf("the certificate holds %q", canary)
		}
	}
	_, err = copyOf(ctx, d, &apiv1.CopyRequest{Record: byIndex(uint64(index)), Purpose: caseWork})
	if err == nil {
		t.Error("a copy of what was destroyed")
	}
	got, err := d.Record(ctx, &apiv1.RecordRequest{Record: byIndex(uint64(index))})
	if err != nil || got.HeldHere || got.Disposition.GetReports()[0].Claim != "C1" || got.Disposition.Status != "COMPLETE" {
		t.Errorf("what is left: %v, %v", got, err)
	}
}

func reasonsOf(v receipt.Verdict) string {
	if len(v.Reasons) == 0 {
		return ""
	}
	return string(v.Reasons[0])
}
