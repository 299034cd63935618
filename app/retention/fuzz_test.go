package retention

import (
	"encoding/binary"
	"reflect"
	"testing"
	"time"
)

func FuzzParse(f *testing.F) {
	for _, text := range spellings {
		f.Add(text)
	}
	for _, row := range sixtyRows {
		f.Add(row.rule)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse(text)
		if err != nil {
			if !r.Equal(Rule{}) {
				t.Fatalf("Parse(%q) gives %+v with its error", text, r)
			}
			return
		}
		if r.String() != text {
			t.Fatalf("Parse(%q) is written %q", text, r)
		}
		if err := r.Check(); err != nil {
			t.Fatalf("Parse(%q) gives what does not pass its check: %v", text, err)
		}
		if !NotShorter(r, r) {
			t.Fatalf("%q is shorter than itself", text)
		}
	})
}

// Whatever the rule and the facts, Evaluate gives a verdict, and the same again.
func FuzzEvaluate(f *testing.F) {
	for _, text := range spellings {
		f.Add(text, []byte("\x02\x00\x00\x50\x00\x0a\x00\x00\x50\x00"), int32(19000), int32(20000), uint8(7))
	}
	f.Fuzz(func(t *testing.T, text string, facts []byte, created, today int32, fiscal uint8) {
		r, err := Parse(text)
		if err != nil { // a rule that nobody checked
			r = Rule{
				Kind: Kind(fiscal), Count: uint32(created), Unit: Unit(today), Event: Event(today), Year: YearKind(created), Series: text,
				Rules: []Rule{{Kind: After, Event: Closed}, {Kind: Kind(len(facts))}},
			}
		}
		record := Facts{Created: Day(created), Undated: fiscal > 100, FiscalStart: time.Month(fiscal), Series: text}
		for ; len(facts) >= 5; facts = facts[5:] {
			d := Day(binary.BigEndian.Uint32(facts[1:]))
			record.Events = append(record.Events, Fact{Event(facts[0]), d})
			record.Audits = append(record.Audits, Audit{d, Day(facts[0])})
		}
		file := record
		file.Series = r.Series
		record.File = &file
		lookup := func(string) (Rule, bool) { return r, fiscal%2 == 0 }
		v := Evaluate(r, record, Day(today), lookup)
		if !v.Status.Valid() || len(v.Why) == 0 || v.Status == Due && v.Due > Day(today) || v.Status == NotYet && v.Due <= Day(today) && v.Due <= MaxDay {
			t.Fatalf("%+v: %+v", r, v)
		}
		if again := Evaluate(r, record, Day(today), lookup); !reflect.DeepEqual(again, v) {
			t.Fatalf("%+v, and again: %+v", v, again)
		}
		v.Why = nil
		if short := Judge(r, record, Day(today), lookup); !reflect.DeepEqual(short, v) {
			t.Fatalf("Evaluate %+v, Judge %+v", v, short)
		}
	})
}
