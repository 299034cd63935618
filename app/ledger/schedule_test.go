package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// anchored anchors one record and gives its entry.
func (c *city) anchored(t testing.TB, date, office string, series record.Code, name string) record.Index {
	t.Helper()
	_, results := c.apply(t, at(date), c.sign(t, office, day(date)+1, anchors(series, day(date), name)))
	if results[0].Code != ledger.OK {
		t.Fatalf("anchor %s under %s on %s: %s", name, series, date, results[0].Code)
	}
	return results[0].TxIndex + 1
}

// refusedOn moves on to a day and wants that an act of that day is refused.
func (c *city) refusedOn(t *testing.T, date, office string, m record.Message, want ledger.Code) {
	t.Helper()
	c.apply(t, at(date))
	c.refused(t, c.sign(t, office, day(date)+1, m), want)
}

// rulesOn gives the rules that bind a record on the ledger day, as the texts of the rules.
func (c *city) rulesOn(t testing.TB, i record.Index) []string {
	t.Helper()
	item, ok, err := ledger.NewInquiry(c.view).Item(i)
	if err != nil || !ok {
		t.Fatalf("record %d: %t, %v", i, ok, err)
	}
	var texts []string
	for _, r := range item.Rules {
		texts = append(texts, r.Rule.String())
	}
	return texts
}

func TestS0_7_NoSeriesWithoutARuleInForce(t *testing.T) {
	c := scheduled(t)
	c.refusedOn(t, "2031-01-02", "DPW", anchors("CT-OTHER", day("2031-01-02"), "a"), ledger.CodeUnknownSeries)
	// Stated, but not adopted: a draft.
	c.decided(t, "2031-01-02", ruleIn(t, "CT", 2, "CT-OTHER", "1 year after created"), "CLERK")
	c.refusedOn(t, "2031-01-02", "DPW", anchors("CT-OTHER", day("2031-01-02"), "a"), ledger.CodeUnknownSeries)
}

// TestS0_7_SupersededSeriesIsRefused adopts a version that comes later and leaves
// a series out: until the day before its first the series takes records.
func TestS0_7_SupersededSeriesIsRefused(t *testing.T) {
	c := scheduled(t)
	c.schedule(t, "2031-01-10", true, "2031-03-01", ruleIn(t, "CT", 2, "CT-MAIL", "1 year after created"))
	kept := c.anchored(t, "2031-02-28", "DPW", "CT-PERMITS", "last")
	c.refusedOn(t, "2031-03-01", "DPW", anchors("CT-PERMITS", day("2031-03-01"), "a"), ledger.CodeUnknownSeries)
	if got, want := c.rulesOn(t, kept), []string{"3 years after created"}; !slices.Equal(got, want) {
		t.Errorf("what was anchored under a version that is over is bound by %q, want %q", got, want)
	}
	// What is batched now takes batches only, what is not takes none.
	c.refusedOn(t, "2031-03-01", "DPW", &record.AnchorBatch{Series: "CT-MAIL", Commitment: commitment("b")}, ledger.CodeNotBatched)
	c.anchored(t, "2031-03-01", "DPW", "CT-MAIL", "a")
}

// TestRecordKeepsTheRulesItWasAnchoredUnder follows one series through versions
// of two schedules. A record is bound by those in force when it was anchored and
// by those in force today, however often it changes, and by no others.
func TestRecordKeepsTheRulesItWasAnchoredUnder(t *testing.T) {
	c := scheduled(t)
	first := c.anchored(t, "2031-01-02", "DPW", "CT-PERMITS", "first")
	// Adopted now, in force in June; then one that is in force at once, until June.
	c.schedule(t, "2031-02-01", true, "2031-06-01", ruleIn(t, "CT", 3, "CT-PERMITS", "5 years after created"))
	early := c.anchored(t, "2031-02-02", "DPW", "CT-PERMITS", "early")
	c.schedule(t, "2031-03-01", true, "2031-01-01", ruleIn(t, "CT", 2, "CT-PERMITS", "4 years after created"))
	second := c.anchored(t, "2031-03-02", "DPW", "CT-PERMITS", "second")
	c.schedule(t, "2031-04-01", false, "2031-04-01", ruleIn(t, "CITY", 1, "CT-PERMITS", "permanent"))
	local := c.anchored(t, "2031-05-31", "DPW", "CT-PERMITS", "local")
	const y3, y4, y5, y7 = "3 years after created", "4 years after created", "5 years after created", "7 years after created"
	c.want(t, "2031-05-31", map[record.Index][]string{
		first: {y3, y4, "permanent"}, early: {y3, y4, "permanent"}, second: {y4, "permanent"}, local: {y4, "permanent"},
	})
	// June: nothing is written on that day, and the rules have changed.
	c.want(t, "2031-06-01", map[record.Index][]string{
		first: {y3, y5, "permanent"}, second: {y5, y4, "permanent"}, local: {y5, y4, "permanent"},
	})
	third := c.anchored(t, "2031-06-02", "DPW", "CT-PERMITS", "third")
	fourth := c.anchored(t, "2031-06-02", "DPW", "CT-PERMITS", "fourth")
	c.schedule(t, "2031-07-01", true, "2031-01-01", ruleIn(t, "CT", 4, "CT-PERMITS", y7))
	c.schedule(t, "2031-07-01", false, "2031-01-01", ruleIn(t, "CITY", 2, "CT-MAIL", "permanent"))
	c.want(t, "2031-07-02", map[record.Index][]string{
		first: {y3, y7}, early: {y3, y7}, second: {y4, y7}, local: {y4, "permanent", y7},
		third: {y5, "permanent", y7}, fourth: {y5, "permanent", y7},
	})
}

// want moves on to a day and holds the rules that bind records against a table.
func (c *city) want(t *testing.T, date string, table map[record.Index][]string) {
	t.Helper()
	c.apply(t, at(date))
	for i, want := range table {
		if got := c.rulesOn(t, i); !slices.Equal(got, want) {
			t.Errorf("on %s record %d is bound by %q, want %q", date, i, got, want)
		}
	}
}

// TestDemonstrationIsKeptUntilARuleBindsIt anchors before there is any rule.
func TestDemonstrationIsKeptUntilARuleBindsIt(t *testing.T) {
	c := found(t, stateFacts())
	i := c.anchored(t, "2031-01-02", "DPW", "DEMO-MINUTES", "a")
	if got := c.rulesOn(t, i); got != nil {
		t.Errorf("bound by %q before there is a rule", got)
	}
	c.schedule(t, "2031-01-03", false, "2031-01-05", ruleIn(t, "TRY", 1, "DEMO-MINUTES", "1 day after created"))
	c.want(t, "2031-01-04", map[record.Index][]string{i: nil})
	c.want(t, "2031-01-05", map[record.Index][]string{i: {"1 day after created"}})
}

// TestS0_20_RecordsAndSecurityAreDecidedApart has the office that governs
// security try what belongs to records, and the reverse.
func TestS0_20_RecordsAndSecurityAreDecidedApart(t *testing.T) {
	c := found(t, stateFacts())
	r := ruleIn(t, "CITY", 1, "CT-PERMITS", "1 year after created")
	if at, codes := c.decide(t, "2031-01-01", r, "IT"); at != 0 || codes[0] != ledger.CodeNotGoverning {
		t.Errorf("a rule stated by IT: entry %d, %v", at, codes)
	}
	c.decided(t, "2031-01-01", r, "CLERK")
	adoption := c.adoption(t, "CITY", 1, false, "2031-01-01")
	if at, codes := c.decide(t, "2031-01-01", adoption, "IT"); at != 0 || codes[0] != ledger.CodeNotGoverning {
		t.Errorf("a schedule adopted by IT: entry %d, %v", at, codes)
	}
	if at, codes := c.decide(t, "2031-01-01", adoption, "CLERK", "IT"); at != 0 || codes[1] != ledger.CodeNotGoverning {
		t.Errorf("a schedule adopted by CLERK and IT: entry %d, %v", at, codes)
	}
	key := signingKey("DPW", "DPW/2")
	if at, codes := c.decide(t, "2031-01-01", key, "CLERK", "COUNSEL"); at != 0 || codes[1] != ledger.OK {
		t.Errorf("a key registered by records alone: entry %d, %v", at, codes)
	}
	c.decided(t, "2031-01-01", adoption, "CLERK", "COUNSEL")
	c.decided(t, "2031-01-01", key, "CLERK", "IT")
}

func TestS1_11_LocalRuleIsNeverShorter(t *testing.T) {
	c := scheduled(t)
	tests := []struct {
		text string
		want ledger.Code
	}{
		{"2 years after created", ledger.CodeShorterThanState},
		{"3 years after closed", ledger.CodeShorterThanState},
		{"earlier of (3 years after created, until audited)", ledger.CodeShorterThanState},
		{"none", ledger.CodeShorterThanState},
		{"3 years after created", ledger.OK},
		{"later of (3 years after created, until audited)", ledger.OK},
		{"indefinite", ledger.OK},
	}
	for i, test := range tests {
		version := uint32(i + 1)
		c.decided(t, "2031-01-02", ruleIn(t, "CITY", version, "CT-PERMITS", test.text), "CLERK")
		c.decided(t, "2031-01-02", ruleIn(t, "CITY", version, "CT-ELSE", "none"), "CLERK") // the state says nothing of it
		at, codes := c.decide(t, "2031-01-02", c.adoption(t, "CITY", version, false, "2031-01-01"), "CLERK", "COUNSEL")
		if codes[0] != test.want || (at != 0) != (test.want == ledger.OK) {
			t.Errorf("%q: %v, entry %d, want %s", test.text, codes, at, test.want)
		}
	}
}

// TestS1_11_StateDecidesOnItsSchedule wants the Public Records Administrator's
// approval, by a key and an office that count, and no way around it.
func TestS1_11_StateDecidesOnItsSchedule(t *testing.T) {
	c := found(t, stateFacts())
	c.decided(t, "2031-01-01", ruleIn(t, "CT", 1, "CT-PERMITS", "3 years after created"), "CLERK")
	adoption := c.adoption(t, "CT", 1, true, "2031-01-01")
	if at, _ := c.decide(t, "2031-01-01", adoption, "CLERK", "COUNSEL"); at != 0 {
		t.Errorf("adopted at %d without the state", at)
	}
	if at, _ := c.decide(t, "2031-01-01", adoption, "PRA", "CLERK"); at != 0 {
		t.Errorf("adopted at %d by the state and one office that governs", at)
	}
	for _, other := range []string{"ARCHIVE", "CAO", "IT"} {
		if at, codes := c.decide(t, "2031-01-01", adoption, "CLERK", "COUNSEL", other); at != 0 || codes[2] != ledger.CodeNotGoverning {
			t.Errorf("adopted at %d with %s: %v", at, other, codes)
		}
	}
	// An approval that a suspension made void does not count.
	height := c.view.Head().Height + 1
	_, results := c.apply(t, at("2031-01-01"), c.sign(t, "PRA", day("2031-01-02"), &record.ProposeChange{Fact: adoption}))
	hash, _ := record.FactHash(adoption)
	approve := &record.ApproveChange{Proposal: results[0].TxIndex + 1, FactHash: hash}
	c.apply(t, at("2031-01-01"), c.sign(t, "IT", day("2031-01-02"), &record.SuspendKey{KeyID: keyID("PRA"), SinceHeight: height}))
	c.decided(t, "2031-01-01", signingKey("PRA", "PRA/2"), "CLERK", "IT")
	_, results = c.apply(t, at("2031-01-01"), c.sign(t, "CLERK", day("2031-01-02"), approve), c.sign(t, "COUNSEL", day("2031-01-02"), approve))
	if results[1].Code != ledger.OK || results[1].Count != 1 {
		t.Errorf("with a void approval: %+v", results[1])
	}
	_, results = c.apply(t, at("2031-01-01"), c.sign(t, "PRA/2", day("2031-01-02"), approve))
	if results[0].Code != ledger.OK || results[0].Count != 2 {
		t.Errorf("with a new key of the administrator: %+v", results[0])
	}
	// Once of the state, always of the state.
	c.decided(t, "2031-01-02", ruleIn(t, "CT", 2, "CT-OTHER", "none"), "CLERK")
	if _, codes := c.decide(t, "2031-01-02", c.adoption(t, "CT", 2, false, "2031-01-01"), "CLERK", "COUNSEL"); codes[0] != ledger.CodeWrongAuthority {
		t.Errorf("a local version of a schedule of the state: %v", codes)
	}
}

// TestVersionIsFull fills a version to its limit.
func TestVersionIsFull(t *testing.T) {
	c := found(t, stateFacts())
	var txs [][]byte
	for i := range record.MaxScheduleRules {
		r := ruleIn(t, "CT", 1, record.Code(fmt.Sprintf("CT-%04d", i)), "1 year after created")
		txs = append(txs, c.sign(t, "CLERK", day("2031-01-02"), &record.ProposeChange{Fact: r}))
	}
	for part := range slices.Chunk(txs, ledger.OfficeTxs) {
		_, results := c.apply(t, at("2031-01-01"), part...)
		for i, r := range results {
			if r.Code != ledger.OK || r.Count != 2 {
				t.Fatalf("rule %d: %+v", i, r)
			}
		}
	}
	c.refused(t, c.sign(t, "CLERK", day("2031-01-02"), &record.ProposeChange{Fact: ruleIn(t, "CT", 1, "CT-X", "none")}), ledger.CodeTooLarge)
	adopted := c.decided(t, "2031-01-01", c.adoption(t, "CT", 1, true, "2031-01-01"), "CLERK", "COUNSEL", "PRA")
	v, ok, err := ledger.VersionOf(c.view, "CT", 1)
	if err != nil || !ok || v.Adopted != adopted || len(v.Series) != record.MaxScheduleRules || !slices.IsSorted(v.Series) {
		t.Errorf("version = adopted %d with %d series, %t, %v", v.Adopted, len(v.Series), ok, err)
	}
}

// TestInForce picks among adoptions by their days.
func TestInForce(t *testing.T) {
	version := func(schedule record.Code, version uint32, adopted, effective string) ledger.AdoptedRule {
		return ledger.AdoptedRule{
			Schedule: schedule, Stated: record.Index(version),
			Adoption: ledger.Adoption{Version: version, Day: day(adopted), Effective: day(effective)},
		}
	}
	gone := version("A", 4, "2031-05-01", "2031-05-01")
	gone.Stated = 0
	rules := []ledger.AdoptedRule{
		version("A", 1, "2031-01-01", "2020-01-01"), // from the day of its adoption
		version("A", 3, "2031-01-02", "2031-04-01"),
		version("B", 1, "2031-01-03", "2031-01-03"),
		version("A", 2, "2031-02-01", "2031-02-01"),
		version("A", 5, "2031-02-01", "2031-02-01"), // of one day the last that was adopted
		gone,
		version("A", 6, "2031-06-01", "2031-06-01"),
	}
	tests := []struct{ day, want string }{
		{"2030-12-31", "[]"}, {"2031-01-01", "[A1]"}, {"2031-01-02", "[A1]"}, {"2031-01-03", "[A1 B1]"}, {"2031-02-01", "[A5 B1]"},
		{"2031-04-01", "[A3 B1]"}, {"2031-05-01", "[B1]"}, {"2031-05-31", "[B1]"}, {"2031-06-01", "[A6 B1]"},
	}
	for _, test := range tests {
		got := []string{}
		for _, r := range ledger.InForce(rules, day(test.day)) {
			got = append(got, fmt.Sprintf("%s%d", r.Schedule, r.Version))
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("on %s %v are in force, want %s", test.day, got, test.want)
		}
	}
}

// TestFollowedSeriesIsBoundByAllItsRules lets a series follow another one that a
// state and a local rule bind, then a later version of it.
func TestFollowedSeriesIsBoundByAllItsRules(t *testing.T) {
	c := found(t, stateFacts())
	c.schedule(t, "2031-01-01", true, "2031-01-01",
		ruleIn(t, "CT", 1, "CT-PERMITS", "2 years after created"), ruleIn(t, "CT", 1, "CT-NOTES", "as series CT-PERMITS"))
	c.decided(t, "2031-01-01", activation("CT-NOTES", "DPW", "2031-01-01"), signOffs...)
	due := func(i record.Index) string {
		t.Helper()
		item, ok, err := ledger.NewInquiry(c.view).Item(i)
		if err != nil || !ok {
			t.Fatalf("record %d: %t, %v", i, ok, err)
		}
		return item.Verdict.Due.String()
	}
	early := c.anchored(t, "2031-01-02", "DPW", "CT-NOTES", "early")
	if got := due(early); got != "2033-01-03" {
		t.Errorf("under the state's rule due on %s", got)
	}
	c.schedule(t, "2031-01-03", false, "2031-01-03", ruleIn(t, "CITY", 1, "CT-PERMITS", "4 years after created"))
	if got := due(early); got != "2035-01-03" {
		t.Errorf("under both rules due on %s", got)
	}
	// The local rule shortened to the state's: it goes on to bind what was anchored under it.
	late := c.anchored(t, "2031-01-04", "DPW", "CT-NOTES", "late")
	_, results := c.apply(t, at("2031-01-04"), c.sign(t, "DPW", day("2031-01-05"), anchors("CT-NOTES", day("2031-01-02"), "twin")))
	twin := results[0].TxIndex + 1
	c.schedule(t, "2031-01-05", false, "2031-01-05", ruleIn(t, "CITY", 2, "CT-PERMITS", "3 years after created"))
	if got := [2]string{due(early), due(late)}; got != [2]string{"2034-01-03", "2035-01-05"} {
		t.Errorf("early and late are due on %v", got)
	}
	// One reader for records of one day: what it remembers of the one is not said of the other.
	q := ledger.NewInquiry(c.view)
	for _, test := range []struct {
		i    record.Index
		want string
	}{{early, "2034-01-03"}, {twin, "2035-01-03"}, {early, "2034-01-03"}} {
		if item, _, err := q.Item(test.i); err != nil || item.Verdict.Due.String() != test.want {
			t.Errorf("record %d is due on %s, %v, want %s", test.i, item.Verdict.Due, err, test.want)
		}
	}
	// A rule that cannot be read is an error, and not a missing rule.
	damaged := altered{View: c.view, key: ledger.StateKeyRules("CT-PERMITS"), value: []byte{0x80}}
	if item, _, err := ledger.NewInquiry(damaged).Item(late); err == nil {
		t.Errorf("with a damaged rule: %+v", item.Verdict)
	}
}
