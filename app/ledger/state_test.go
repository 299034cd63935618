package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// altered is a view in which one state value or entry is another one, or in
// which everything fails after a number of reads.
type altered struct {
	ledger.View
	key, value []byte
	reads      *int // left before err
}

var errDisk = errors.New("read the disk: input/output error")

func (a altered) failing() bool {
	if a.reads == nil {
		return false
	}
	*a.reads--
	return *a.reads < 0
}

func (a altered) Value(key []byte) ([]byte, bool, error) {
	if a.failing() {
		return nil, false, errDisk
	}
	if a.key != nil && bytes.Equal(key, a.key) {
		return a.value, a.value != nil, nil
	}
	return a.View.Value(key)
}

func (a altered) Entry(i record.Index) ([]byte, error) {
	if a.failing() {
		return nil, errDisk
	}
	return a.View.Entry(i)
}

func (a altered) AnchorIndex(office record.Code, c record.Commitment) (record.Index, bool, error) {
	if a.failing() {
		return 0, false, errDisk
	}
	return a.View.AnchorIndex(office, c)
}

func (a altered) Values(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		var err error
		if values[i], _, err = a.Value(key); err != nil {
			return nil, err
		}
	}
	return values, nil
}

func (a altered) Entries(indexes []record.Index) ([][]byte, error) {
	if a.failing() {
		return nil, errDisk
	}
	return a.View.Entries(indexes)
}

func (a altered) Nodes(paths []statetree.Path) ([][]byte, error) {
	if a.failing() {
		return nil, errDisk
	}
	return a.View.Nodes(paths)
}

// TestFailureIsAnError lets the view fail at every one of its reads: Check says
// INTERNAL, Apply gives an error and no changes, and neither ever refuses a good
// transaction because of it.
func TestFailureIsAnError(t *testing.T) {
	c, messages := everyMessage(t)
	failEveryRead(t, c, messages)
}

// failEveryRead does so for messages that the next block can hold.
func failEveryRead(t *testing.T, c *city, messages map[string]record.Message) {
	t.Helper()
	h := ledger.Header{Height: c.view.Head().Height + 1, Time: max(at("2031-01-01"), c.view.Head().Time)}
	for name, m := range messages {
		raw := c.sign(t, signerOf(name), day("2031-01-02"), m)
		failures := 0
		for reads := 0; ; reads++ {
			left := reads
			code := c.machine.Check(altered{View: c.view, reads: &left}, h, raw)
			if code == ledger.OK {
				break
			}
			if code != ledger.CodeInternal {
				t.Fatalf("%s: Check after %d reads = %s, want INTERNAL", name, reads, code)
			}
			failures++
		}
		for reads := 0; ; reads++ {
			left := reads
			changes, results, err := c.machine.Apply(altered{View: c.view, reads: &left}, ledger.Block{Height: h.Height, Time: h.Time, Txs: [][]byte{raw}})
			if err == nil {
				if results[0].Code != ledger.OK {
					t.Fatalf("%s: Apply with %d reads: %s", name, reads, results[0].Code)
				}
				break
			}
			if !errors.Is(err, errDisk) || results != nil || changes.Entries != nil {
				t.Fatalf("%s: Apply after %d reads = %v, %v", name, reads, results, err)
			}
			failures++
		}
		if failures < 8 {
			t.Errorf("%s: only %d reads failed", name, failures)
		}
	}
}

func TestBlockThatDoesNotFollowIsAnError(t *testing.T) {
	c, _ := start(t)
	for _, b := range []ledger.Block{
		{Height: 0, Time: at("2031-01-01")}, {Height: 2, Time: at("2031-01-01")}, {Height: 1, Time: at("2031-01-01") - 1},
	} {
		if changes, results, err := c.machine.Apply(c.view, b); err == nil || results != nil || changes.Head != (ledger.Head{}) {
			t.Errorf("block %+v is applied after height 0", b)
		}
	}
}

// TestDamagedValueIsAnError flips every byte of every kind of state value, cuts
// it and extends it. A reader may find a sound value of other content, but then
// not with the bytes of the first.
func TestDamagedValueIsAnError(t *testing.T) {
	c, messages := everyMessage(t)
	_, results := c.apply(t, at("2031-01-01"),
		c.sign(t, "DPW", day("2031-01-02"), messages["DPW again"]), c.sign(t, "IT", day("2031-01-02"), messages["IT again"]),
		c.sign(t, "CLERK", day("2031-01-02"), messages["CLERK"]))
	for i, r := range results {
		if r.Code != ledger.OK {
			t.Fatalf("transaction %d: %s", i, r.Code)
		}
	}
	superseded := messages["DPW again"].(*record.SupersedeRecord).Record
	proposal := results[2].TxIndex + 1
	// The index in the value of a fact, its third byte here, is for people: no reader gives it.
	readers := []valueReader{
		{"parameters", ledger.StateKeyParameters(), 2, func(v ledger.View) (string, error) {
			p, err := ledger.ParametersOf(v)
			return fmt.Sprint(p), err
		}},
		{"office", ledger.StateKeyOffice("DPW"), 2, func(v ledger.View) (string, error) {
			o, _, err := ledger.OfficeOf(v, "DPW")
			return fmt.Sprint(o), err
		}},
		{"key", ledger.StateKeyKey(keyID("LIBRARY")), 0, func(v ledger.View) (string, error) {
			k, _, err := ledger.KeyOf(v, keyID("LIBRARY"))
			return fmt.Sprint(k), err
		}},
		{"signing keys", ledger.StateKeySigning("DPW"), 0, func(v ledger.View) (string, error) {
			ids, err := ledger.SigningKeysOf(v, "DPW")
			return fmt.Sprint(ids), err
		}},
		{"nodes", ledger.StateKeyNodes(), 0, func(v ledger.View) (string, error) {
			nodes, err := ledger.Nodes(v)
			return fmt.Sprint(nodes), err
		}},
		{"proposal", ledger.StateKeyProposal(proposal), 0, func(v ledger.View) (string, error) {
			p, _, err := ledger.ProposalOf(v, proposal)
			return fmt.Sprint(p.Office, p.Fact, p.Day, p.Executed, p.Approvals), err
		}},
		{"lifecycle", ledger.StateKeyLifecycle(superseded), 0, func(v ledger.View) (string, error) {
			l, _, err := ledger.LifecycleOf(v, superseded)
			return fmt.Sprint(l), err
		}},
	}
	for _, r := range readers {
		damageEveryByte(t, c, r)
	}
}

// valueReader reads the value of a state key.
type valueReader struct {
	name   string
	key    []byte
	unread int // position of a byte that it does not give; 0: there is none
	read   func(ledger.View) (string, error)
}

// damageEveryByte wants every damage to a value to be noticed or to be read as
// another value.
func damageEveryByte(t *testing.T, c *city, r valueReader) {
	t.Helper()
	value, ok, err := c.view.Value(r.key)
	if err != nil || !ok {
		t.Fatalf("value of %s: %t, %v", r.name, ok, err)
	}
	want, err := r.read(c.view)
	if err != nil {
		t.Fatal(err)
	}
	damage := [][]byte{{}, append(bytes.Clone(value), 0), value[:len(value)-1]}
	found := 0
	for i := range value {
		if i == r.unread && i > 0 {
			continue
		}
		for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
			b := bytes.Clone(value)
			b[i] ^= mask
			damage = append(damage, b)
		}
	}
	for _, b := range damage {
		got, err := r.read(altered{View: c.view, key: r.key, value: b})
		if err != nil {
			found++
		} else if got == want {
			t.Errorf("%s: the value %x reads like %x", r.name, b, value)
		}
	}
	if found < 3+len(value)/8 {
		t.Errorf("%s: only %d of %d damages were found", r.name, found, len(damage))
	}
}

// TestStateValueHasOneSpelling wants numbers and lengths in their shortest form.
func TestStateValueHasOneSpelling(t *testing.T) {
	c, _ := start(t)
	key := ledger.StateKeyLifecycle(1)
	tests := []struct {
		name  string
		value []byte
		sound bool
	}{
		{"as written", []byte{0x8b, 0x01, 0x18, 0x20, 0x05}, true},
		{"a number below 24 in two bytes", []byte{0x8b, 0x01, 0x18, 0x20, 0x18, 0x05}, false},
		{"a number in three bytes", []byte{0x8b, 0x01, 0x19, 0x00, 0x20, 0x05}, false},
		{"a version in two bytes", []byte{0x8b, 0x18, 0x01, 0x18, 0x20, 0x05}, false},
		{"another version", []byte{0x8b, 0x02, 0x18, 0x20, 0x05}, false},
		{"an array in two bytes", []byte{0x98, 0x0b, 0x01, 0x18, 0x20, 0x05}, false},
		{"an array without end", []byte{0x9f, 0x01, 0x18, 0x20, 0x05, 0xff}, false},
		{"a number above 63 bits", []byte{0x8b, 0x01, 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x05}, false},
		{"a negative number", []byte{0x8b, 0x01, 0x20, 0x05}, false},
		{"a field too few", []byte{0x8a, 0x01, 0x18, 0x20}, false},
		{"a byte too many", []byte{0x8b, 0x01, 0x18, 0x20, 0x05, 0x00}, false},
		{"nothing", []byte{}, false},
	}
	rest := []byte{0x00, 0x60, 0x00, 0x00, 0x80, 0x80, 0x00, 0x80} // day, series, file, filing, events, holds, disposition, decisions
	for _, test := range tests {
		l, ok, err := ledger.LifecycleOf(altered{View: c.view, key: key, value: append(test.value, rest...)}, 1)
		if test.sound && (err != nil || !reflect.DeepEqual(l, ledger.Lifecycle{SupersededBy: 32, Supersession: 5})) {
			t.Errorf("%s: %+v, %v", test.name, l, err)
		}
		if !test.sound && (err == nil || ok || !reflect.DeepEqual(l, ledger.Lifecycle{})) {
			t.Errorf("%s: %+v, %t, %v, want an error", test.name, l, ok, err)
		}
	}
}

// FuzzStateValue reads arbitrary bytes as every kind of state value: an answer
// or an error, never a panic.
func FuzzStateValue(f *testing.F) {
	c, _ := start(f)
	seeds := [][]byte{ledger.StateKeyParameters(), ledger.StateKeyNodes(), ledger.StateKeyKey(keyID("DPW")), ledger.StateKeySigning("DPW")}
	for _, key := range seeds {
		value, _, err := c.view.Value(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value)
	}
	f.Add([]byte{0x83, 0x01, 0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00})
	f.Add([]byte{0x82, 0x01, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, value []byte) {
		if value == nil {
			value = []byte{}
		}
		try := func(key []byte, read func(ledger.View) error) {
			_ = read(altered{View: c.view, key: key, value: value})
		}
		try(ledger.StateKeyParameters(), func(v ledger.View) error { _, err := ledger.ParametersOf(v); return err })
		try(ledger.StateKeyNodes(), func(v ledger.View) error { _, err := ledger.Nodes(v); return err })
		try(ledger.StateKeySigning("DPW"), func(v ledger.View) error { _, err := ledger.SigningKeysOf(v, "DPW"); return err })
		try(ledger.StateKeyProposal(1), func(v ledger.View) error { _, _, err := ledger.ProposalOf(v, 1); return err })
		try(ledger.StateKeyLifecycle(1), func(v ledger.View) error { _, _, err := ledger.LifecycleOf(v, 1); return err })
		try(ledger.StateKeyDisposition(1), func(v ledger.View) error {
			d, err := ledger.ParseDisposition(1, value)
			if err != nil && !reflect.DeepEqual(d, ledger.Disposition{}) {
				t.Errorf("ParseDisposition gives %+v with its error %v", d, err)
			}
			return err
		})
		try(ledger.StateKeyErasures(), func(v ledger.View) error { _, err := ledger.Erasures(v, 0); return err })
		try(ledger.StateKeyKey(keyID("DPW")), func(v ledger.View) error {
			k, ok, err := ledger.KeyOf(v, keyID("DPW"))
			if (err != nil || !ok) && k != (ledger.KeyState{}) {
				t.Errorf("KeyOf gives %+v with its error %v", k, err)
			}
			return err
		})
	})
}
