package rpc

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestWhyExplains: the item as in the list, the explanation in plain words, what
// holds the record, and the rules with the entries that state them.
func TestWhyExplains(t *testing.T) {
	a := kept(t, nil)
	client, ctx := apiv1.NewRecordsStaffClient(a.as("AUDIT")), within10s(t)
	items, _, _, err := a.due("DPW", &apiv1.DueRequest{})
	if err != nil || len(items) != len(everything) {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for n, item := range items {
		why, err := client.Why(ctx, &apiv1.WhyRequest{Record: byIndex(item.Index)})
		if err != nil || !proto.Equal(why.Item, item) || why.LedgerDay != int32(today) {
			t.Errorf("%s: %v, %v, want %v", a.order[n], why, err, item)
			continue
		}
		if len(why.Rules) != 1 || why.Rules[0].Schedule != "DEMO" || why.Rules[0].Version != 1 || why.Rules[0].Series != item.Series {
			t.Errorf("%s: rules %v", a.order[n], why.Rules)
		}
		for _, at := range []uint64{why.Rules[0].Stated, why.Rules[0].Adopted} {
			if e := must(record.ParseEntry(must(a.node.View().Entry(record.Index(at))))); e.Kind() != record.KindFact {
				t.Errorf("%s: entry %d of a rule is of kind %d", a.order[n], at, e.Kind())
			}
		}
		var holds []uint64
		for _, h := range why.Holds {
			holds = append(holds, h.Index)
		}
		if !slices.Equal(holds, item.Holds) {
			t.Errorf("%s: holds %v, want %v", a.order[n], holds, item.Holds)
		}
	}
	for name, want := range map[string][]string{
		"due":         {"3 years after created (31 December 2027): ended on 31 December 2030"},
		"not yet":     {"3 years after created (1 January 2028): kept until 1 January 2031"},
		"permanent":   {"permanent: kept for good"},
		"open case":   {"2 years after closed: the day on which the case or file was closed has not been recorded"},
		"closed case": {"2 years after closed (30 June 2021): ended on 30 June 2023"},
		"mail": {"after archival review: may end at any time; before destruction an archivist reviews the record",
			"  none: the record may be disposed of at any time"},
	} {
		why, err := client.Why(ctx, &apiv1.WhyRequest{Record: byIndex(uint64(a.records[name]))})
		if err != nil || !slices.Equal(why.Lines, want) {
			t.Errorf("%s: %q, %v, want %q", name, why.GetLines(), err, want)
		}
	}
}

// TestWhyNamesEachRuleThatBinds: a record that was anchored under an earlier
// version is bound by it and by the one in force.
func TestWhyNamesEachRuleThatBinds(t *testing.T) {
	c := newCity(t, nil)
	c.adopt(rule("DEMO-MINUTES", "3 years after created"))
	index := c.keep("DEMO-MINUTES", "minutes", "2020-01-01")
	second := rule("DEMO-MINUTES", "20 years after created")
	second.Version = 2
	c.adopt(second)
	client, ctx := apiv1.NewRecordsStaffClient(c.as("DPW")), within10s(t)
	commitment := must(record.ParseEntry(must(c.node.View().Entry(index)))).(record.AnchorEntry).Commitment
	why, err := client.Why(ctx, &apiv1.WhyRequest{Record: byCommitment(commitment[:])})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"version 1 of schedule DEMO:", "  3 years after created (1 January 2020): ended on 1 January 2023",
		"version 2 of schedule DEMO:", "  20 years after created (1 January 2020): kept until 1 January 2040",
	}
	if !slices.Equal(why.Lines, want) || len(why.Rules) != 2 || why.Rules[1].Version != 2 || why.Rules[1].Rule != "20 years after created" {
		t.Errorf("%q, rules %v, want %q", why.Lines, why.Rules, want)
	}
	if why.Item.Standing != apiv1.Standing_STANDING_NOT_YET || record.Day(why.Item.DueDay) != day("2040-01-02") {
		t.Errorf("item %v", why.Item)
	}
}

// TestDispositionsTellHowFarTheyAre lists them, in parts of the list and alone.
func TestDispositionsTellHowFarTheyAre(t *testing.T) {
	a := kept(t, nil)
	client, ctx := apiv1.NewRecordsStaffClient(a.as("COUNSEL")), within10s(t)
	for _, test := range []struct {
		what string
		r    *apiv1.DispositionsRequest
		want []record.Index
	}{
		{"all", &apiv1.DispositionsRequest{}, []record.Index{a.withdrawn, a.locked, a.open}},
		{"those under way", &apiv1.DispositionsRequest{Open: true}, []record.Index{a.locked, a.open}},
		{"after the first", &apiv1.DispositionsRequest{After: uint64(a.withdrawn)}, []record.Index{a.locked, a.open}},
		{"after the last", &apiv1.DispositionsRequest{After: uint64(a.open)}, nil},
		{"of the department", &apiv1.DispositionsRequest{Department: "DPW"}, []record.Index{a.withdrawn, a.locked, a.open}},
		{"of another", &apiv1.DispositionsRequest{Department: "CLERK"}, nil},
		{"one alone", &apiv1.DispositionsRequest{Disposition: uint64(a.locked)}, []record.Index{a.locked}},
	} {
		got, err := client.Dispositions(ctx, test.r)
		var indexes []record.Index
		for _, d := range got.GetDispositions() {
			indexes = append(indexes, record.Index(d.Index))
		}
		if err != nil || !slices.Equal(indexes, test.want) || got.More {
			t.Errorf("%s: %d, %v, want %d", test.what, indexes, err, test.want)
		}
	}
	alone := func(index record.Index) *apiv1.DispositionInfo {
		t.Helper()
		got, err := client.Dispositions(ctx, &apiv1.DispositionsRequest{Disposition: uint64(index)})
		if err != nil || len(got.Dispositions) != 1 {
			t.Fatalf("disposition %d: %v, %v", index, got, err)
		}
		return got.Dispositions[0]
	}
	open, hash := alone(a.open), a.hash(a.open)
	want := &apiv1.DispositionInfo{
		Index: uint64(a.open), Department: "DPW", Series: "DEMO-MAIL", Action: "DESTROY", Hash: hash[:], Count: 1, Day: int32(today), Status: "OPEN",
		Approvals: []*apiv1.ApprovalInfo{{Office: "CLERK", Day: int32(today), Entry: open.Approvals[0].Entry}},
		Records:   []uint64{uint64(a.records["mail"])}, Roles: []string{"CLERK", "STATE_ARCHIVIST"},
	}
	if !proto.Equal(open, want) {
		t.Errorf("%v, want %v", open, want)
	}
	if e := must(record.ParseEntry(must(a.node.View().Entry(record.Index(open.Approvals[0].Entry))))); e.Kind() != record.KindAuthorization {
		t.Errorf("the approval's entry is of kind %d", e.Kind())
	}
	locked := alone(a.locked)
	if locked.Status != "LOCKED" || locked.Lock == 0 || locked.LockDay != int32(today) || len(locked.Roles) > 0 ||
		len(locked.Reports) != 1 || locked.Reports[0].Office != "DPW" || locked.Reports[0].Entry != 0 || locked.Reports[0].Custodian != nil {
		t.Errorf("locked: %v", locked)
	}
	a.do("DPW", &record.ReportErasure{Disposition: a.locked, Outcome: record.OutcomeDone, Claim: record.ClaimFiles})
	if done := alone(a.locked); done.Status != "COMPLETE" || done.Reports[0].Entry == 0 || done.Reports[0].Outcome != "DONE" ||
		done.Reports[0].Claim != "" { // an office has no keyring, whatever it signs
		t.Errorf("complete: %v", done)
	}
	if withdrawn := alone(a.withdrawn); withdrawn.Status != "WITHDRAWN" {
		t.Errorf("withdrawn: %v", withdrawn)
	}
}

// TestDispositionsTellOfRedactions: whose approval is needed before the record is
// due, what is erased, and that it was preserved instead.
func TestDispositionsTellOfRedactions(t *testing.T) {
	a := kept(t, nil)
	client, ctx := apiv1.NewRecordsStaffClient(a.as("COUNSEL")), within10s(t)
	parts := [32]byte{7}
	alone := func(index record.Index) *apiv1.DispositionInfo {
		t.Helper()
		got, err := client.Dispositions(ctx, &apiv1.DispositionsRequest{Disposition: uint64(index)})
		if err != nil || len(got.Dispositions) != 1 {
			t.Fatalf("disposition %d: %v, %v", index, got, err)
		}
		return got.Dispositions[0]
	}
	for name, want := range map[string][]string{"due": {"CLERK", "COUNSEL"}, "not yet": {"CLERK", "COUNSEL", "STATE_RECORDS"}} {
		at := a.do("DPW", &record.ProposeDisposition{
			Series: "DEMO-MINUTES", Action: record.ActionRedact, Redaction: parts, Records: []record.Index{a.records[name]},
		})
		info := alone(at)
		if info.Action != "REDACT" || !bytes.Equal(info.Redaction, parts[:]) || info.LockDay != 0 {
			t.Errorf("%s: %v", name, info)
		}
		for _, role := range want {
			if !slices.Contains(info.Roles, role) {
				t.Errorf("%s: roles %v, want %v among them", name, info.Roles, want)
			}
		}
		if name == "not yet" {
			continue
		}
		a.approve("CLERK", at)
		a.approve("COUNSEL", at)
		a.do(activeOffice(record.RoleOperator), &record.LockDisposition{Disposition: at, Hash: a.hash(at)})
		a.do("DPW", &record.ReportErasure{Disposition: at, Outcome: record.OutcomePreserved})
		got, err := client.Dispositions(ctx, &apiv1.DispositionsRequest{After: uint64(at) - 1})
		if err != nil || len(got.Dispositions) == 0 {
			t.Fatal(got, err)
		}
		if end := got.Dispositions[0]; end.LockDay != int32(today) || end.Reports[0].Outcome != "PRESERVED" || end.Reports[0].Preserved != 1 || end.Reports[0].Claim != "" {
			t.Errorf("preserved: %v", end)
		}
	}
}

// TestHoldsTellWhatTheyCover lists them, in parts of the list, alone, and by record.
func TestHoldsTellWhatTheyCover(t *testing.T) {
	a := kept(t, nil)
	a.do("COUNSEL", &record.ExtendHold{Hold: a.scope, Issues: 1, Scope: record.Scope{Department: "CLERK"}})
	city := a.do("COUNSEL", &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{4}, Scope: record.Scope{City: true}})
	a.do("COUNSEL", &record.ExtendHold{Hold: city, Issues: 1})
	one := a.do("CLERK", &record.PlaceHold{Kind: record.HoldFOIRequest, Matter: [32]byte{5}, Scope: record.Scope{Records: []record.Index{a.records["due"]}}})
	client, ctx := apiv1.NewRecordsStaffClient(a.as("DPW")), within10s(t)
	commitment := must(record.ParseEntry(must(a.node.View().Entry(a.records["freed"])))).(record.AnchorEntry).Commitment
	for _, test := range []struct {
		what string
		r    *apiv1.HoldsRequest
		want []record.Index
	}{
		{"those that stand", &apiv1.HoldsRequest{}, []record.Index{a.scope, a.listed, city, one}},
		{"all", &apiv1.HoldsRequest{All: true}, []record.Index{a.scope, a.listed, a.ended, city, one}},
		{"all after the second", &apiv1.HoldsRequest{All: true, After: uint64(a.listed)}, []record.Index{a.ended, city, one}},
		{"on a record", &apiv1.HoldsRequest{Record: byIndex(uint64(a.records["held twice"]))}, []record.Index{a.scope, a.listed, city}},
		{"on a record of the caller, by its commitment", &apiv1.HoldsRequest{Record: byCommitment(commitment[:])}, []record.Index{a.ended, city}},
		{"one alone", &apiv1.HoldsRequest{Hold: uint64(a.ended)}, []record.Index{a.ended}},
	} {
		got, err := client.Holds(ctx, test.r)
		var indexes []record.Index
		for _, h := range got.GetHolds() {
			indexes = append(indexes, record.Index(h.Index))
		}
		if err != nil || !slices.Equal(indexes, test.want) || got.More {
			t.Errorf("%s: %d, %v, want %d", test.what, indexes, err, test.want)
		}
	}
	all, err := client.Holds(ctx, &apiv1.HoldsRequest{All: true})
	if err != nil || len(all.Holds) != 5 {
		t.Fatalf("%v, %v", all, err)
	}
	said := func(h *apiv1.HoldInfo) string {
		return fmt.Sprintf("%s by %s on %s, open %d: %s; released %t %s", h.Kind, h.Office, record.Day(h.Day), h.OpenIssues, strings.Join(h.Scopes, " | "), h.Released != 0, h.ReleasedBy)
	}
	for n, want := range []string{
		"LITIGATION by COUNSEL on 2031-01-01, open [0 2 3]: all records of DPW in DEMO-MINUTES dated 2020-01-02 to 2020-01-02 or undated, present and future" +
			" | all records of CLERK, present and future; released false ",
		"ANTICIPATED by COUNSEL on 2031-01-01, open [0]: 2 records, named by their entries; released false ",
		"SEALED by CLERK on 2031-01-01, open []: 1 record, named by its entry; released true AUDIT",
		"AUDIT by COUNSEL on 2031-01-01, open [0 1]: all records of the city, present and future; released false ",
		"FOI_REQUEST by CLERK on 2031-01-01, open [0]: 1 record, named by its entry; released false ",
	} {
		if got := said(all.Holds[n]); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		if len(all.Holds[n].Matter) != 32 {
			t.Errorf("matter %x", all.Holds[n].Matter)
		}
	}
}

// TestListsOfStaffComeInParts: more than a thousand holds, and dispositions.
func TestListsOfStaffComeInParts(t *testing.T) {
	a := kept(t, nil)
	const holds, proposals = 1100, 1005
	for first := 0; first < holds; first += 100 {
		var txs [][]byte
		for range 100 {
			txs = append(txs, a.tx("COUNSEL", &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{6}, Scope: record.Scope{Department: "CLERK"}}))
		}
		if _, err := a.node.block(txs...); err != nil {
			t.Fatal(err)
		}
	}
	for first := 0; first < proposals; first += 201 {
		var txs [][]byte
		for range 201 {
			txs = append(txs, a.tx("DPW", &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{a.records["due"]}}))
		}
		if _, err := a.node.block(txs...); err != nil {
			t.Fatal(err)
		}
	}
	client, ctx := apiv1.NewRecordsStaffClient(a.as("DPW")), within10s(t)
	wantHolds, wantDispositions := holds+2, proposals+2 // those under way
	var after uint64
	for part, want := range []int{1000, wantHolds - 1000} {
		got, err := client.Holds(ctx, &apiv1.HoldsRequest{After: after})
		if err != nil || len(got.Holds) != want || got.More != (part == 0) || got.Holds[0].Index <= after {
			t.Fatalf("part %d of the holds: %d, more %t, %v", part, len(got.GetHolds()), got.GetMore(), err)
		}
		after = got.Holds[want-1].Index
	}
	after = 0
	for part, want := range []int{1000, wantDispositions - 1000} {
		got, err := client.Dispositions(ctx, &apiv1.DispositionsRequest{Open: true, After: after})
		if err != nil || len(got.Dispositions) != want || got.More != (part == 0) || got.Dispositions[0].Index <= after {
			t.Fatalf("part %d of the dispositions: %d, more %t, %v", part, len(got.GetDispositions()), got.GetMore(), err)
		}
		after = got.Dispositions[want-1].Index
	}
}

// TestStaffRefusals: what names nothing has a reason.
func TestStaffRefusals(t *testing.T) {
	a := kept(t, nil)
	client, ctx := apiv1.NewRecordsStaffClient(a.as("DPW")), within10s(t)
	const huge = 1<<64 - 1
	why := func(r *apiv1.WhyRequest) error { _, err := client.Why(ctx, r); return err }
	dispositions := func(r *apiv1.DispositionsRequest) error { _, err := client.Dispositions(ctx, r); return err }
	legality := func(r *apiv1.LegalityRequest) error { _, err := client.Legality(ctx, r); return err }
	holds := func(r *apiv1.HoldsRequest) error { _, err := client.Holds(ctx, r); return err }
	for _, test := range []struct {
		what string
		err  error
		want string
	}{
		{"why of nothing", why(&apiv1.WhyRequest{}), "MALFORMED"},
		{"why of an entry that is no record", why(&apiv1.WhyRequest{Record: byIndex(uint64(a.scope))}), "NOT_FOUND"},
		{"why of an entry that is not there", why(&apiv1.WhyRequest{Record: byIndex(huge)}), "NOT_FOUND"},
		{"why of a commitment that is not there", why(&apiv1.WhyRequest{Record: byCommitment(make([]byte, 32))}), "NOT_FOUND"},
		{"why of half a commitment", why(&apiv1.WhyRequest{Record: byCommitment(make([]byte, 16))}), "MALFORMED"},
		{"why of a department that is no code", why(&apiv1.WhyRequest{Record: byIndex(1), Department: "x"}), "MALFORMED"},
		{"legality of a record under an open disposition", legality(legalityOf(a.records["mail"])), "NOT_FOUND"},
		{"legality of a record that is held", legality(legalityOf(a.records["held"])), "NOT_FOUND"},
		{"legality of nothing", legality(&apiv1.LegalityRequest{}), "MALFORMED"},
		{"legality of a department that is no code", legality(&apiv1.LegalityRequest{Record: byIndex(1), Department: "x"}), "MALFORMED"},
		{"dispositions of no code", dispositions(&apiv1.DispositionsRequest{Department: "x"}), "MALFORMED"},
		{"dispositions after too much", dispositions(&apiv1.DispositionsRequest{After: huge}), "MALFORMED"},
		{"disposition that is a hold", dispositions(&apiv1.DispositionsRequest{Disposition: uint64(a.scope)}), "NOT_FOUND"},
		{"disposition that is not there", dispositions(&apiv1.DispositionsRequest{Disposition: huge}), "NOT_FOUND"},
		{"holds after too much", holds(&apiv1.HoldsRequest{After: huge}), "MALFORMED"},
		{"hold that is a disposition", holds(&apiv1.HoldsRequest{Hold: uint64(a.open)}), "NOT_FOUND"},
		{"hold that is not there", holds(&apiv1.HoldsRequest{Hold: huge}), "NOT_FOUND"},
		{"holds on what is no record", holds(&apiv1.HoldsRequest{Record: byIndex(0)}), "NOT_FOUND"},
		{"holds on nothing", holds(&apiv1.HoldsRequest{Record: &apiv1.RecordRef{}}), "MALFORMED"},
	} {
		wantReason(t, test.what, test.err, test.want)
	}
}

// TestClockTellsOfAFreeze: before a jump of the clock, after it, and after an
// office has looked at it.
func TestClockTellsOfAFreeze(t *testing.T) {
	c, ctx := newCity(t, nil), within10s(t)
	client := apiv1.NewRecordsStaffClient(c.as("DPW"))
	got, err := client.Clock(ctx, &apiv1.ClockRequest{})
	if want := (&apiv1.ClockResponse{LedgerDay: int32(today)}); err != nil || !proto.Equal(got, want) {
		t.Fatalf("%v, %v, want %v", got, err, want)
	}
	head := c.node.View().Head()
	after := head.Time + 3600e9
	changes, _, err := ledger.Machine{Verify: ed25519.Verify}.Apply(c.node.View(), ledger.Block{Height: head.Height + 1, Time: after})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.node.state.Commit(changes); err != nil {
		t.Fatal(err)
	}
	want := &apiv1.ClockResponse{
		LedgerDay: int32(today), Frozen: true, Jump: uint64(head.Size), UntilTime: after + 72*3600e9, UntilHeight: uint64(head.Height) + 1 + 8640,
	}
	if got, err = client.Clock(ctx, &apiv1.ClockRequest{}); err != nil || !proto.Equal(got, want) {
		t.Errorf("after the jump: %v, %v, want %v", got, err, want)
	}
	c.do("CLERK", &record.AcknowledgeJump{Jump: record.Index(head.Size)})
	want.AcknowledgedBy = []string{"CLERK"}
	if got, err = client.Clock(ctx, &apiv1.ClockRequest{}); err != nil || !proto.Equal(got, want) {
		t.Errorf("after an acknowledgment: %v, %v, want %v", got, err, want)
	}
}
