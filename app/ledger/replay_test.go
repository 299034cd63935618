package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// logOf yields the entries of a log.
func logOf(entries [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, raw := range entries {
			if !yield(raw, nil) {
				return
			}
		}
	}
}

// log gives the entries of a city's log.
func (c *city) log(t testing.TB) [][]byte {
	t.Helper()
	entries := make([][]byte, c.view.Head().Size)
	for i := range entries {
		var err error
		if entries[i], err = c.view.Entry(record.Index(i)); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

// TestReplayOfRandomHistories: what random blocks of every message leave in the
// log gives the same ledger again, from the entries alone.
func TestReplayOfRandomHistories(t *testing.T) {
	kinds := map[record.Kind]bool{}
	for seed := range uint64(6) {
		d := playDuel(t, seed+1, 100, map[string]int{})
		blocks, size := int64(0), int64(0)
		got, err := d.machine.Replay(logOf(d.model.raw), func(c ledger.Changes) { blocks, size = blocks+1, c.Size })
		if err != nil {
			t.Errorf("seed %d: %v", seed+1, err)
			continue
		}
		head, want := got.View.Head(), d.view.Head()
		if got.View.StateRoot() != d.view.StateRoot() || head.AppHash != want.AppHash || head.Size != want.Size || got.Root != d.model.logRoot() {
			t.Errorf("seed %d: the replay ends at %+v, the ledger at %+v", seed+1, head, want)
		}
		compareView(t, d.model, got.View)
		count := map[record.Kind]int64{}
		for _, e := range d.model.log {
			count[e.Kind()]++
			kinds[e.Kind()] = true
		}
		if blocks != got.Blocks || size != want.Size || got.Blocks != count[record.KindBlock] || got.Transactions != count[record.KindTx] || got.Signatures != got.Transactions ||
			got.Anchors != count[record.KindAnchor] || got.Jumps != count[record.KindJump] || got.Refusals != count[record.KindRefusal] || int64(len(got.Locks)) != count[record.KindLock] {
			t.Errorf("seed %d: the replay counts %+v", seed+1, got)
		}
	}
	for _, k := range []record.Kind{record.KindLock, record.KindRefusal, record.KindJump, record.KindReport, record.KindHold, record.KindSuspension, record.KindWithholding} {
		if !kinds[k] {
			t.Errorf("no history has an entry of kind %d", k)
		}
	}
}

// TestReplayFindsTampering: in a random history no entry can be changed, left
// out, doubled, or exchanged with its neighbour. The first entry is held against
// the network file, by whoever has one.
func TestReplayFindsTampering(t *testing.T) {
	d := playDuel(t, 5, 24, map[string]int{})
	log := d.model.raw
	try := func(what string, at int, changed [][]byte) {
		t.Helper()
		got, err := d.machine.Replay(logOf(changed), nil)
		difference, differs := errors.AsType[*ledger.Difference](err)
		if !differs && !errors.Is(err, ledger.ErrUnfinished) || got.View != nil {
			t.Errorf("entry %d of %d, %T, %s: %v", at, len(log), d.model.log[at], what, err)
		}
		if differs && (int(difference.Entry) >= len(changed) || difference.Why == "") {
			t.Errorf("entry %d, %s: the difference is %v", at, what, err)
		}
	}
	for i := 1; i < len(log); i += 1 + i%4 {
		for k, at := range []int{2 + i%5, len(log[i]) / 2, len(log[i]) - 1 - i%7} {
			changed := slices.Clone(log)
			changed[i] = bytes.Clone(log[i])
			changed[i][at] ^= 1 << (k + i%6)
			if block, ok := d.model.log[i].(record.BlockEntry); ok && sameButTime(changed[i], block) {
				continue // block times are the validators' word
			}
			try(fmt.Sprintf("byte %d changed", at), i, changed)
		}
		if i+1 == len(log) {
			continue
		}
		try("left out", i, slices.Concat(log[:i], log[i+1:]))
		try("doubled", i, slices.Concat(log[:i+1], log[i:]))
		swapped := slices.Clone(log)
		swapped[i], swapped[i+1] = log[i+1], log[i]
		try("exchanged with the next", i, swapped)
	}
}

// sameButTime tells whether an entry is a block entry in all but its time.
func sameButTime(raw []byte, block record.BlockEntry) bool {
	e, err := record.ParseEntry(raw)
	changed, ok := e.(record.BlockEntry)
	if err != nil || !ok {
		return false
	}
	changed.Time = block.Time
	return changed == block
}

// lied is a view that tells the machine something else about a state value.
type lied struct {
	ledger.View
	key   []byte
	value []byte // nil: there is none
}

func (l lied) Value(key []byte) ([]byte, bool, error) {
	if bytes.Equal(key, l.key) {
		return l.value, l.value != nil, nil
	}
	return l.View.Value(key)
}

// wronged carries out a transaction on a ledger that was lied to, so that a rule
// is not kept, and wants the replay to find it at the transaction.
func (a *archive) wronged(says string, l lied, name string, m record.Message) {
	a.t.Helper()
	at := a.view.Head().Size
	l.View = a.view
	a.view = l
	a.must(name, m)
	_, err := a.machine.Replay(logOf(a.log(a.t)), nil)
	difference, differs := errors.AsType[*ledger.Difference](err)
	if !differs || int64(difference.Entry) != at || !strings.Contains(difference.Why, says) {
		a.t.Errorf("the replay finds %v, want entry %d and %q", err, at, says)
	}
}

// dueMinutes proposes and approves the destruction of a record that is due.
func (a *archive) dueMinutes() (r record.Index, lock *record.LockDisposition) {
	a.t.Helper()
	r = a.anchor("DEMO-MINUTES", "a", "2020-05-01")
	d, hash := a.propose("DEMO-MINUTES", r)
	a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
	return r, &record.LockDisposition{Disposition: d, Hash: hash}
}

// TestReplayFindsRulesNotKept has a machine skip one check each: the log is
// whole, every root fits, and the replay finds the act that the rules refuse.
func TestReplayFindsRulesNotKept(t *testing.T) {
	t.Run("a lock under a hold", func(t *testing.T) {
		a := foundArchive(t)
		r, lock := a.dueMinutes()
		a.hold("COUNSEL", r)
		a.wronged("the log has the transaction accepted, the rules refuse it: HELD, item 0", lied{key: ledger.StateKeyLifecycle(r)}, "OPS", lock)
	})
	t.Run("a lock without approvals", func(t *testing.T) {
		a := foundArchive(t)
		r := a.anchor("CT-MAIL", "a", "2020-05-01")
		d, hash := a.propose("CT-MAIL", r)
		key := ledger.StateKeyDisposition(d)
		approved := a.elsewhere(key, func() { a.approveAll(d, hash) })
		a.on("2031-01-03")
		a.wronged("the rules refuse it: MISSING_APPROVAL", lied{key: key, value: approved}, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	})
	t.Run("a redaction without Counsel", func(t *testing.T) {
		a := foundArchive(t)
		d, hash := a.redact("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "a", "2020-05-01"))
		a.must("CLERK", &record.ApproveDisposition{Disposition: d, Hash: hash})
		key := ledger.StateKeyDisposition(d)
		approved := a.elsewhere(key, func() { a.must("COUNSEL", &record.ApproveDisposition{Disposition: d, Hash: hash}) })
		a.anchor("DEMO-MINUTES", "b", "2020-05-01") // a height of notice
		a.wronged("the rules refuse it: MISSING_APPROVAL", lied{key: key, value: approved}, "OPS", &record.LockDisposition{Disposition: d, Hash: hash})
	})
	t.Run("a withholding of another's record", func(t *testing.T) {
		a := foundArchive(t)
		r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
		key := ledger.StateKeyOffice("LIBRARY")
		clerk := a.elsewhere(key, func() {
			a.decide(&record.Office{Code: "LIBRARY", Roles: []record.Role{record.RoleClerk}, Status: record.StatusActive}, "IT", "COUNSEL")
		})
		a.wronged("the rules refuse it without an entry: WRONG_OFFICE", lied{key: key, value: clerk}, "LIBRARY",
			&record.Withhold{Record: r, Redaction: commitment("parts")})
	})
	t.Run("a proposal of what is not due", func(t *testing.T) {
		a := foundArchive(t)
		r := a.anchor("CT-BILLS", "a", "2026-08-01")
		key := ledger.StateKeyAudited("DPW")
		audited := a.elsewhere(key, func() { a.must("AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2027-06-30")}) })
		a.wronged("the rules refuse it: NOT_DUE, item 0", lied{key: key, value: audited}, "DPW",
			&record.ProposeDisposition{Series: "CT-BILLS", Action: record.ActionDestroy, Records: []record.Index{r}})
	})
	t.Run("a proposal while the clock is frozen", func(t *testing.T) {
		a := foundArchive(t)
		r := a.anchor("DEMO-MINUTES", "a", "2020-05-01")
		a.apply(t, a.view.Head().Time+700e9)
		a.second += 700
		a.wronged("refuse it: FROZEN", lied{key: ledger.StateKeyClock()}, "DPW",
			&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{r}})
	})
	t.Run("an act with a suspended key", func(t *testing.T) {
		a := foundArchive(t)
		key := ledger.StateKeyKey(keyID("DPW"))
		active, _, err := a.view.Value(key)
		if err != nil {
			t.Fatal(err)
		}
		a.must("IT", &record.SuspendKey{KeyID: keyID("DPW")})
		a.wronged("the rules refuse it without an entry: KEY_SUSPENDED", lied{key: key, value: active}, "DPW",
			&record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: commitment("a"), Day: day("2030-01-01")}}})
	})
}

// elsewhere gives a state value of a history that took another turn.
func (a *archive) elsewhere(key []byte, turn func()) []byte {
	a.t.Helper()
	here := a.view
	turn()
	value, ok, err := a.view.Value(key)
	if err != nil || !ok {
		a.t.Fatalf("%q: %t, %v", key, ok, err)
	}
	a.view = here
	return value
}

// TestReplayNamesTheDifference changes a small history in each way once, and
// wants the replay to say where and what.
func TestReplayNamesTheDifference(t *testing.T) {
	a := foundArchive(t)
	r, lock := a.dueMinutes()
	refused := a.refused(ledger.CodeMissingApproval, true, "OPS", a.unapproved())
	locked := a.must("OPS", lock)
	a.apply(t, a.view.Head().Time+90e9)
	log := a.log(t)
	jump, tx := len(log)-2, int(locked)-1
	entry := func(at int) record.Entry { return a.entry(record.Index(at)) }
	item, txEntry := entry(tx+2).(record.ItemEntry), entry(tx).(record.TxEntry)
	refusal := entry(int(refused.TxIndex) + 1).(record.RefusalEntry)
	with := func(at int, e record.Entry) [][]byte {
		raw, err := record.MarshalEntry(e)
		if err != nil {
			t.Fatal(err)
		}
		changed := slices.Clone(log)
		changed[at] = raw
		return changed
	}
	early, other, alone, forged := item, refusal, txEntry, txEntry
	early.Due--
	other.Code = uint32(ledger.CodeNoticePeriod)
	alone.Count = 1
	forged.Signature[9] ^= 1
	anchor := entry(int(r)).(record.AnchorEntry)
	anchor.Commitment[0] ^= 1
	block := entry(tx + 3).(record.BlockEntry)
	block.StateRoot[0] ^= 1
	for _, c := range []struct {
		name string
		log  [][]byte
		at   int
		why  string
	}{
		{"the due day of an item", with(tx+2, early), tx + 2, fmt.Sprintf("Due is %v, the rules give %v", early.Due, item.Due)},
		{"the reason of a refusal", with(int(refused.TxIndex)+1, other), int(refused.TxIndex), "the log has the transaction refused (NOTICE_PERIOD), the rules refuse it: MISSING_APPROVAL"},
		{"a lock recorded as refused", slices.Concat(with(tx, alone)[:tx+1], with(tx+1, other)[tx+1:tx+2], log[tx+3:]), tx, "the log has the transaction refused (NOTICE_PERIOD), the rules accept it"},
		{"a signature", with(tx, forged), tx, fmt.Sprintf("the signature is not by key %x", txEntry.KeyID)},
		{"a commitment", with(int(r), anchor), int(r) - 1, "the body that its entries give is not the one that was signed"},
		{"a state root", with(tx+3, block), tx + 3, "StateRoot is "},
		{"a jump left out", slices.Concat(log[:jump], log[jump+1:]), jump, "leaps, and no jump entry says so"},
		{"a jump invented", slices.Concat(log[:tx], log[jump:jump+1], log[tx:]), tx, "does not leap"},
		{"an item left out", slices.Concat(log[:tx+2], log[tx+3:]), tx, "the transaction has 2 items, its block ends before"},
		{"an item too many", slices.Concat(log[:tx+3], log[tx+2:]), tx + 3, "it belongs to no transaction"},
		{"a transaction twice", slices.Concat(log[:tx+4], log[tx:]), tx + 7, "its height is"},
		{"a fact left out", slices.Concat(log[:3], log[4:]), -1, "it closes a genesis that cannot be"},
		{"no genesis", log[1:], 0, "a log begins with a genesis entry"},
	} {
		_, err := a.machine.Replay(logOf(c.log), nil)
		difference, differs := errors.AsType[*ledger.Difference](err)
		if !differs || c.at >= 0 && int(difference.Entry) != c.at || !strings.Contains(difference.Why, c.why) {
			t.Errorf("%s: the replay finds %v, want entry %d and %q", c.name, err, c.at, c.why)
		}
	}
	for name, unfinished := range map[string][][]byte{"nothing": nil, "the middle of genesis": log[:4], "the middle of a block": log[:tx+1]} {
		if _, err := a.machine.Replay(logOf(unfinished), nil); !errors.Is(err, ledger.ErrUnfinished) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("the disk is gone")
	if _, err := a.machine.Replay(func(yield func([]byte, error) bool) { yield(nil, broken) }, nil); !errors.Is(err, broken) {
		t.Errorf("an error of the log: %v", err)
	}
}

// unapproved proposes another record and gives a lock of it, which lacks approvals.
func (a *archive) unapproved() *record.LockDisposition {
	a.t.Helper()
	d, hash := a.propose("DEMO-MINUTES", a.anchor("DEMO-MINUTES", "b", "2020-05-01"))
	return &record.LockDisposition{Disposition: d, Hash: hash}
}

// TestReplayOverEmptyBlocks: what empty blocks carried along is not in the log.
// They can explain a step of time of a minute each, and any before block 3.
func TestReplayOverEmptyBlocks(t *testing.T) {
	anchored := func(c *city, name string) []byte {
		return c.sign(t, "DPW", record.LedgerDay(c.view.Head().Time)+5, anchors("DEMO-MINUTES", 0, name))
	}
	rest := func(c *city, blocks int, step int64) {
		for range blocks {
			c.apply(t, c.view.Head().Time+step)
		}
	}
	late := found(t, demoFacts())
	rest(late, 1, 0)
	rest(late, 1, 3*86400e9) // founded on one day, started on another
	rest(late, 2000, 30e9)
	first := late.view.Head().Time + 60e9
	late.apply(t, first, anchored(late, "a"))
	rest(late, 50, 60e9)
	late.apply(t, late.view.Head().Time+61e9, anchored(late, "b")) // a jump after empty blocks
	got, err := late.machine.Replay(logOf(late.log(t)), nil)
	if err != nil || got.Jumps != 1 || got.View.Head().AppHash != late.view.Head().AppHash {
		t.Errorf("the replay finds %+v, %v", got, err)
	}
	// A log that hides the jump is not believed: 50 empty blocks cannot explain the step.
	log := late.log(t)
	hidden := len(log) - 4
	if record.KindOf(log[hidden]) != record.KindJump {
		t.Fatalf("entry %d is of kind %d", hidden, record.KindOf(log[hidden]))
	}
	_, err = late.machine.Replay(logOf(slices.Delete(log, hidden, hidden+1)), nil)
	if difference, ok := errors.AsType[*ledger.Difference](err); !ok || int(difference.Entry) != hidden {
		t.Errorf("a hidden jump: %v", err)
	}
}

// FuzzReplay writes anything over a part of an entry: the replay does not crash,
// and finds it.
func FuzzReplay(f *testing.F) {
	a := foundArchive(f)
	_, lock := a.dueMinutes()
	a.refused(ledger.CodeMissingApproval, true, "OPS", a.unapproved())
	a.must("OPS", lock)
	log := a.log(f)
	for i, raw := range log {
		f.Add(uint16(i), uint16(i%len(raw)), raw[:1])
		f.Add(uint16(i), uint16(0), log[len(log)-1-i])
	}
	f.Fuzz(func(t *testing.T, index, at uint16, over []byte) {
		i := int(index) % len(log)
		if len(over) > record.MaxEntryBytes {
			return
		}
		changed := slices.Clone(log)
		place := int(at) % len(log[i])
		changed[i] = slices.Concat(log[i][:place], over, log[i][min(len(log[i]), place+len(over)):])
		_, err := a.machine.Replay(logOf(changed), nil)
		_, differs := errors.AsType[*ledger.Difference](err)
		if differs || errors.Is(err, ledger.ErrUnfinished) || bytes.Equal(changed[i], log[i]) || i == 0 {
			return
		}
		e, _ := record.ParseEntry(log[i])
		if block, ok := e.(record.BlockEntry); err != nil || !ok || !sameButTime(changed[i], block) {
			t.Errorf("entry %d changed to %x: %v", i, changed[i], err)
		}
	})
}
