package record

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/muniment/muniment/app/retention"
	ledgerv1 "github.com/muniment/muniment/proto/muniment/ledger/v1"
)

// ruleOf reads a rule that is known to be one.
func ruleOf(text string) retention.Rule {
	r, err := retention.Parse(text)
	if err != nil {
		panic(err)
	}
	return r
}

// sampleRule has a rule with every kind of part, and every field set.
var sampleRule = &ScheduleRule{
	Schedule: "CT-M1", Version: 3, Series: "CT-M1-105",
	Rule: ruleOf("after archival review: after 30 days of notice: later of (3 years after created, until audited, " +
		"10 years after the end of the calendar year of closed, until the end of the fiscal year of superseded, " +
		"earlier of (as series CT-M1-280, as the corresponding series, with the file of series CT-M1-300), " +
		"as long as needed, at most 2 months)"),
	Action: ActionDestroy, Approvals: []Role{RoleClerk, RoleChiefAdmin, RoleStateRecords},
	NoticeDays: 14, NoticeHeights: 2, FiscalStart: 7, Batched: true,
}

var sampleTransitoryRule = &ScheduleRule{
	Schedule: "CT-M1", Version: 3, Series: "CT-M1-001", Rule: ruleOf("none"), Action: ActionDestroy,
	NoticeHeights: 1, FiscalStart: 1, Transitory: true,
}

// sampleRetentionMessages has every message about records, holds and
// dispositions, each field set in at least one of them.
func sampleRetentionMessages() []Message {
	records := []Index{1, 2, 130, 1 << 40, 1 << 62}
	hash := fill[[32]byte](1)
	return []Message{
		&AnchorBatch{Series: "CT-M1-700", Custody: "CITY", Commitment: fill[Commitment](1)},
		&AnchorBatch{Series: "CT-M1-700"},
		&RecordEvents{Event: retention.Closed, Day: 20_000, Records: records},
		&RecordEvents{Event: retention.Disposed, Day: -25_567, Records: records[:1]},
		&FileRecords{Series: "CT-M1-105", Records: records},
		&FileRecords{File: 99, Records: records},
		&PostAuditedThrough{Department: "DPW", Through: 21_000},
		&PlaceHold{Kind: HoldLitigation, Matter: hash, Issues: 2, Scope: Scope{Records: records}},
		&PlaceHold{Kind: HoldSealed, Matter: hash, Scope: Scope{City: true, Dated: true, From: -1, To: -1}},
		&PlaceHold{Kind: HoldAudit, Matter: hash, Issues: MaxIssues, Scope: Scope{Department: "DPW", Series: "CT-M1-105", Dated: true, From: -365, To: 20_000}},
		&ExtendHold{Hold: 7, Issues: 1},
		&ExtendHold{Hold: 7, Scope: Scope{Department: "DPW"}},
		&ResolveIssue{Hold: 7, Issue: 2},
		&ResolveIssue{Hold: 7},
		&ReleaseHold{Hold: 1 << 62},
		&ProposeDisposition{Series: "CT-M1-105", Action: ActionDestroy, Standing: 12, Records: records},
		&ProposeDisposition{Series: "CT-M1-105", Action: ActionTransfer, To: "ARCHIVE", Records: records[:1]},
		&ProposeDisposition{Series: "CT-M1-105", Action: ActionRedact, Records: records[:1], Redaction: hash},
		&ApproveDisposition{Disposition: 300, Hash: hash},
		&WithdrawDisposition{Disposition: 300},
		&RecordNotice{Disposition: 300, Day: 22_000},
		&LockDisposition{Disposition: 300, Hash: hash},
		&ReportErasure{Disposition: 300, Outcome: OutcomeDone, Preserved: records, Report: hash, Claim: ClaimKey},
		&ReportErasure{Disposition: 300, Outcome: OutcomePreserved},
		&Withhold{Record: 17, Redaction: hash},
		&LeaveCustody{Set: "CITY", Departure: DepartureHandedOver},
		&LeaveCustody{Set: "CITY", Departure: DepartureDestroyed},
		&AcknowledgeJump{Jump: 40},
	}
}

// sampleRetentionEntries has every kind of entry about them.
func sampleRetentionEntries() []Entry {
	hash := fill[[32]byte](1)
	many := make([]Index, MaxCited)
	for i := range many {
		many[i] = Index(i+1) * 1_000_000
	}
	return []Entry{
		AnchorEntry{Office: "DPW", Series: "CT-M1-700", Custody: "CITY", Commitment: fill[Commitment](6), Day: 20_000, Flags: FlagBatch},
		EventsEntry{Office: "DPW", Event: retention.Closed, Day: -3, Count: MaxRecords},
		FilingEntry{Office: "DPW", Series: "CT-M1-105", Count: 1},
		FilingEntry{Office: "DPW", File: 4, Count: 1},
		AuditEntry{Office: "FINANCE", Department: "DPW", Through: 21_000},
		HoldEntry{Office: "COUNSEL", HoldKind: HoldSealed, Issues: MaxIssues, Late: 2},
		ExtensionEntry{Office: "COUNSEL", Hold: 5, Issues: 1, Late: 1},
		ResolutionEntry{Office: "COUNSEL", Hold: 5, Issue: MaxIssues},
		ReleaseEntry{Office: "CLERK", Hold: 5},
		DispositionEntry{Office: "DPW", Series: "CT-M1-105", Action: ActionPermanent, Count: 20, Hash: hash},
		AuthorizationEntry{Office: "CLERK", Disposition: 300, Hash: hash},
		WithdrawalEntry{Office: "DPW", Disposition: 300},
		NoticeEntry{Office: "DPW", Disposition: 300, Day: 22_000},
		LockEntry{Office: "IT", Disposition: 300, Day: 22_014, Authorizations: []Index{301, 303, 70_000}, Notice: 305, Count: 20},
		LockEntry{Office: "IT", Disposition: 300, Day: 22_014, Standing: 12, Count: 1},
		ItemEntry{Disposition: 300, Record: 3, Due: 21_999, Rules: many, Facts: []Index{9}, Audit: 10},
		ItemEntry{Disposition: 300, Record: 3},
		ReportEntry{Office: "DPW", Disposition: 300, Outcome: OutcomePreserved},
		ReportEntry{Custodian: fill[KeyID](2), Disposition: 300, Outcome: OutcomeDone, Preserved: 2},
		RefusalEntry{Office: "IT", Code: 80, Disposition: 300, Record: 3, Hold: 5},
		RefusalEntry{Office: "DPW", Code: maxCode},
		WithholdingEntry{Office: "CLERK", Record: 17, Redaction: hash},
		DepartureEntry{Custodian: fill[KeyID](2), Set: "CITY", Departure: DepartureHandedOver},
		MisbehaviorEntry{Validator: fill[KeyID](3), Height: 70_000},
		AcknowledgmentEntry{Office: "CIO", Jump: 40},
	}
}

// TestSamplesAreOfEveryKind holds the samples, on which the other tests rest,
// against the schema and against the kinds of entries.
func TestSamplesAreOfEveryKind(t *testing.T) {
	schema := ledgerv1.File_muniment_ledger_v1_ledger_proto.Messages()
	want := func(message protoreflect.Name, have map[protoreflect.FieldNumber]bool) {
		oneof := schema.ByName(message).Oneofs().Get(0)
		for i := range oneof.Fields().Len() {
			f := oneof.Fields().Get(i)
			if !have[f.Number()] {
				t.Errorf("no sample of %s", f.FullName())
			}
		}
		if len(have) != oneof.Fields().Len() {
			t.Errorf("%s has %d kinds, the samples %d", message, oneof.Fields().Len(), len(have))
		}
	}
	messages, facts := map[protoreflect.FieldNumber]bool{}, map[protoreflect.FieldNumber]bool{}
	for _, m := range sampleMessages() {
		messages[m.messageNumber()] = true
	}
	for _, f := range sampleFacts() {
		facts[f.number()] = true
	}
	want("TxBody", messages)
	want("Fact", facts)

	entries := map[Kind]bool{}
	for _, e := range sampleEntries(t) {
		entries[e.Kind()] = true
	}
	for k := range Kind(math.MaxUint8) {
		r := reader{}
		e := r.entry(k)
		if known := e != nil; known != entries[k] {
			t.Errorf("entries of kind %d: known %v, sampled %v", k, known, entries[k])
		}
	}
}

// TestEnumsAreThoseOfTheSchema compares names and numbers.
func TestEnumsAreThoseOfTheSchema(t *testing.T) {
	enums := ledgerv1.File_muniment_ledger_v1_ledger_proto.Enums()
	for enum, name := range map[protoreflect.Name]func(uint8) string{
		"Role":        func(n uint8) string { return Role(n).String() },
		"HoldKind":    func(n uint8) string { return HoldKind(n).String() },
		"Action":      func(n uint8) string { return Action(n).String() },
		"Outcome":     func(n uint8) string { return Outcome(n).String() },
		"Granularity": func(n uint8) string { return Granularity(n).String() },
		"Event":       func(n uint8) string { return retention.Event(n).String() },
		"Unit":        func(n uint8) string { return retention.Unit(n).String() },
		"YearKind":    func(n uint8) string { return retention.YearKind(n).String() },
		"RuleKind":    func(n uint8) string { return retention.Kind(n).String() },
	} {
		values := enums.ByName(enum).Values()
		prefix := strings.TrimSuffix(string(values.Get(0).Name()), "UNSPECIFIED")
		for i := 1; i < values.Len(); i++ {
			v := values.Get(i)
			ours := strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToUpper(name(uint8(v.Number()))))
			if want := strings.TrimPrefix(string(v.Name()), prefix); ours != want {
				t.Errorf("%s %d is %s, in the schema %s", enum, v.Number(), ours, want)
			}
		}
		if next := name(uint8(values.Len())); !strings.ContainsAny(next, "_(") || !strings.ContainsAny(next, "0123456789") {
			t.Errorf("%s %d is %s, and not in the schema", enum, values.Len(), next)
		}
	}
}

func TestRetentionMessagesOfBadFormAreRefused(t *testing.T) {
	one, hash := []Index{1}, fill[[32]byte](1)
	for name, m := range map[string]Message{
		"batch of no series":             &AnchorBatch{},
		"batch in bad custody":           &AnchorBatch{Series: "A", Custody: "city"},
		"event of creation":              &RecordEvents{Event: retention.Created, Records: one},
		"event of audit":                 &RecordEvents{Event: retention.Audited, Records: one},
		"event of supersession":          &RecordEvents{Event: retention.Superseded, Records: one},
		"no event":                       &RecordEvents{Records: one},
		"unknown event":                  &RecordEvents{Event: retention.Disposed + 1, Records: one},
		"events of nothing":              &RecordEvents{Event: retention.Closed},
		"events of the genesis":          &RecordEvents{Event: retention.Closed, Records: []Index{0}},
		"events of a negative index":     &RecordEvents{Event: retention.Closed, Records: []Index{-1}},
		"events twice":                   &RecordEvents{Event: retention.Closed, Records: []Index{1, 1}},
		"events descend":                 &RecordEvents{Event: retention.Closed, Records: []Index{2, 1}},
		"index too high":                 &RecordEvents{Event: retention.Closed, Records: []Index{1<<62 + 1}},
		"filed nowhere":                  &FileRecords{Records: one},
		"filed twice":                    &FileRecords{Series: "A", File: 1, Records: one},
		"filed below the log":            &FileRecords{File: -1, Records: one},
		"nothing filed":                  &FileRecords{Series: "A"},
		"audit of nobody":                &PostAuditedThrough{Through: 1},
		"hold on nothing":                &PlaceHold{Kind: HoldAudit, Matter: hash},
		"hold of no kind":                &PlaceHold{Matter: hash, Scope: Scope{City: true}},
		"hold of an unknown kind":        &PlaceHold{Kind: HoldSealed + 1, Matter: hash, Scope: Scope{City: true}},
		"hold without a matter":          &PlaceHold{Kind: HoldAudit, Scope: Scope{City: true}},
		"1025 issues":                    &PlaceHold{Kind: HoldAudit, Matter: hash, Issues: MaxIssues + 1, Scope: Scope{City: true}},
		"scope of records and city":      &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{Records: one, City: true}},
		"scope of two kinds":             &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{Department: "A", City: true}},
		"scope of a series of nobody":    &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{City: true, Series: "A"}},
		"scope of days that descend":     &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{City: true, Dated: true, From: 1}},
		"scope of dated records":         &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{Records: one, Dated: true}},
		"scope of days that do not bind": &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{City: true, To: 1}},
		"scope of records that descend":  &PlaceHold{Kind: HoldAudit, Matter: hash, Scope: Scope{Records: []Index{2, 1}}},
		"extension of nothing":           &ExtendHold{Issues: 1},
		"extension by nothing":           &ExtendHold{Hold: 1},
		"extension by half a scope":      &ExtendHold{Hold: 1, Issues: 1, Scope: Scope{Series: "A"}},
		"extension by 1025 issues":       &ExtendHold{Hold: 1, Issues: MaxIssues + 1},
		"resolution of nothing":          &ResolveIssue{Issue: 1},
		"resolution of issue 1025":       &ResolveIssue{Hold: 1, Issue: MaxIssues + 1},
		"release of nothing":             &ReleaseHold{},
		"release below the log":          &ReleaseHold{Hold: -1},
		"transfer to nobody":             &ProposeDisposition{Series: "A", Action: ActionTransfer, Records: one},
		"destruction to somebody":        &ProposeDisposition{Series: "A", Action: ActionDestroy, To: "B", Records: one},
		"disposition of nothing":         &ProposeDisposition{Series: "A", Action: ActionDestroy},
		"disposition by no action":       &ProposeDisposition{Series: "A", Records: one},
		"unknown action":                 &ProposeDisposition{Series: "A", Action: ActionRedact + 1, Records: one},
		"redaction of nothing named":     &ProposeDisposition{Series: "A", Action: ActionRedact, Records: one},
		"redaction of two records":       &ProposeDisposition{Series: "A", Action: ActionRedact, Records: []Index{1, 2}, Redaction: [32]byte{1}},
		"redaction by routine":           &ProposeDisposition{Series: "A", Action: ActionRedact, Standing: 3, Records: one, Redaction: [32]byte{1}},
		"destruction of parts":           &ProposeDisposition{Series: "A", Action: ActionDestroy, Records: one, Redaction: [32]byte{1}},
		"withholding of nothing":         &Withhold{Redaction: [32]byte{1}},
		"withholding that names none":    &Withhold{Record: 1},
		"claim of no level":              &ReportErasure{Disposition: 1, Outcome: OutcomeDone, Claim: 2},
		"claim of what was preserved":    &ReportErasure{Disposition: 1, Outcome: OutcomePreserved, Claim: ClaimFiles},
		"standing below the log":         &ProposeDisposition{Series: "A", Action: ActionDestroy, Standing: -1, Records: one},
		"approval of nothing":            &ApproveDisposition{Hash: hash},
		"withdrawal of nothing":          &WithdrawDisposition{},
		"notice of nothing":              &RecordNotice{Day: 1},
		"lock of nothing":                &LockDisposition{Hash: hash},
		"report on nothing":              &ReportErasure{Outcome: OutcomeDone},
		"report of no outcome":           &ReportErasure{Disposition: 1},
		"report that lists all":          &ReportErasure{Disposition: 1, Outcome: OutcomePreserved, Preserved: one},
		"report that descends":           &ReportErasure{Disposition: 1, Outcome: OutcomeDone, Preserved: []Index{2, 1}},
		"acknowledgment of nothing":      &AcknowledgeJump{},
	} {
		if _, err := NewBody(Network{}, Nonce{}, 1, m); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestListsHoldAtMost4096 tries the limit when writing and when reading.
func TestListsHoldAtMost4096(t *testing.T) {
	full := make([]Index, MaxRecords+1)
	for i := range full {
		full[i] = Index(i+1) * 10_000_000
	}
	sampleTx(t, &RecordEvents{Event: retention.Closed, Records: full[:MaxRecords]})
	if _, err := NewBody(Network{}, Nonce{}, 1, &RecordEvents{Event: retention.Closed, Records: full}); !errors.Is(err, ErrMalformed) {
		t.Errorf("4097 records are written: %v", err)
	}
	message := appendIndexes(appendVarint(nil, 1, uint64(retention.Closed)), 3, full)
	if _, err := parseMessage(t, 19, message); err == nil {
		t.Error("4097 records are read")
	}
}

// parseMessage parses a transaction whose message has the given bytes.
func parseMessage(t *testing.T, number protowire.Number, message []byte) (Tx, error) {
	body := appendBytes(nil, 1, bytes.Repeat([]byte{9}, 32))
	body = appendVarint(appendBytes(body, 2, make([]byte, 16)), 3, 21_000)
	raw, err := Sign(sampleKey, appendNested(body, number, message))
	if err != nil {
		t.Fatal(err)
	}
	return ParseTx(raw)
}

// TestMessagesHaveOneSpelling writes messages in ways that protobuf would read.
func TestMessagesHaveOneSpelling(t *testing.T) {
	event := func(rest ...byte) []byte { return append([]byte{0x08, 2}, rest...) } // closed
	city := func(rest ...byte) []byte {                                            // a hold of kind 1 with a scope
		b := appendNested([]byte{0x08, 1}, 2, bytes.Repeat([]byte{7}, 32))
		return appendNested(b, 4, rest)
	}
	tests := []struct {
		name    string
		number  protowire.Number
		message []byte
		good    bool
	}{
		{"a packed list", 19, event(0x1a, 2, 5, 1), true},
		{"a difference of 0", 19, event(0x1a, 2, 5, 0), false},
		{"a list in two parts", 19, event(0x1a, 1, 5, 0x1a, 1, 1), false},
		{"a list that is not packed", 19, event(0x18, 5), false},
		{"an empty list before", 19, event(0x1a, 0, 0x1a, 1, 5), false},
		{"a number in two bytes", 19, event(0x1a, 2, 0x85, 0), false},
		{"a number cut short", 19, event(0x1a, 1, 0x85), false},
		{"a number over 64 bits", 19, event(0x1a, 11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), false},
		{"a sum over 2^62", 19, event(0x1a, 10, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40, 1), false},
		{"a sum of 2^62", 19, event(0x1a, 10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 1), true},
		{"day 0 spelled out", 19, event(0x10, 0, 0x1a, 1, 5), false},
		{"a day over 32 bits", 19, event(0x10, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a, 1, 5), false},
		{"the first day there is", 19, event(0x10, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a, 1, 5), true},
		{"fields in disorder", 19, []byte{0x1a, 1, 5, 0x08, 2}, false},
		{"an unknown field", 19, event(0x1a, 1, 5, 0x20, 1), false},
		{"an event that wraps", 19, []byte{0x08, 0x82, 2, 0x1a, 1, 5}, false},
		{"the city", 24, city(0x20, 1), true},
		{"no city", 24, city(0x20, 0), false},
		{"the city twice over", 24, city(0x20, 2), false},
		{"an absent range spelled out", 24, city(0x20, 1, 0x28, 0), false},
		{"no scope", 24, appendNested([]byte{0x08, 1}, 2, bytes.Repeat([]byte{7}, 32)), false},
		{"issues alone", 25, []byte{0x08, 7, 0x10, 1}, true},
		{"issues and an empty scope", 25, []byte{0x08, 7, 0x10, 1, 0x1a, 0}, false},
		{"a scope that is a number", 25, []byte{0x08, 7, 0x10, 1, 0x18, 1}, false},
		{"a report of zeros", 37, appendBytes([]byte{0x08, 7, 0x10, 1}, 4, make([]byte, 32)), false},
		{"no report", 37, []byte{0x08, 7, 0x10, 1}, true},
		{"the action itself spelled out", 26, []byte{0x08, 7, 0x10, 0}, false},
	}
	for _, c := range tests {
		if tx, err := parseMessage(t, c.number, c.message); (err == nil) != c.good || err != nil && tx.Message != nil {
			t.Errorf("%s: %v, parsed %+v", c.name, err, tx.Message)
		}
	}
}

// TestRulesAreBounded tries depth and terms of rules when writing and reading.
func TestRulesAreBounded(t *testing.T) {
	nested := func(depth int) retention.Rule {
		r := retention.Rule{Kind: retention.None}
		for range depth - 1 {
			r = retention.Rule{Kind: retention.Review, Rules: []retention.Rule{r}}
		}
		return r
	}
	wide := func(lists ...int) retention.Rule { // a list of lists: 1 + the sum of (1 + each) terms
		r := retention.Rule{Kind: retention.Later}
		for _, n := range lists {
			part := retention.Rule{Kind: retention.Earlier}
			for range n {
				part.Rules = append(part.Rules, retention.Rule{Kind: retention.Permanent})
			}
			r.Rules = append(r.Rules, part)
		}
		return r
	}
	coded := func(series string) retention.Rule { return retention.Rule{Kind: retention.Follow, Series: series} }
	tests := []struct {
		name string
		rule retention.Rule
		good bool
	}{
		{"5 deep", nested(retention.MaxDepth), true},
		{"6 deep", nested(retention.MaxDepth + 1), false},
		{"1000 deep", nested(1000), false},
		{"24 terms", wide(7, 7, 6), true},
		{"25 terms", wide(7, 7, 7), false},
		{"9 parts", wide(9, 2), false},
		{"no kind", retention.Rule{}, false},
		{"a needless count", retention.Rule{Kind: retention.Permanent, Count: 1}, false},
		{"a series", coded("CT-M1-280"), true},
		{"a series that cannot be registered", coded("078-05-1120"), false},
	}
	for _, c := range tests {
		f := *sampleRule
		f.Rule = c.rule
		if _, err := MarshalFact(&f); (err == nil) != c.good {
			t.Errorf("%s: written: %v", c.name, err)
		}
		raw := appendNested(nil, f.number(), f.appendTo(nil))
		if got, err := ParseFact(raw); (err == nil) != c.good {
			t.Errorf("%s: read as %+v: %v", c.name, got, err)
		}
	}
}

func TestRetentionFactsOfBadFormAreRefused(t *testing.T) {
	rule := func(change func(*ScheduleRule)) Fact { f := *sampleRule; change(&f); return &f }
	transitory := func(change func(*ScheduleRule)) Fact { f := *sampleTransitoryRule; change(&f); return &f }
	hash := fill[[32]byte](1)
	good := Activation{Series: "A", Office: "B", Granularity: GranularityDay, Assessment: hash, Review: 1, DataMap: hash}
	activation := func(change func(*Activation)) Fact { f := good; change(&f); return &f }
	for name, f := range map[string]Fact{
		"no schedule":                   rule(func(r *ScheduleRule) { r.Schedule = "" }),
		"version 0":                     rule(func(r *ScheduleRule) { r.Version = 0 }),
		"no series":                     rule(func(r *ScheduleRule) { r.Series = "" }),
		"no action":                     rule(func(r *ScheduleRule) { r.Action = 0 }),
		"an unknown action":             rule(func(r *ScheduleRule) { r.Action = ActionRedact }),
		"nobody approves":               rule(func(r *ScheduleRule) { r.Approvals = nil }),
		"roles that descend":            rule(func(r *ScheduleRule) { r.Approvals = []Role{RoleCounsel, RoleClerk} }),
		"an unknown role":               rule(func(r *ScheduleRule) { r.Approvals = []Role{RoleOperator + 1} }),
		"month 0":                       rule(func(r *ScheduleRule) { r.FiscalStart = 0 }),
		"month 13":                      rule(func(r *ScheduleRule) { r.FiscalStart = 13 }),
		"no notice in days":             rule(func(r *ScheduleRule) { r.NoticeDays = 0 }),
		"notice of one height":          rule(func(r *ScheduleRule) { r.NoticeHeights = 1 }),
		"notice of more than 100 years": rule(func(r *ScheduleRule) { r.NoticeDays = maxNotice + 1 }),
		"notice of too many heights":    rule(func(r *ScheduleRule) { r.NoticeHeights = maxNoticeHeights + 1 }),
		"transitory with approvals":     transitory(func(r *ScheduleRule) { r.Approvals = []Role{RoleClerk} }),
		"transitory in no height":       transitory(func(r *ScheduleRule) { r.NoticeHeights = 0 }),
		"schedule of no code":           &Schedule{Version: 1, Count: 1},
		"schedule of version 0":         &Schedule{Code: "A", Count: 1},
		"schedule of nothing":           &Schedule{Code: "A", Version: 1},
		"schedule of 1025 rules":        &Schedule{Code: "A", Version: 1, Count: MaxScheduleRules + 1},
		"activation of no series":       activation(func(a *Activation) { a.Series = "" }),
		"activation by nobody":          activation(func(a *Activation) { a.Office = "" }),
		"activation without dates":      activation(func(a *Activation) { a.Granularity = 0 }),
		"no assessment":                 activation(func(a *Activation) { a.Assessment = [32]byte{} }),
		"no data map":                   activation(func(a *Activation) { a.DataMap = [32]byte{} }),
		"no next review":                activation(func(a *Activation) { a.Review = a.Assessed }),
		"standing for nobody":           &StandingAuthorization{Series: []Code{"A"}},
		"standing over nothing":         &StandingAuthorization{Office: "A"},
		"standing twice":                &StandingAuthorization{Office: "A", Series: []Code{"B", "B"}},
		"standing backwards":            &StandingAuthorization{Office: "A", Series: []Code{"B"}, From: 1},
		"standing for 367 days":         &StandingAuthorization{Office: "A", Series: []Code{"B"}, Until: 366},
		"standing for ever":             &StandingAuthorization{Office: "A", Series: []Code{"B"}, From: math.MinInt32, Until: math.MaxInt32},
	} {
		if _, err := MarshalFact(f); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	demo := *sampleRule
	demo.Series, demo.NoticeDays, demo.NoticeHeights = "DEMO-MAIL", 0, 1
	if _, err := MarshalFact(&demo); err != nil {
		t.Errorf("a demonstration without notice in days: %v", err)
	}
}

// TestEachByteOfAFactCounts flips every byte of facts and of bodies: what still
// parses must be the canonical form of something else.
func TestEachByteOfAFactCounts(t *testing.T) {
	for _, f := range sampleFacts() {
		b, err := MarshalFact(f)
		if err != nil {
			t.Fatalf("%T: %v", f, err)
		}
		for i := range b {
			for mask := range 255 {
				bad := bytes.Clone(b)
				bad[i] ^= byte(mask + 1)
				got, err := ParseFact(bad)
				if err != nil {
					if got != nil {
						t.Fatalf("%T byte %d: a fact beside an error", f, i)
					}
					continue
				}
				if again, err := MarshalFact(got); err != nil || !bytes.Equal(again, bad) {
					t.Fatalf("%T byte %d: parsed %x, means %x (%v)", f, i, bad, again, err)
				}
			}
		}
	}
}

func TestRetentionEntriesOfBadFormAreRefused(t *testing.T) {
	raw := func(values ...any) []byte {
		b, err := cbor.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	hash, zero := fill[[32]byte](1), [32]byte{}
	none, many := []int64{}, make([]int64, MaxCited+1)
	for i := range many {
		many[i] = int64(i + 1)
	}
	for name, b := range map[string][]byte{
		"an event over 255":               raw(1, 19, "A", 258, 0, 1),
		"a negative event":                raw(1, 19, "A", -2, 0, 1),
		"an event of creation":            raw(1, 19, "A", 1, 0, 1),
		"a negative count":                raw(1, 19, "A", 2, 0, -1),
		"a day over 32 bits":              raw(1, 19, "A", 2, int64(1)<<31, 1),
		"filed nowhere":                   raw(1, 20, "A", "", 0, 1),
		"an audit of nobody":              raw(1, 21, "A", "", 0),
		"a hold of no kind":               raw(1, 24, "A", 0, 0, 0),
		"a hold of kind 12":               raw(1, 24, "A", 12, 0, 0),
		"a negative number of issues":     raw(1, 24, "A", 1, -1, 0),
		"a hold that is late by less":     raw(1, 24, "A", 1, 0, -1),
		"1025 issues":                     raw(1, 25, "A", 5, 1025, 0),
		"an extension of nothing":         raw(1, 25, "A", 0, 1, 0),
		"a resolution of nothing":         raw(1, 26, "A", 0, 1),
		"a release of nothing":            raw(1, 27, "A", 0),
		"a disposition by no action":      raw(1, 32, "A", "B", 0, 1, hash[:]),
		"a disposition with a short hash": raw(1, 32, "A", "B", 1, 1, hash[:31]),
		"an authorization of nothing":     raw(1, 33, "A", 0, hash[:]),
		"a withdrawal by nobody":          raw(1, 34, "", 5),
		"a notice of nothing":             raw(1, 35, "A", 0, 1),
		"a lock with null for a list":     raw(1, 36, "A", 5, 1, nil, 0, 0, 1),
		"a lock by approvals that repeat": raw(1, 36, "A", 5, 1, []int64{7, 7}, 0, 0, 1),
		"a lock by the genesis":           raw(1, 36, "A", 5, 1, []int64{0}, 0, 0, 1),
		"a lock with a negative notice":   raw(1, 36, "A", 5, 1, none, 0, -1, 1),
		"an item of nothing":              raw(1, 38, 5, 0, 1, none, none, 0),
		"an item of no disposition":       raw(1, 38, 0, 3, 1, none, none, 0),
		"an item with 65 rules":           raw(1, 38, 5, 3, 1, many, none, 0),
		"an item with facts in bytes":     raw(1, 38, 5, 3, 1, none, []byte{1}, 0),
		"an item with a negative audit":   raw(1, 38, 5, 3, 1, none, none, -1),
		"a report by nobody":              raw(1, 37, "", zero[:], 5, 1, 0),
		"a report by two":                 raw(1, 37, "A", hash[:], 5, 1, 0),
		"a report on nothing":             raw(1, 37, "A", zero[:], 0, 1, 0),
		"a report of no outcome":          raw(1, 37, "A", zero[:], 5, 3, 0),
		"a refusal for no reason":         raw(1, 39, "A", 0, 5, 3, 0),
		"a refusal for reason 65537":      raw(1, 39, "A", maxCode+1, 5, 3, 0),
		"a refusal of nothing known":      raw(1, 39, "A", 80, -1, 3, 0),
		"an acknowledgment of nothing":    raw(1, 51, "A", 0),
	} {
		if e, err := ParseEntry(b); err == nil {
			t.Errorf("%s: parsed as %#v", name, e)
		}
	}
}

// TestScheduleRoot computes small trees by hand (RFC 6962, section 2.1).
func TestScheduleRoot(t *testing.T) {
	leaf := func(b string) [32]byte { return sha256.Sum256([]byte("\x00" + b)) }
	node := func(l, r [32]byte) [32]byte {
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
	a, b, c := leaf("a"), leaf("b"), leaf("c")
	for _, tree := range []struct {
		leaves string
		want   [32]byte
	}{{"", sha256.Sum256(nil)}, {"a", a}, {"ab", node(a, b)}, {"abc", node(node(a, b), c)}} {
		var rules [][]byte
		for _, leaf := range []byte(tree.leaves) {
			rules = append(rules, []byte{leaf})
		}
		if got, err := ScheduleRoot(rules); err != nil || got != tree.want {
			t.Errorf("root over %q: %x, %v, want %x", tree.leaves, got, err, tree.want)
		}
	}
}

// TestOnlyHoldsPlaceHolds asks every message, and bytes that are none.
func TestOnlyHoldsPlaceHolds(t *testing.T) {
	for _, m := range sampleMessages() {
		n := m.messageNumber()
		if raw := sampleTx(t, m); PlacesHold(raw) != (n == 24 || n == 25) {
			t.Errorf("message %d: places a hold: %v", n, PlacesHold(raw))
		} else if PlacesHold(raw[:len(raw)-1]) {
			t.Errorf("message %d: cut short, places a hold", n)
		}
	}
	for _, m := range sampleMessages() {
		n, raw := m.messageNumber(), sampleTx(t, m)
		if Urgent(raw) != (n == 24 || n == 25 || n >= 48 && n <= 50) || Urgent(raw[:len(raw)-1]) {
			t.Errorf("message %d: is urgent: %v, cut short: %v", n, Urgent(raw), Urgent(raw[:len(raw)-1]))
		}
		tx, err := ParseTx(raw)
		if err != nil || Signer(raw) != tx.KeyID || tx.KeyID == (KeyID{}) || Signer(raw[:len(raw)-1]) != (KeyID{}) {
			t.Errorf("message %d: signed by %x, cut short by %x; want %x", n, Signer(raw), Signer(raw[:len(raw)-1]), tx.KeyID)
		}
	}
	if Urgent(nil) || Signer(nil) != (KeyID{}) || PlacesHold(nil) || PlacesHold([]byte{0x08, 1}) || PlacesHold([]byte{0x0a, 2, 0xc2, 1}) {
		t.Error("bytes that are no transaction place a hold")
	}
}

func TestScopesTellWhatTheyCover(t *testing.T) {
	for _, c := range []struct {
		scope Scope
		empty bool
	}{{Scope{}, true}, {Scope{Series: "A"}, true}, {Scope{Records: []Index{1}}, false}, {Scope{Department: "A"}, false}, {Scope{City: true}, false}} {
		if got := c.scope.Empty(); got != c.empty {
			t.Errorf("%+v: empty %v", c.scope, got)
		}
	}
	if kinds := HoldKinds(); len(kinds) != int(HoldSealed) || kinds[len(kinds)-1] != HoldSealed {
		t.Errorf("kinds of holds: %v", kinds)
	}
}
