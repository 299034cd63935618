package rpc

import (
	"testing"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// legalityOf asks for the legality file of a record.
func legalityOf(index record.Index) *apiv1.LegalityRequest {
	return &apiv1.LegalityRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(index)}}}
}

// TestLegalityOfALockedRecord has the real machine lock a record, and the
// verifier judge the lock again.
func TestLegalityOfALockedRecord(t *testing.T) {
	a := kept(t, nil)
	ctx := within10s(t)
	staff := apiv1.NewRecordsStaffClient(a.as("AUDIT"))
	verify := func() *receipt.Legality {
		t.Helper()
		got, err := staff.Legality(ctx, legalityOf(a.records["locked"]))
		if err != nil {
			t.Fatal(err)
		}
		v, err := receipt.VerifyLegality(a.network, got.File, nil)
		if err != nil || v.Outcome != receipt.Passed {
			t.Fatalf("%s %v: %s, %v", v.Outcome, v.Reasons, v.Detail, err)
		}
		return v.Legality
	}
	l := verify()
	if l.Record != int64(a.records["locked"]) || l.Disposition != int64(a.locked) || l.Due != "2023-01-05" || l.Locked.LedgerDay != "2031-01-01" {
		t.Errorf("account %+v", l)
	}
	if len(l.Approvals) != 1 || l.Approvals[0].Office != "CLERK" || len(l.Rules) != 1 || l.Rules[0].Rule != "3 years after created" {
		t.Errorf("approvals %+v, rules %+v", l.Approvals, l.Rules)
	}
	// An office that is something else by now had its role when it locked.
	locker := activeOffice(record.RoleOperator)
	a.decide(&record.Office{Code: locker, Roles: []record.Role{record.RoleCounsel}, Status: record.StatusActive}, "CLERK", "COUNSEL")
	if got := verify(); got.Locked.Office != locker || len(got.Locked.Roles) != 1 || got.Locked.Roles[0] != "OPERATOR" {
		t.Errorf("locked by %+v", got.Locked)
	}
	for name, index := range map[string]record.Index{"a record that is not locked": a.records["due"], "no record": a.locked} {
		if _, err := staff.Legality(ctx, legalityOf(index)); grpcstatus.Code(err) != codes.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReceiptOfEveryEntryOfAnArchive: of whatever befalls records, too.
func TestReceiptOfEveryEntryOfAnArchive(t *testing.T) {
	a := kept(t, nil)
	ctx := within10s(t)
	departments := apiv1.NewDepartmentsClient(a.as("AUDIT"))
	kinds := map[record.Kind]bool{}
	size := a.node.View().Head().Size
	for i := range uint64(size) {
		got, err := departments.Receipt(ctx, &apiv1.ReceiptRequest{Index: i})
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		v, err := receipt.Verify(a.network, got.Receipt)
		if err != nil || v.Outcome != receipt.Passed || v.Index != int64(i) {
			t.Fatalf("entry %d: %s %v: %s, %v", i, v.Outcome, v.Reasons, v.Detail, err)
		}
		kinds[record.KindOf(must(a.node.View().Entry(record.Index(i))))] = true
	}
	for _, k := range []record.Kind{record.KindEvents, record.KindHold, record.KindResolution, record.KindRelease, record.KindDisposition,
		record.KindAuthorization, record.KindWithdrawal, record.KindLock, record.KindItem} {
		if !kinds[k] {
			t.Errorf("the archive has no entry of kind %d", k)
		}
	}
}

// TestItemsAreFoundByTheirRecords compares with the log.
func TestItemsAreFoundByTheirRecords(t *testing.T) {
	a := kept(t, nil)
	view := a.node.View()
	items := map[record.Index]record.Index{}
	for i := range record.Index(view.Head().Size) {
		if e, ok := must(record.ParseEntry(must(view.Entry(i)))).(record.ItemEntry); ok {
			items[e.Record] = i
		}
	}
	for name, i := range a.records {
		got, ok, err := ledger.ItemOf(view, i)
		if want, locked := items[i]; err != nil || ok != locked || got != want {
			t.Errorf("%s: item %d, %t, %v, want %d", name, got, ok, err, want)
		}
	}
	if len(items) != 1 {
		t.Errorf("%d items", len(items))
	}
}

// TestReceiptOfACustodiansReport: the key is that of a node, which the genesis stated.
func TestReceiptOfACustodiansReport(t *testing.T) {
	a := kept(t, nil)
	m := anchor(record.Commitment{5})
	m.Items[0].Day = day("2020-01-05")
	d := a.propose("DEMO-MINUTES", a.do("DPW", m))
	a.approve("CLERK", d)
	a.do(activeOffice(record.RoleOperator), &record.LockDisposition{Disposition: d, Hash: a.hash(d)})
	body := must(record.NewBody(networkID, record.Nonce{77}, today+1, &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone}))
	tx := a.mustApply(must(record.Sign(key("custodian"), body))).TxIndex
	departments := apiv1.NewDepartmentsClient(a.as("AUDIT"))
	for _, i := range []record.Index{tx, tx + 1} {
		got, err := departments.Receipt(within10s(t), &apiv1.ReceiptRequest{Index: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		v, err := receipt.Verify(a.network, got.Receipt)
		if err != nil || v.Outcome != receipt.Passed || v.Signed == nil || !v.Signed.Custodian {
			t.Errorf("entry %d: %s %v: %s, %+v, %v", i, v.Outcome, v.Reasons, v.Detail, v.Signed, err)
		}
	}
}
