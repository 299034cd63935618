package ledger_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// changedNetwork is a city of four validators in which everything has changed
// once: a node came, one was rotated, replaced and removed, a custodian left and
// came back, witnesses and an upgrade were decided.
func changedNetwork(t testing.TB) *city {
	t.Helper()
	c := found(t, networkFacts())
	rotated := *nodeNamed("n1", 10)
	rotated.ValidatorKey, rotated.CosignerKey = publicKey("n1/validator/2"), publicKey("n1/cosigner/2")
	replacing := *nodeNamed("n4", 10)
	replacing.Replaces = keyID("n2")
	for _, f := range []record.Fact{
		nodeNamed("n5", 0), &rotated, &replacing,
		&record.CustodianSet{Code: "TOWN", Custodians: custodianIDs("n1,n3,n4")},
		&record.Witnesses{Witnesses: []record.Witness{{Code: "W1", PublicKey: publicKey("W1"), NameHash: commitment("W1")}}, Threshold: 1},
		&record.Upgrade{Version: 2, Height: 300},
	} {
		c.stated(t, f)
	}
	c.taken(t, "n1/custodian", &record.LeaveCustody{Set: "TOWN", Departure: record.DepartureHandedOver})
	c.taken(t, "n3/custodian", &record.LeaveCustody{Set: "TOWN", Departure: record.DepartureDestroyed})
	c.stated(t, &record.CustodianSet{Code: "TOWN", Custodians: custodianIDs("n4"), Lost: custodianIDs("n1")})
	return c
}

// stated has a fact of the network decided, by the office that decides alone.
func (c *city) stated(t testing.TB, f record.Fact) record.Index {
	t.Helper()
	office := "IT"
	if _, custody := f.(*record.CustodianSet); custody {
		office = "COUNSEL"
	}
	return c.taken(t, office, &record.ProposeChange{Fact: f}) + 1
}

// taken wants a transaction to be accepted, and gives its first item.
func (c *city) taken(t testing.TB, signer string, m record.Message) record.Index {
	t.Helper()
	_, results := c.apply(t, c.view.Head().Time, c.sign(t, signer, record.LedgerDay(c.view.Head().Time), m))
	if results[0].Code != ledger.OK {
		t.Fatalf("%T%+v by %s: %s", m, m, signer, results[0].Code)
	}
	return results[0].TxIndex + 1
}

// memberMessages gives messages about the network that would be accepted next,
// with their signers.
func memberMessages(t *testing.T) (*city, map[string]record.Message) {
	t.Helper()
	c := changedNetwork(t)
	c.stated(t, &record.CustodianSet{Code: "COUNTY", Custodians: custodianIDs("n4,n5")})
	gone, replacing := *nodeNamed("n3", 0), *nodeNamed("n6", 10)
	gone.Removed, replacing.Replaces = true, keyID("n1")
	return c, map[string]record.Message{
		"IT":             &record.ProposeChange{Fact: nodeNamed("n7", 0)},
		"IT removes":     &record.ProposeChange{Fact: &gone},
		"IT replaces":    &record.ProposeChange{Fact: &replacing},
		"IT witnesses":   &record.ProposeChange{Fact: &record.Witnesses{Witnesses: []record.Witness{{Code: "W2", PublicKey: publicKey("W2"), NameHash: commitment("W2")}}, Threshold: 1}},
		"CLERK":          &record.ProposeChange{Fact: &record.CustodianSet{Code: "TOWN", Custodians: custodianIDs("n4,n5"), Lost: custodianIDs("n1")}},
		"CLERK loses":    &record.ProposeChange{Fact: &record.CustodianSet{Code: "COUNTY", Custodians: custodianIDs("n4"), Lost: custodianIDs("n5")}},
		"n5/custodian":   &record.LeaveCustody{Set: "COUNTY", Departure: record.DepartureHandedOver},
		"n4/custodian x": &record.LeaveCustody{Set: "TOWN", Departure: record.DepartureDestroyed},
	}
}

func TestS0_2_PersonalDataFitsNoFieldOfTheNetwork(t *testing.T) {
	c, messages := memberMessages(t)
	personalDataFitsNoField(t, c, messages, "node_key", "validator_key", "cosigner_key", "log_key", "custodian_key", "replaces",
		"code", "public_key", "name_hash", "custodians", "lost", "set")
}

func TestT20_OnlyTheOriginalBytesChangeTheNetwork(t *testing.T) {
	c, messages := memberMessages(t)
	onlyTheOriginals(t, c, messages)
}

// TestFailureIsAnErrorOfTheNetwork fails every read, those for evidence among them.
func TestFailureIsAnErrorOfTheNetwork(t *testing.T) {
	c, messages := memberMessages(t)
	failEveryRead(t, c, messages)
	failures := 0
	for ; ; failures++ {
		left := failures
		head := c.view.Head()
		changes, _, err := c.machine.Apply(altered{View: c.view, reads: &left}, ledger.Block{
			Height: head.Height + 1, Time: head.Time, Misbehavior: []ledger.Misbehavior{{Validator: modelAddress(publicKey("n1/validator"))}},
		})
		if err == nil {
			break
		}
		if !errors.Is(err, errDisk) || changes.Entries != nil {
			t.Fatalf("after %d reads: %v", failures, err)
		}
	}
	if failures < 5 {
		t.Errorf("only %d reads failed", failures)
	}
}

// networkReaders read what the state holds of a network.
func networkReaders(number int64) []valueReader {
	return []valueReader{
		{"era", ledger.StateKeyEra(number), 0, func(v ledger.View) (string, error) {
			e, err := ledger.EraNumbered(v, number)
			return fmt.Sprint(e), err
		}},
		{"eras", ledger.StateKeyEras(), 0, func(v ledger.View) (string, error) {
			e, err := ledger.EraOf(v)
			return fmt.Sprint(e), err
		}},
		{"witnesses", ledger.StateKeyWitnesses(), 3, func(v ledger.View) (string, error) {
			w, err := ledger.WitnessesOf(v)
			return fmt.Sprint(w), err
		}},
		{"upgrade", ledger.StateKeyUpgrade(), 0, func(v ledger.View) (string, error) {
			at, err := ledger.VersionAt(v, 1000)
			number, height, ok, err2 := ledger.NextVersion(v)
			return fmt.Sprint(at, number, height, ok), errors.Join(err, err2)
		}},
		{"retired", ledger.StateKeyRetired(keyID("n1/validator")), 0, func(v ledger.View) (string, error) {
			at, ok, err := ledger.RetiredBy(v, keyID("n1/validator"))
			return fmt.Sprint(at, ok), err
		}},
		{"custodian", ledger.StateKeyCustodian(keyID("n4/custodian")), 0, func(v ledger.View) (string, error) {
			at, ok, err := ledger.CustodianRegistered(v, keyID("n4/custodian"))
			return fmt.Sprint(at, ok), err
		}},
		{"departed", ledger.StateKeyDeparted("TOWN", keyID("n3/custodian")), 0, func(v ledger.View) (string, error) {
			at, ok, err := ledger.DepartureOf(v, "TOWN", keyID("n3/custodian"))
			return fmt.Sprint(at, ok), err
		}},
	}
}

// TestDamagedValueOfTheNetworkIsAnError flips every byte. Where an upgrade
// was decided the registry alone reads.
func TestDamagedValueOfTheNetworkIsAnError(t *testing.T) {
	c := changedNetwork(t)
	e, err := ledger.EraOf(c.view)
	if err != nil || e.Number < 4 {
		t.Fatalf("era %+v, %v", e, err)
	}
	for _, r := range networkReaders(e.Number - 1) {
		if r.name == "upgrade" {
			r.read = registryOf(r.read)
		}
		damageEveryByte(t, c, r)
	}
}

// registryOf reads the versions as the registry does, too.
func registryOf(read func(ledger.View) (string, error)) func(ledger.View) (string, error) {
	return func(v ledger.View) (string, error) {
		said, err := read(v)
		if err != nil {
			return "", err
		}
		value, _, err := v.Value(ledger.StateKeyUpgrade())
		if err != nil {
			return "", err
		}
		r, err := ledger.RegistryOf(v, list(map[string][]byte{string(ledger.StateKeyUpgrade()): value}))
		return fmt.Sprint(said, r.Entries), err
	}
}

// FuzzNetworkValue reads arbitrary bytes as every value of a network.
func FuzzNetworkValue(f *testing.F) {
	c := changedNetwork(f)
	for _, r := range networkReaders(2) {
		value, ok, err := c.view.Value(r.key)
		if err != nil || !ok {
			f.Fatalf("%s: %t, %v", r.name, ok, err)
		}
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if value == nil {
			value = []byte{}
		}
		for _, r := range networkReaders(2) {
			_, _ = r.read(altered{View: c.view, key: r.key, value: value})
		}
		if e, err := ledger.ParseEra(value); err != nil && !reflect.DeepEqual(e, ledger.Era{}) {
			t.Errorf("ParseEra gives %+v with its error %v", e, err)
		}
	})
}

// TestACustodianThatOwesAReportStays: it neither leaves its set nor is taken out
// of it, before its report is in; unless it is lost, and then the report stays due.
func TestACustodianThatOwesAReportStays(t *testing.T) {
	a := foundArchive(t, otherNode(), bothCustodians("TWO"))
	anchored := func(name string) record.Index {
		return a.must("DPW", &record.AnchorRecords{
			Series: "DEMO-MINUTES", Custody: "TWO", Items: []record.AnchorItem{{Commitment: commitment(name), Day: day("2020-05-01")}},
		})
	}
	report := func(d record.Index) *record.ReportErasure {
		return &record.ReportErasure{Disposition: d, Outcome: record.OutcomeDone, Claim: record.ClaimKey, Report: commitment("report")}
	}
	leave := &record.LeaveCustody{Set: "TWO", Departure: record.DepartureHandedOver}
	without := &record.ProposeChange{Fact: &record.CustodianSet{Code: "TWO", Custodians: []record.KeyID{keyID("node/custodian")}}}

	first := a.lockRedaction(anchored("a"))
	a.refused(ledger.CodeCustodianStays, false, "other/custodian", leave)
	a.must("other/custodian", report(first))
	second := anchored("b")
	a.must("other/custodian", leave)
	a.refused(ledger.CodeNoChange, false, "other/custodian", leave)
	late := a.lockRedaction(second) // between its departure and the decision
	a.refused(ledger.CodeCustodianStays, false, "CLERK", without)
	a.must("other/custodian", report(late))
	a.decide(without.Fact, "CLERK", "COUNSEL")
	third := a.lockRedaction(anchored("c"))
	a.refused(ledger.CodeNoReportDue, false, "other/custodian", report(third))

	a.decide(bothCustodians("TWO"), "CLERK", "COUNSEL")
	fourth := a.lockRedaction(anchored("d"))
	a.must("node/custodian", report(fourth))
	lost := &record.CustodianSet{Code: "TWO", Custodians: without.Fact.(*record.CustodianSet).Custodians, Lost: []record.KeyID{keyID("other/custodian")}}
	a.decide(lost, "CLERK", "COUNSEL")
	if d := a.disposition(fourth); d.Status != ledger.DispositionLocked {
		t.Errorf("the disposition on which the lost custodian did not report is %v", d.Status)
	}
	a.must("other/custodian", report(fourth))
	if d := a.disposition(fourth); d.Status != ledger.DispositionComplete {
		t.Errorf("the disposition on which it reported after all is %v", d.Status)
	}
}

// TestReplayOfMisbehavior: entries of misbehavior stand where they belong, and
// name keys that validators have or had.
func TestReplayOfMisbehavior(t *testing.T) {
	c := changedNetwork(t)
	before := len(c.log(t))
	for _, name := range []string{"n1/validator", "n3/validator"} {
		c.evidence = append(c.evidence, ledger.Misbehavior{Validator: modelAddress(publicKey(name)), Height: 5})
	}
	c.apply(t, c.view.Head().Time, c.sign(t, "DPW", day("2031-01-02"), anchors("DEMO-MINUTES", 0, "a")))
	log := c.log(t)
	got, err := c.machine.Replay(logOf(log), nil)
	if err != nil || got.Misbehavior != 2 || got.View.StateRoot() != c.view.StateRoot() {
		t.Fatalf("the replay counts %d, %v", got.Misbehavior, err)
	}
	entry := func(name string) []byte {
		raw, err := record.MarshalEntry(record.MisbehaviorEntry{Validator: keyID(name), Height: 5})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	many := slices.Repeat([][]byte{entry("n3/validator")}, 65)
	for _, test := range []struct {
		name string
		in   [][]byte // in place of the two entries, and of the transaction with its item
		want string
	}{
		{"of nobody's key", [][]byte{entry("n9/validator"), log[before+2], log[before+3]}, "no node has or had validator key"},
		{"of a retired cosigner", [][]byte{entry("n1/cosigner"), log[before+2], log[before+3]}, "no node has or had validator key"},
		{"of an office's key", [][]byte{entry("IT"), log[before+2], log[before+3]}, "no node has or had validator key"},
		{"behind a transaction", [][]byte{log[before], log[before+2], log[before+3], log[before+1]}, "belongs to no transaction"},
		{"more than a block has", append(many, log[before+2], log[before+3]), "more than 64 entries of misbehavior"},
	} {
		changed := append(append(append([][]byte{}, log[:before]...), test.in...), log[before+4:]...)
		_, err := c.machine.Replay(logOf(changed), nil)
		difference, ok := errors.AsType[*ledger.Difference](err)
		if !ok || !strings.Contains(difference.Why, test.want) {
			t.Errorf("misbehavior %s: %v, want %q", test.name, err, test.want)
		}
	}
}

// TestCustodianKeysStayKnown: a receipt of what a custodian signed needs the fact
// that registered its key, whatever became of the node.
func TestCustodianKeysStayKnown(t *testing.T) {
	c := found(t, networkFacts())
	at := map[string]record.Index{}
	at["n4"] = c.stated(t, nodeNamed("n4", 0))
	gone, replacing := *nodeNamed("n3", 0), *nodeNamed("n5", 10)
	gone.Removed = true
	replacing.Replaces, replacing.ValidatorKey, replacing.CustodianKey = keyID("n2"), publicKey("n2/validator"), publicKey("n2/custodian")
	c.stated(t, &gone)
	c.stated(t, &replacing)
	leaves := *nodeNamed("n4", 0)
	leaves.Removed = true
	c.stated(t, &leaves)
	for i, e := range c.log(t)[:c.genesis.Size] {
		if entry, _ := record.ParseEntry(e); entry.Kind() == record.KindFact {
			fact, _ := record.ParseFact(entry.(record.FactEntry).Fact)
			for _, name := range []string{"node", "n1", "n2", "n3"} {
				if n, ok := fact.(*record.Node); ok && n.NodeKey == publicKey(name) {
					at[name] = record.Index(i)
				}
			}
		}
	}
	for _, name := range []string{"node", "n1", "n2", "n3", "n4"} {
		got, ok, err := ledger.CustodianRegistered(c.view, keyID(name+"/custodian"))
		if err != nil || !ok || got != at[name] {
			t.Errorf("the custodian key of %s is registered by %d, %t, %v, want %d", name, got, ok, err, at[name])
		}
	}
	for _, name := range []string{"n5/custodian", "n4", "CLERK"} {
		if got, ok, err := ledger.CustodianRegistered(c.view, keyID(name)); ok || err != nil || got != 0 {
			t.Errorf("%s is a custodian key, registered by %d, %v", name, got, err)
		}
	}
}

// TestNoSetIsForgotten: the sets of genesis keep their custodians, whether a set
// was added since or not.
func TestNoSetIsForgotten(t *testing.T) {
	facts := networkFacts()
	facts.Facts = append(facts.Facts, &record.CustodianSet{Code: "ANNEX", Custodians: custodianIDs("n1")})
	c := found(t, facts)
	bare := *nodeNamed("n1", 10)
	bare.CustodianKey = [32]byte{}
	for _, set := range []*record.CustodianSet{nil, {Code: "BRANCH", Custodians: custodianIDs("n2")}, {Code: "ZOO", Custodians: custodianIDs("n2")}} {
		if set != nil {
			c.stated(t, set)
		}
		c.refused(t, c.sign(t, "IT", day("2031-01-02"), &record.ProposeChange{Fact: &bare}), ledger.CodeCustodianStays)
	}
	c.taken(t, "n1/custodian", &record.LeaveCustody{Set: "ANNEX", Departure: record.DepartureDestroyed})
	c.stated(t, &record.CustodianSet{Code: "ANNEX", Custodians: custodianIDs("n3")})
	c.stated(t, &bare)
}
