package chaos

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/record"
)

// sound is a small history with the log that it made: two records, a hold that comes
// and goes, a disposition of both.
type sound struct {
	lines   []operation
	entries [][]byte
	size    record.Index
	height  int64
}

func (s *sound) entry(t *testing.T, e record.Entry) record.Index {
	t.Helper()
	raw, err := record.MarshalEntry(e)
	if err != nil {
		t.Fatal(err)
	}
	s.entries = append(s.entries, raw)
	s.size++
	return s.size - 1
}

// tx puts a transaction into a block of its own, called and answered within a second.
func (s *sound) tx(t *testing.T, o operation, m record.Message, made ...record.Entry) record.Index {
	t.Helper()
	s.height++
	first := s.size
	tx := record.TxEntry{Nonce: o.nonce(), NotAfter: 20_000, Count: int64(len(made))}
	if _, ok := m.(*record.AnchorRecords); !ok {
		body, err := record.NewBody(record.Network{1}, o.nonce(), tx.NotAfter, m)
		if err != nil {
			t.Fatal(err)
		}
		tx.Body, tx.BodyHash = body, sha256.Sum256(body)
	}
	s.entry(t, tx)
	for _, e := range made {
		s.entry(t, e)
	}
	s.entry(t, record.BlockEntry{Height: s.height, Time: s.height, First: first})
	o.Node, o.Try, o.Event, o.At = 1, 1, called, time.Duration(s.height)*time.Second
	s.lines = append(s.lines, o)
	o.Event, o.At, o.Outcome, o.Reason, o.Index, o.Height = returned, o.At+time.Second/2, outcomeOK, "OK", first+1, s.height
	s.lines = append(s.lines, o)
	return first + 1
}

func newSound(t *testing.T) *sound {
	t.Helper()
	s := new(sound)
	s.entry(t, record.BlockEntry{})
	a, b := record.Commitment{1}, record.Commitment{2}
	m := &record.AnchorRecords{Series: series, Items: []record.AnchorItem{{Commitment: a}, {Commitment: b}}}
	first := s.tx(t, operation{ID: "anchor", Kind: anchors, Commitments: []hexBytes{hexBytes(a), hexBytes(b)}}, m,
		record.AnchorEntry{Office: department, Series: series, Commitment: a}, record.AnchorEntry{Office: department, Series: series, Commitment: b})
	both := []record.Index{first, first + 1}
	s.read(0, a, first)
	held := s.tx(t, operation{ID: "hold", Kind: holds, Records: both}, &record.PlaceHold{Kind: record.HoldAudit, Matter: [32]byte{1}, Scope: record.Scope{Records: both}},
		record.HoldEntry{Office: counsel, HoldKind: record.HoldAudit})
	disposed := s.tx(t, operation{ID: "propose", Kind: proposes, Records: both}, &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: both},
		record.DispositionEntry{Office: department, Series: series, Action: record.ActionDestroy, Count: 2, Hash: [32]byte{9}})
	s.tx(t, operation{ID: "approve", Kind: approves, About: disposed}, &record.ApproveDisposition{Disposition: disposed, Hash: [32]byte{9}},
		record.AuthorizationEntry{Office: clerk, Disposition: disposed, Hash: [32]byte{9}})
	s.tx(t, operation{ID: "resolve", Kind: resolves, About: held}, &record.ResolveIssue{Hold: held}, record.ResolutionEntry{Office: counsel, Hold: held})
	s.tx(t, operation{ID: "release", Kind: releases, About: held}, &record.ReleaseHold{Hold: held}, record.ReleaseEntry{Office: auditor, Hold: held})
	s.tx(t, operation{ID: "lock", Kind: locks, About: disposed}, &record.LockDisposition{Disposition: disposed, Hash: [32]byte{9}},
		record.LockEntry{Office: it, Disposition: disposed, Day: 1, Authorizations: []record.Index{disposed + 3}, Count: 2})
	s.read(1, b, first+1)
	return s
}

// read is a record as a node shows it.
func (s *sound) read(n int, c record.Commitment, at record.Index) {
	o := operation{ID: "read" + string(rune('0'+n)), Kind: reads, Node: 2, Try: 1, Event: called, Commitments: []hexBytes{hexBytes(c)}, At: time.Duration(s.height)*time.Second + 600*time.Millisecond}
	s.lines = append(s.lines, o)
	o.Event, o.At, o.Outcome, o.Index, o.Locked = returned, o.At+time.Millisecond, outcomeOK, at, n == 1
	s.lines = append(s.lines, o)
}

// verdict is what all checkers of histories say.
func (s *sound) verdict(t *testing.T) []string {
	t.Helper()
	l, err := readLog(s.entries)
	if err != nil {
		return []string{err.Error()}
	}
	history, err := gather(s.lines)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	_, disordered := linearizable(history, l, checkerTime)
	for _, v := range append(judge(history, l, nil), disordered...) {
		all = append(all, v.String())
	}
	return all
}

// answer gives the line with the answer of an operation.
func (s *sound) answer(id string) *operation {
	for i := range s.lines {
		if s.lines[i].ID == id && s.lines[i].Event == returned {
			return &s.lines[i]
		}
	}
	panic("no answer of " + id)
}

// without has the log say nothing of an operation. Everything else stays at its index.
func (s *sound) without(t *testing.T, id string) {
	t.Helper()
	nothing, err := record.MarshalEntry(record.JumpEntry{Height: 1, Before: 1, After: 2})
	if err != nil {
		t.Fatal(err)
	}
	for at := s.answer(id).Index - 1; record.KindOf(s.entries[at]) != record.KindBlock; at++ {
		s.entries[at] = nothing
	}
}

// TestSoundHistory wants nothing found where nothing is wrong.
func TestSoundHistory(t *testing.T) {
	s := newSound(t)
	if got := s.verdict(t); len(got) > 0 {
		t.Errorf("a sound history: %q", got)
	}
}

// TestViolationsAreFound breaks a sound history in each way once.
func TestViolationsAreFound(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(s *sound)
	}{
		{"an acknowledged transaction is gone", "I-01: lock (lock): acknowledged", func(s *sound) { s.without(t, "lock") }},
		{"an acknowledged transaction is elsewhere", "I-01: anchor (anchor): acknowledged at entry 7", func(s *sound) { s.answer("anchor").Index = 7 }},
		{"at another height", "I-01: hold (hold)", func(s *sound) { s.answer("hold").Height++ }},
		{"another commitment", "I-01: anchor: item 1", func(s *sound) { s.answer("anchor").Commitments[1][5] ^= 1 }},
		{"what was refused is there", "I-02: hold (hold): refused", func(s *sound) { s.answer("hold").Outcome = outcomeFail }},
		{"nobody submitted it", "nobody submitted it", func(s *sound) {
			s.lines = slices.DeleteFunc(s.lines, func(o operation) bool { return o.ID == "resolve" })
		}},
		{"twice in the log", "I-02: one nonce at entries", func(s *sound) { s.entries = slices.Concat(s.entries[:5], s.entries[1:]) }},
		{"heights go back", "I-06: the block at entry", func(s *sound) { s.entries = slices.Concat(s.entries, s.entries[5:]) }},
		{"a hold that stands", "I-04: entry", func(s *sound) { s.without(t, "release") }},
		{"a hold that was not resolved", "whose action is open", func(s *sound) { s.without(t, "resolve") }},
		{"nobody approved", "which nobody else approved", func(s *sound) { s.without(t, "approve") }},
		{"reported, and not locked", "I-03: entry", func(s *sound) {
			raw, err := record.MarshalEntry(record.ReportEntry{Custodian: record.KeyID{1}, Disposition: s.answer("propose").Index, Outcome: record.OutcomeDone})
			if err != nil {
				t.Fatal(err)
			}
			s.entries[s.answer("approve").Index] = raw
		}},
		{"another place is read", "I-09: read0: node 2 gave entry 9", func(s *sound) { s.answer("read0").Index = 9 }},
		{"locked before it was", "I-09: no order of", func(s *sound) { s.answer("read0").Locked = true }},
		{"called later, stands before", "I-09: hold was called after", func(s *sound) {
			for i := range s.lines {
				if s.lines[i].ID == "hold" {
					s.lines[i].At += time.Minute
				}
			}
		}},
		{"shown, then not found", "does not find a record that it has shown", func(s *sound) {
			o := *s.answer("read0")
			o.ID, o.Event, o.At = "read9", called, time.Hour
			s.lines = append(s.lines, o)
			o.Event, o.Outcome = returned, outcomeFail
			s.lines = append(s.lines, o)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSound(t)
			c.change(s)
			if got := s.verdict(t); !slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, c.want) }) {
				t.Errorf("got %q, want %q among them", got, c.want)
			}
		})
	}
}

// TestContentsAreJudged: a custodian that gives out what was not deposited is found.
func TestContentsAreJudged(t *testing.T) {
	for _, c := range []struct{ outcome, content, want string }{
		{outcomeOK, "as it was", ""},
		{outcomeFail, "", ""},
		{outcomeFail, "as", ""}, // cut off
		{outcomeOK, "as it", "gave \"as it\", deposited was"},
		{outcomeOK, "", "gave \"\", deposited was"},
		{outcomeFail, "another", "refused (LOCKED), and gave"},
	} {
		got := judgeContents([]*attempt{
			{operation: operation{ID: "d", Kind: deposits, Commitments: []hexBytes{{1}}, Outcome: outcomeOK, Content: "as it was"}},
			{operation: operation{ID: "o", Kind: openings, Commitments: []hexBytes{{1}}, Outcome: c.outcome, Reason: "LOCKED", Content: c.content}},
		})
		if len(got) != min(1, len(c.want)) || len(got) == 1 && !strings.Contains(got[0].String(), c.want) {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestExcuses: what one custodian alone had may be gone with its backup's age; what
// another one has may not.
func TestExcuses(t *testing.T) {
	lapses := map[int][]lapse{2: {{10 * time.Second, 20 * time.Second}}}
	for _, c := range []struct {
		node, has int
		at        time.Duration
		want      bool
	}{
		{2, 0, 15 * time.Second, true}, {2, 1, 15 * time.Second, false}, {1, 0, 15 * time.Second, false}, {2, 0, 9 * time.Second, false}, {2, 0, 21 * time.Second, false},
	} {
		if got := (document{node: c.node, deposited: c.at}).excused(lapses, c.has); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestCheckerOutOfTime: who had no time has found nothing out.
func TestCheckerOutOfTime(t *testing.T) {
	s := newSound(t)
	l, err := readLog(s.entries)
	if err != nil {
		t.Fatal(err)
	}
	history, err := gather(s.lines)
	if err != nil {
		t.Fatal(err)
	}
	for range 12 { // as many orders as these allow
		for i := range 30 {
			a := *history[1]
			a.called, a.returned, a.Locked = 0, always, i%2 == 0
			history = append(history, &a)
		}
	}
	if _, got := linearizable(history, l, time.Nanosecond); len(got) != 1 || !strings.Contains(got[0].what, "was not over") {
		t.Errorf("got %v", got)
	}
}

// TestWeigh: answers without a quorum, and none with one, are found.
func TestWeigh(t *testing.T) {
	var history []*attempt
	for at := range 100 {
		if at < 20 || at > 30 {
			history = append(history, &attempt{operation: operation{Kind: anchors, Outcome: outcomeOK}, returned: time.Duration(at) * time.Second})
		}
	}
	for _, c := range []struct {
		name, want string
		slow       bool
		f          fault
	}{
		{"one down", "", true, fault{from: 19 * time.Second, to: 30 * time.Second, over: 32 * time.Second}},
		{"two down", "", false, fault{from: 19 * time.Second, to: 30 * time.Second, over: 32 * time.Second, stops: true}},
		{"without a quorum", "without a quorum", false, fault{from: 15 * time.Second, to: 30 * time.Second, over: 32 * time.Second, stops: true}},
		{"never again", "no transaction was answered", true, fault{from: 15 * time.Second, to: 30 * time.Second, over: 100 * time.Second}},
		{"never after a quorum", "no transaction was answered", true, fault{from: 120 * time.Second, to: 130 * time.Second, over: 140 * time.Second, stops: true}},
	} {
		figures, got := weigh(history, []fault{c.f})
		if slow := figures[""].slow; len(slow) > 0 != c.slow {
			t.Errorf("%s: longer than its goal: %v", c.name, slow)
		}
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) == 0 || !strings.Contains(got[0].what, c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, got, c.want)
		}
	}
}
