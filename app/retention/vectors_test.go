package retention

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the vectors anew; then read the diff")

const vectorsFile = "../../docs/spec/vectors/retention.json"

type vectors struct {
	About    string          `json:"about"`
	Sums     []sumVector     `json:"sums"`
	YearEnds []yearVector    `json:"yearEnds"`
	Rules    []ruleVector    `json:"rules"`
	Refused  []string        `json:"refused"`
	Schedule []seriesVector  `json:"schedule"` // for all verdicts
	Records  []factsJSON     `json:"records"`
	Verdicts []verdictVector `json:"verdicts"`
	Shorter  []shorterVector `json:"shorter"`
}

type sumVector struct {
	Day   string `json:"day"`
	Count uint32 `json:"count"`
	Unit  Unit   `json:"unit"`
	Sum   string `json:"sum"`
}

type yearVector struct {
	Day   string     `json:"day"`
	Year  YearKind   `json:"year"`
	Start time.Month `json:"start"`
	End   string     `json:"end"`
}

type ruleVector struct {
	Text string    `json:"text"`
	Tree *treeJSON `json:"tree"`
}

type treeJSON struct {
	Kind   Kind        `json:"kind"`
	Count  uint32      `json:"count,omitempty"`
	Unit   Unit        `json:"unit,omitempty"`
	Event  Event       `json:"event,omitempty"`
	Year   YearKind    `json:"year,omitempty"`
	Series string      `json:"series,omitempty"`
	Rules  []*treeJSON `json:"rules,omitempty"`
}

type seriesVector struct {
	Series string `json:"series"`
	Rule   string `json:"rule"`
}

type factsJSON struct {
	Created     *string     `json:"created"` // null: undated
	Events      [][2]string `json:"events"`  // event, day
	Audits      [][2]string `json:"audits"`  // through, posted
	FiscalStart time.Month  `json:"fiscalStart"`
	Series      string      `json:"series"`
	File        *factsJSON  `json:"file"`
}

type verdictVector struct {
	Rule    string   `json:"rule"`
	Record  int      `json:"record"` // which of the records, from 0
	Today   string   `json:"today"`
	Status  string   `json:"status"`
	Due     *Day     `json:"due"` // as a number: it may lie one day after the calendar
	Missing []string `json:"missing"`
	Review  bool     `json:"review"`
	Notice  string   `json:"notice"` // as in "30 days", or ""
}

type shorterVector struct {
	Local      string `json:"local"`
	State      string `json:"state"`
	NotShorter bool   `json:"notShorter"`
}

func treeOf(r Rule) *treeJSON {
	tree := &treeJSON{Kind: r.Kind, Count: r.Count, Unit: r.Unit, Event: r.Event, Year: r.Year, Series: r.Series}
	for _, part := range r.Rules {
		tree.Rules = append(tree.Rules, treeOf(part))
	}
	return tree
}

func factsOut(f Facts) factsJSON {
	out := factsJSON{Events: [][2]string{}, Audits: [][2]string{}, FiscalStart: f.FiscalStart, Series: f.Series}
	if !f.Undated {
		created := f.Created.String()
		out.Created = &created
	}
	for _, fact := range f.Events {
		out.Events = append(out.Events, [2]string{fact.Event.String(), fact.Day.String()})
	}
	for _, audit := range f.Audits {
		out.Audits = append(out.Audits, [2]string{audit.Through.String(), audit.Posted.String()})
	}
	if f.File != nil {
		file := factsOut(*f.File)
		out.File = &file
	}
	return out
}

func factsIn(t *testing.T, in factsJSON) Facts {
	f := Facts{Undated: in.Created == nil, FiscalStart: in.FiscalStart, Series: in.Series}
	if in.Created != nil {
		f.Created = day(t, *in.Created)
	}
	for _, fact := range in.Events {
		event, err := ParseEvent(fact[0])
		if err != nil {
			t.Fatal(err)
		}
		f.Events = append(f.Events, Fact{event, day(t, fact[1])})
	}
	for _, audit := range in.Audits {
		f.Audits = append(f.Audits, Audit{day(t, audit[0]), day(t, audit[1])})
	}
	if in.File != nil {
		file := factsIn(t, *in.File)
		f.File = &file
	}
	return f
}

// compute fills in what the code says about the inputs of a vector.
func (v *verdictVector) compute(t *testing.T, records []factsJSON, lookup Lookup) {
	got := Judge(rule(t, v.Rule), factsIn(t, records[v.Record]), day(t, v.Today), lookup)
	v.Status, v.Due, v.Missing, v.Review, v.Notice = got.Status.String(), nil, []string{}, got.Review, ""
	if got.Status == Due || got.Status == NotYet {
		v.Due = &got.Due
	}
	v.Missing = append(v.Missing, got.Missing...)
	if got.NoticeCount > 0 {
		v.Notice = period(got.NoticeCount, got.NoticeUnit)
	}
}

// computed gives vectors with the same inputs and the outputs of the code.
func (v vectors) computed(t *testing.T) vectors {
	var rules [][2]string
	for _, s := range v.Schedule {
		rules = append(rules, [2]string{s.Series, s.Rule})
	}
	lookup := schedule(t, rules...)
	out := v
	out.Sums, out.YearEnds, out.Rules, out.Verdicts, out.Shorter = nil, nil, nil, nil, nil
	for _, s := range v.Sums {
		s.Sum = Add(day(t, s.Day), s.Count, s.Unit).String()
		out.Sums = append(out.Sums, s)
	}
	for _, y := range v.YearEnds {
		y.End = EndOfYear(day(t, y.Day), y.Year, y.Start).String()
		out.YearEnds = append(out.YearEnds, y)
	}
	for _, r := range v.Rules {
		r.Tree = treeOf(rule(t, r.Text))
		out.Rules = append(out.Rules, r)
	}
	for _, text := range v.Refused {
		if _, err := Parse(text); err == nil {
			t.Errorf("vectors: %q is to be refused", text)
		}
	}
	for _, c := range v.Verdicts {
		c.compute(t, v.Records, lookup)
		out.Verdicts = append(out.Verdicts, c)
	}
	for _, s := range v.Shorter {
		s.NotShorter = NotShorter(rule(t, s.Local), rule(t, s.State))
		out.Shorter = append(out.Shorter, s)
	}
	return out
}

// inputs chooses what the vectors are about.
func inputs(t *testing.T) vectors {
	v := vectors{
		About: "Retention rules, docs/spec/retention.md. Numbers of kinds, units, events and years are those of the page. Due days count from 1970-01-01.",
	}
	for _, text := range []string{"0001-01-31", "1896-02-29", "1899-12-31", "1969-12-31", "2023-01-31", "2024-01-31", "2024-02-29", "2024-12-31", "9998-12-31", "9999-11-30"} {
		for _, n := range []uint32{0, 1, 4, 13, 99999} {
			for u := Days; u <= Years; u++ {
				v.Sums = append(v.Sums, sumVector{Day: text, Count: n, Unit: u})
			}
		}
		for _, start := range []time.Month{1, 3, 7, 12} {
			v.YearEnds = append(v.YearEnds, yearVector{Day: text, Year: FiscalYear, Start: start})
		}
		v.YearEnds = append(v.YearEnds, yearVector{Day: text, Year: CalendarYear})
	}
	for _, text := range spellings {
		v.Rules = append(v.Rules, ruleVector{Text: text})
	}
	v.Refused = []string{
		"", "forever", "Permanent", " permanent", "permanent ", "3  years after created", "1 years after created", "2 year after created",
		"0 years after created", "03 years after created", "100000 years after created", "3 years after clsoed", "until createdx",
		"later of (permanent)", "later of (none,none)", "later of (none, none", "as series ct-1", "as series -1", "as series 203-555-0100", "as series ABCDEFGHIJKLMNOPQ",
		"with the file of series ", "after 30 days: none", "until audited\n", "permanent, permanent",
		strings.Repeat("after archival review: ", 5) + "none", "later of (" + strings.Repeat("none, ", 8) + "none)",
	}
	for _, rules := range [][][2]string{rowRules, cornerRules} {
		for _, r := range rules {
			v.Schedule = append(v.Schedule, seriesVector{r[0], r[1]})
		}
	}
	for i, code := range someSeries[:2] { // the third stays without a rule
		v.Schedule = append(v.Schedule, seriesVector{code, anyRule(2).Example(7 + i).String()})
	}
	for _, c := range comparisons {
		v.Shorter = append(v.Shorter, shorterVector{Local: c.local, State: c.state})
	}
	for i := range 150 {
		local, state := anyRule(2).Example(2*i), anyRule(2).Example(2*i+1)
		v.Shorter = append(v.Shorter, shorterVector{Local: local.String(), State: state.String()},
			shorterVector{Local: Rule{Kind: Later, Rules: []Rule{local, state}}.String(), State: state.String()})
	}
	v.addVerdicts(t)
	return v
}

// addVerdicts chooses rules, records and days: each of the sixty rows around its
// last day, the corner cases, and rules and records at random.
func (v *vectors) addVerdicts(t *testing.T) {
	record := func(f Facts) int {
		v.Records = append(v.Records, factsOut(f))
		return len(v.Records) - 1
	}
	add := func(text string, record int, today string) {
		v.Verdicts = append(v.Verdicts, verdictVector{Rule: text, Record: record, Today: today})
	}
	bareFacts, fullFacts := rowFacts(t)
	bare, full := record(bareFacts), record(fullFacts)
	for _, row := range sixtyRows {
		add(row.rule, bare, "9999-12-31")
		if last, err := ParseDay(row.until); err == nil {
			add(row.rule, full, last.String())
			add(row.rule, full, (last + 1).String())
		} else {
			add(row.rule, full, fullFacts.Created.String())
		}
	}
	for _, c := range corners(t) {
		if !strings.Contains(c.name, "a day b") { // days outside the calendar have no text
			add(c.rule, record(c.facts), "2032-01-01")
		}
	}
	for i := range 200 {
		add(anyRule(3).Example(i).String(), record(anyFacts(true).Example(1000+i)), nearDay().Example(i).String())
	}
}

// The published vectors say what the code says. Inputs are chosen
// anew with -rewrite only; else they are those of the file.
func TestVectorsArePublished(t *testing.T) {
	if *rewrite {
		raw, err := json.Marshal(inputs(t).computed(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, oneLineEach(t, raw), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	decoder := json.NewDecoder(bytes.NewReader(published))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v.Verdicts) < 100 || len(v.Sums) == 0 || len(v.YearEnds) == 0 || len(v.Rules) == 0 || len(v.Refused) == 0 || len(v.Shorter) == 0 {
		t.Fatal("the vectors are not all there")
	}
	computed := v.computed(t)
	for i, want := range v.Verdicts {
		got, _ := json.Marshal(computed.Verdicts[i])
		if published, _ := json.Marshal(want); !bytes.Equal(got, published) {
			t.Errorf("verdict %d: the code says\n%s, the vectors\n%s", i, got, published)
		}
	}
	raw, err := json.Marshal(computed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(oneLineEach(t, raw), published) {
		t.Errorf("%s is not what the code gives; run with -rewrite and read the diff", vectorsFile)
	}
}

// oneLineEach writes a JSON object of lists with one line for each element.
func oneLineEach(t *testing.T, raw []byte) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("{")
	for separator := "\n"; decoder.More(); separator = ",\n" {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		b.WriteString(separator + `"` + key.(string) + `": `)
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			b.Write(value)
			continue
		}
		b.WriteString("[")
		for i, element := range list {
			if i > 0 {
				b.WriteString(",")
			}
			b.WriteString("\n")
			b.Write(element)
		}
		b.WriteString("\n]")
	}
	b.WriteString("\n}\n")
	return b.Bytes()
}

// The twin is an independent implementation in JavaScript, written from the
// page. It must agree with the vectors, and not with wrong ones.
func TestTwinAgrees(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil { // it is in .ci/run
		t.Skip("the twin in JavaScript needs Node 20: ", err)
	}
	run := func(file string) (string, error) {
		out, err := exec.Command("node", "../../scripts/twin/retention.mjs", file).CombinedOutput()
		return string(out), err
	}
	if out, err := run(vectorsFile); err != nil {
		t.Fatalf("the twin disagrees: %v\n%s", err, out)
	}
	raw, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"status":"waiting"`, `"status":"not yet"`}, {`"sum":"2023-02-28"`, `"sum":"2023-03-01"`}, {`"end":"9999-12-31"`, `"end":"9999-11-30"`},
		{`"notShorter":true`, `"notShorter":false`}, {`"event":4`, `"event":5`}, {`"review":true`, `"review":false`}, {`"notice":"30 days"`, `"notice":""`},
		{`"forever"`, `"permanent"`}, {`"missing":["the day`, `"missing":["the night`},
	} {
		if !bytes.Contains(raw, []byte(change[0])) {
			t.Fatalf("the vectors lack %s", change[0])
		}
		wrong := t.TempDir() + "/wrong.json"
		if err := os.WriteFile(wrong, bytes.Replace(raw, []byte(change[0]), []byte(change[1]), 1), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := run(wrong); err == nil {
			t.Errorf("the twin accepts vectors with %s:\n%s", change[1], out)
		}
	}
}
