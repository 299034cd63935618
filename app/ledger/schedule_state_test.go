package ledger_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// everyScheduleMessage gives a city with a schedule, and one acceptable message
// of each kind that is about schedules, with its signer.
func everyScheduleMessage(t *testing.T) (*city, map[string]record.Message) {
	t.Helper()
	c := scheduled(t)
	c.decided(t, "2031-01-01", ruleIn(t, "CITY", 1, "CT-PERMITS", "later of (4 years after created, as series CT-MAIL)"), "CLERK")
	c.decided(t, "2031-01-01", ruleIn(t, "CITY", 1, "CT-TAPES", "30 days after created"), "CLERK")
	c.schedule(t, "2031-01-01", true, "2031-01-02", ruleIn(t, "CT", 2, "CT-MAIL", "2 years after created"))
	local := c.adoption(t, "CITY", 1, false, "2031-01-01")
	c.decide(t, "2031-01-01", local, "COUNSEL")
	hash, err := record.FactHash(local)
	if err != nil {
		t.Fatal(err)
	}
	return c, map[string]record.Message{
		"CLERK":       &record.ProposeChange{Fact: ruleIn(t, "CT", 3, "CT-TAPES", "as series CT-MAIL")},
		"CLERK too":   &record.ApproveChange{Proposal: c.proposalIndex(t), FactHash: hash},
		"CLERK three": &record.ProposeChange{Fact: local},
		"HEALTH":      &record.ProposeChange{Fact: activation("CT-PERMITS", "HEALTH", "2031-01-01")},
		"DPW too": &record.ProposeChange{Fact: &record.StandingAuthorization{
			Office: "DPW", Series: []record.Code{"CT-MAIL", "CT-PERMITS"}, From: day("2031-02-01"), Until: day("2031-12-31"),
		}},
		"DPW batch":   &record.AnchorBatch{Series: "CT-MAIL", Custody: "CITY", Commitment: commitment("batch")},
		"DPW anchors": anchors("CT-PERMITS", day("2030-12-31"), "a", "b"),
	}
}

func TestS0_2_PersonalDataFitsNoFieldOfSchedules(t *testing.T) {
	c, messages := everyScheduleMessage(t)
	personalDataFitsNoField(t, c, messages, "schedule", "series", "office", "root", "assessment", "data_map", "custody", "commitment")
}

func TestScheduleFailureIsAnError(t *testing.T) {
	c, messages := everyScheduleMessage(t)
	failEveryRead(t, c, messages)
}

// TestScheduleValueBytes pins the bytes of docs/spec/schedules.md, field by field.
func TestScheduleValueBytes(t *testing.T) {
	c, messages := everyScheduleMessage(t)
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), messages["DPW batch"]))
	standing := c.decided(t, "2031-01-01", messages["DPW too"].(*record.ProposeChange).Fact, "DPW", "IT", "CLERK", "ARCHIVE", "PRA")
	index := func(i record.Index) []byte { return number(uint64(i)) }
	schedule, _, err := ledger.ScheduleOf(c.view, "CT")
	if err != nil || len(schedule.Adoptions) != 2 {
		t.Fatalf("schedule = %+v, %v", schedule, err)
	}
	first, second := index(schedule.Adoptions[0].Adopted), index(schedule.Adoptions[1].Adopted)
	rules, err := ledger.RulesOf(c.view, "CT-MAIL")
	if err != nil || len(rules) != 2 {
		t.Fatalf("rules = %+v, %v", rules, err)
	}
	permits, err := ledger.RulesOf(c.view, "CT-PERMITS")
	if err != nil || len(permits) != 2 {
		t.Fatalf("rules = %+v, %v", permits, err)
	}
	text := func(s string) []byte { return append([]byte{0x60 | byte(len(s))}, s...) }
	active, _, err := ledger.ActivationOf(c.view, "CT-MAIL", "DPW")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		key  []byte
		text string
		want []byte
	}{
		{"a version", ledger.StateKeyVersion("CT", 1), "version/CT/\x00\x00\x00\x01", slices.Concat(
			unhex(t, "83 01"), first, unhex(t, "82"), text("CT-MAIL"), text("CT-PERMITS"))},
		{"a draft", ledger.StateKeyVersion("CITY", 1), "version/CITY/\x00\x00\x00\x01", slices.Concat(
			unhex(t, "83 01 00 82"), text("CT-PERMITS"), text("CT-TAPES"))},
		{"a schedule", ledger.StateKeySchedule("CT"), "schedule/CT", slices.Concat(
			unhex(t, "84 01"+ // array of 4, version
				"01"+ // of the state
				"82 84 01"), first, unhex(t, "19 ae10 19 ae10"+ // version 1 on 2031-01-01, day 22280, zigzag 44560, from that day
				"84 02"), second, unhex(t, "19 ae10 19 ae12"+ // version 2, effective a day later
				"82"), text("CT-MAIL"), text("CT-PERMITS"))},
		{"adopted rules", ledger.StateKeyRules("CT-MAIL"), "rules/CT-MAIL", slices.Concat(
			unhex(t, "82 01 82 88"), text("CT"), unhex(t, "01 01"), index(rules[0].Stated), first, unhex(t, "19 ae10 19 ae10"), first,
			unhex(t, "88"), text("CT"), unhex(t, "02 01"), index(rules[1].Stated), second, unhex(t, "19 ae10 19 ae12 00"))},
		{"a series that is left out", ledger.StateKeyRules("CT-PERMITS"), "rules/CT-PERMITS", slices.Concat(
			unhex(t, "82 01 82 88"), text("CT"), unhex(t, "01 01"), index(permits[0].Stated), first, unhex(t, "19 ae10 19 ae10"), first,
			unhex(t, "88"), text("CT"), unhex(t, "02 01 00"), second, unhex(t, "19 ae10 19 ae12 00"))},
		{"a rule", ledger.StateKeyRule("CT", 2, "CT-MAIL"), "rule/CT/\x00\x00\x00\x02/CT-MAIL", slices.Concat(
			unhex(t, "83 01"), index(rules[1].Stated), bytesOf(marshalFact(t, &rules[1].Rule)))},
		{"an activation", ledger.StateKeyActivation("CT-MAIL", "DPW"), "activation/CT-MAIL/DPW", slices.Concat(
			value(t, c.view, ledger.StateKeyActivation("CT-MAIL", "DPW"))[:4], bytesOf(marshalFact(t, &active)))},
		{"a standing authorization", ledger.StateKeyStanding(standing), "standing/\x00\x00\x00\x00\x00\x00", slices.Concat(
			unhex(t, "83 01"), index(standing), bytesOf(marshalFact(t, messages["DPW too"].(*record.ProposeChange).Fact)))},
		{"a batch", ledger.StateKeyBatch("DPW", "CT-MAIL", day("2031-01-01")), "batch/DPW/CT-MAIL/\x00\x00\x57\x08", slices.Concat(
			unhex(t, "82 01"), index(results[0].TxIndex+1))},
	}
	for _, test := range tests {
		if !strings.HasPrefix(string(test.key), test.text) {
			t.Errorf("the state key of %s is %q, want %q", test.name, test.key, test.text)
		}
		if got := value(t, c.view, test.key); !bytes.Equal(got, test.want) {
			t.Errorf("value of %s = %x, want %x", test.name, got, test.want)
		}
	}
}

// number is CBOR's unsigned integer in its shortest form, below 65,536.
func number(v uint64) []byte {
	switch {
	case v < 24:
		return []byte{byte(v)}
	case v < 256:
		return []byte{24, byte(v)}
	}
	return []byte{25, byte(v >> 8), byte(v)}
}

// bytesOf is CBOR's byte string.
func bytesOf(b []byte) []byte {
	head := number(uint64(len(b)))
	head[0] |= 0x40
	return append(head, b...)
}

// TestDamagedScheduleValueIsAnError flips every byte of every kind of state
// value of schedules. What can still be read differs from what was written.
func TestDamagedScheduleValueIsAnError(t *testing.T) {
	c, messages := everyScheduleMessage(t)
	c.apply(t, at("2031-01-01"), c.sign(t, "DPW", day("2031-01-02"), messages["DPW batch"]))
	standing := c.decided(t, "2031-01-01", messages["DPW too"].(*record.ProposeChange).Fact, "DPW", "IT", "CLERK", "ARCHIVE", "PRA")
	readers := []struct {
		name  string
		key   []byte
		where int // of the index in the value of a fact, which no reader gives; 0: none
		read  func(ledger.View) (any, bool, error)
	}{
		{"version", ledger.StateKeyVersion("CT", 1), 0, func(v ledger.View) (any, bool, error) { return three(ledger.VersionOf(v, "CT", 1)) }},
		{"schedule", ledger.StateKeySchedule("CT"), 0, func(v ledger.View) (any, bool, error) { return three(ledger.ScheduleOf(v, "CT")) }},
		{"rules", ledger.StateKeyRules("CT-MAIL"), 0, func(v ledger.View) (any, bool, error) {
			rules, err := ledger.RulesOf(v, "CT-MAIL")
			return rules, err == nil, err
		}},
		{"rule", ledger.StateKeyRule("CT", 1, "CT-MAIL"), 2, func(v ledger.View) (any, bool, error) { return three(ledger.RuleOf(v, "CT", 1, "CT-MAIL")) }},
		{"activation", ledger.StateKeyActivation("CT-MAIL", "DPW"), 2, func(v ledger.View) (any, bool, error) {
			return three(ledger.ActivationOf(v, "CT-MAIL", "DPW"))
		}},
		{"standing authorization", ledger.StateKeyStanding(standing), 2, func(v ledger.View) (any, bool, error) {
			return three(ledger.StandingOf(v, standing))
		}},
		{"batch", ledger.StateKeyBatch("DPW", "CT-MAIL", day("2031-01-01")), 0, func(v ledger.View) (any, bool, error) {
			return three(ledger.BatchOf(v, "DPW", "CT-MAIL", day("2031-01-01")))
		}},
	}
	for _, r := range readers {
		sound := value(t, c.view, r.key)
		want, ok, err := r.read(c.view)
		if err != nil || !ok {
			t.Fatalf("%s: %t, %v", r.name, ok, err)
		}
		damage := [][]byte{{}, append(bytes.Clone(sound), 0), sound[:len(sound)-1]}
		for i := range sound {
			if r.where > 0 && i >= r.where && i < r.where+len(number(uint64(sound[r.where+1]))) {
				continue
			}
			for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
				b := bytes.Clone(sound)
				b[i] ^= mask
				damage = append(damage, b)
			}
		}
		found := 0
		for _, b := range damage {
			got, ok, err := r.read(altered{View: c.view, key: r.key, value: b})
			switch {
			case err != nil && ok:
				t.Errorf("%s: %x gives a value with the error %v", r.name, b, err)
			case err != nil:
				found++
			case fmt.Sprintf("%+v", got) == fmt.Sprintf("%+v", want):
				t.Errorf("%s: the value %x reads like %x", r.name, b, sound)
			}
		}
		if found < 3+len(sound)/8 {
			t.Errorf("%s: only %d of %d damages were found", r.name, found, len(damage))
		}
	}
}

func three[T any](v T, ok bool, err error) (any, bool, error) { return v, ok, err }

// TestScheduleStateThatContradictsItself takes away what other values speak of.
func TestScheduleStateThatContradictsItself(t *testing.T) {
	c, messages := everyScheduleMessage(t)
	h := ledger.Header{Height: c.view.Head().Height + 1, Time: at("2031-01-01")}
	rule := ledger.StateKeyRule("CT", 1, "CT-PERMITS")
	stranger := value(t, c.view, ledger.StateKeyActivation("CT-MAIL", "DPW")) // a sound fact of another kind
	for _, test := range []struct {
		name  string
		key   []byte
		value []byte
	}{
		{"CLERK too", ledger.StateKeyRule("CITY", 1, "CT-TAPES"), nil}, {"CLERK too", ledger.StateKeyRule("CITY", 1, "CT-TAPES"), stranger},
		{"CLERK too", ledger.StateKeyGovernance(record.SubjectRecords), nil}, {"CLERK", ledger.StateKeyGovernance(record.SubjectRecords), nil},
		{"DPW anchors", rule, nil}, {"DPW anchors", rule, stranger}, {"CLERK too", rule, nil},
	} {
		raw := c.sign(t, signerOf(test.name), day("2031-01-02"), messages[test.name])
		if code := c.machine.Check(altered{View: c.view, key: test.key, value: test.value}, h, raw); code != ledger.CodeInternal {
			t.Errorf("%s with %q as %x: %s, want INTERNAL", test.name, test.key, test.value, code)
		}
	}
	if _, err := ledger.RulesOf(altered{View: c.view, key: rule}, "CT-PERMITS"); err == nil {
		t.Error("RulesOf does not miss a rule")
	}
}

func TestGenesisStatesNoDecisions(t *testing.T) {
	for _, f := range []record.Fact{
		ruleIn(t, "CT", 1, "CT-MAIL", "none"),
		&record.Schedule{Code: "CT", Version: 1, Count: 1},
		activation("DEMO-MINUTES", "DPW", "2031-01-01"),
		&record.StandingAuthorization{Office: "DPW", Series: []record.Code{"DEMO-MINUTES"}, From: 1, Until: 2},
		&record.Series{Code: "CT-MAIL", Granularity: record.GranularityDay, Status: record.StatusActive},
	} {
		g := demoFacts()
		g.Facts = append(g.Facts, f)
		_, err := ledger.Genesis(g)
		if err == nil || !strings.Contains(err.Error(), "decided by the offices") && !strings.Contains(err.Error(), "series CT-MAIL is active without a schedule") {
			t.Errorf("genesis with a %T: %v", f, err)
		}
	}
	g := demoFacts()
	g.Facts = append(g.Facts, &record.Series{Code: "CT-MAIL", Granularity: record.GranularityDay, Status: record.StatusInactive})
	c := found(t, g)
	c.refused(t, c.sign(t, "DPW", day("2031-01-02"), anchors("CT-MAIL", day("2031-01-01"), "a")), ledger.CodeSeriesInactive)
}

// TestRegistryListsSchedules holds the registry against what was decided.
func TestRegistryListsSchedules(t *testing.T) {
	c, messages := everyScheduleMessage(t)
	before := c.view
	standing := c.decided(t, "2031-01-01", messages["DPW too"].(*record.ProposeChange).Fact, "DPW", "IT", "CLERK", "ARCHIVE", "PRA")
	adopted := c.decided(t, "2031-01-01", messages["CLERK three"].(*record.ProposeChange).Fact, "CLERK", "COUNSEL")
	r, err := ledger.RegistryOf(c.view, list(c.state))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for i, f := range r.Facts {
		kinds[fmt.Sprintf("%T", f)]++
		stated, ok := entry(t, c.view, int64(r.Entries[i])).(record.FactEntry)
		if !ok || !bytes.Equal(stated.Fact, marshalFact(t, f)) {
			t.Errorf("entry %d does not state %+v", r.Entries[i], f)
		}
	}
	for kind, want := range map[string]int{"*record.ScheduleRule": 5, "*record.Schedule": 3, "*record.Activation": 2, "*record.StandingAuthorization": 1} {
		if kinds[kind] != want {
			t.Errorf("%d facts of type %s, want %d", kinds[kind], kind, want)
		}
	}
	if !slices.Contains(r.Entries, standing) || !slices.Contains(r.Entries, adopted) {
		t.Errorf("entries %d and %d are not listed: %v", standing, adopted, r.Entries)
	}
	if len(r.Proposals) != 1 || r.Proposals[0].Office != "COUNSEL" {
		t.Errorf("open proposals = %+v, want the one of COUNSEL", r.Proposals)
	}
	// Values later than the view: what the log does not hold yet is left out.
	if r, err = ledger.RegistryOf(before, list(c.state)); err != nil || slices.Contains(r.Entries, adopted) {
		t.Errorf("of the view before: %v, %v", r.Entries, err)
	}
	for _, key := range []string{"schedule/X", "rule/X", "activation/X", "standing/X"} {
		bad := map[string][]byte{"parameters": value(t, c.view, ledger.StateKeyParameters()), key: {0x80}}
		if r, err := ledger.RegistryOf(c.view, list(bad)); err == nil || r.Facts != nil {
			t.Errorf("with a damaged value of %s: %+v, %v", key, r, err)
		}
	}
	wrong := maps.Clone(c.state)
	wrong["schedule/X"] = unhex(t, "84 01 00 81 84 01 01 00 00 80") // adopted by entry 1, which states the parameters
	if r, err := ledger.RegistryOf(c.view, list(wrong)); err == nil || r.Facts != nil {
		t.Errorf("adopted by a fact of another kind: %+v, %v", r, err)
	}
	wrong["schedule/X"] = unhex(t, "84 01 00 81 84 01 00 00 00 80") // by entry 0, which states nothing
	if r, err := ledger.RegistryOf(c.view, list(wrong)); err == nil || r.Facts != nil {
		t.Errorf("adopted by what is no fact: %+v, %v", r, err)
	}
}

// FuzzScheduleValue reads arbitrary bytes as every kind of state value of
// schedules: an answer or an error, never both, never a panic.
func FuzzScheduleValue(f *testing.F) {
	c := scheduled(f)
	keys := [][]byte{
		ledger.StateKeyVersion("CT", 1), ledger.StateKeySchedule("CT"), ledger.StateKeyRules("CT-MAIL"), ledger.StateKeyActivation("CT-MAIL", "DPW"),
	}
	for _, key := range keys {
		f.Add(c.state[string(key)])
	}
	f.Add([]byte{0x82, 0x01, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if b == nil {
			b = []byte{}
		}
		view := func(key []byte) ledger.View { return altered{View: c.view, key: key, value: b} }
		if v, ok, err := ledger.VersionOf(view(keys[0]), "CT", 1); err != nil && (ok || v.Series != nil) {
			t.Errorf("VersionOf gives %+v with its error %v", v, err)
		}
		if s, ok, err := ledger.ScheduleOf(view(keys[1]), "CT"); err != nil && (ok || s.Adoptions != nil) {
			t.Errorf("ScheduleOf gives %+v with its error %v", s, err)
		}
		if rules, err := ledger.RulesOf(view(keys[2]), "CT-MAIL"); err != nil && rules != nil {
			t.Errorf("RulesOf gives %+v with its error %v", rules, err)
		}
		if _, ok, err := ledger.ActivationOf(view(keys[3]), "CT-MAIL", "DPW"); err != nil && ok {
			t.Errorf("ActivationOf gives a value with its error %v", err)
		}
		if o, code, err := ledger.OpeningOf(view(keys[2]), "CT-MAIL", "DPW", day("2031-01-01")); (err != nil || code != ledger.OK) && o != (ledger.Opening{}) {
			t.Errorf("OpeningOf gives %+v with %s, %v", o, code, err)
		}
	})
}
