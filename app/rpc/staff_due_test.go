package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// due asks for a due list and gives its items, its totals and how many items
// each message held.
func (c *city) due(office record.Code, r *apiv1.DueRequest) (items []*apiv1.DueItem, totals *apiv1.DueTotals, sizes []int, err error) {
	c.t.Helper()
	stream, err := apiv1.NewRecordsStaffClient(c.as(office)).Due(within10s(c.t), r)
	if err != nil {
		return nil, nil, nil, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return items, totals, sizes, nil
		}
		if err != nil {
			return nil, nil, nil, err
		}
		if totals != nil {
			c.t.Fatal("a message follows the totals")
		}
		items, totals, sizes = append(items, m.Items...), m.Totals, append(sizes, len(m.Items))
	}
}

// said is an item in words.
func (a *archive) said(i *apiv1.DueItem) string {
	words := []string{fmt.Sprint("record ", i.Index)}
	for name, index := range a.records {
		if uint64(index) == i.Index {
			words[0] = name + ":"
		}
	}
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	add("%s %s/%s", strings.TrimPrefix(i.Standing.String(), "STANDING_"), i.Department, i.Series)
	if i.Undated {
		add("undated")
	} else {
		add("of %s", record.Day(i.Day))
	}
	if i.Known {
		add("due %s", record.Day(i.DueDay))
	}
	for _, missing := range i.Missing {
		add("lacks %s", missing)
	}
	for _, hold := range i.Holds {
		add("hold %s", map[record.Index]string{a.scope: "scope", a.listed: "listed", a.ended: "ended"}[record.Index(hold)])
	}
	if i.Disposition != 0 {
		add("locked %t", record.Index(i.Disposition) == a.locked)
	}
	if i.OneByOne {
		add("alone")
	}
	add("by %s", strings.Join(i.Approvals, "+"))
	return strings.Join(words, " ")
}

// everything is how the archive's records stand.
var everything = []string{
	"due: DUE DPW/DEMO-MINUTES of 2027-12-31 due 2031-01-01 by CLERK",
	"not yet: NOT_YET DPW/DEMO-MINUTES of 2028-01-01 due 2031-01-02 by CLERK",
	"old: DUE DPW/DEMO-MINUTES of 1899-12-31 due 1903-01-01 alone by CLERK+STATE_RECORDS",
	"undated: HELD DPW/DEMO-MINUTES undated lacks the date of the record hold scope alone by CLERK+STATE_RECORDS",
	"permanent: PERMANENT DPW/DEMO-PLANS of 2000-01-01 by CLERK",
	"open case: WAITING DPW/DEMO-CASES of 2020-01-01 lacks the day on which the case or file was closed by CLERK",
	"closed case: DUE DPW/DEMO-CASES of 2020-02-02 due 2023-07-01 by CLERK",
	"mail: DUE DPW/DEMO-MAIL of 2030-12-31 by CLERK+STATE_ARCHIVIST",
	"held: HELD DPW/DEMO-MINUTES of 2020-01-01 due 2023-01-02 hold listed by CLERK",
	"held twice: HELD DPW/DEMO-MINUTES of 2020-01-02 due 2023-01-03 hold scope hold listed by CLERK",
	"freed: DUE DPW/DEMO-MINUTES of 2020-01-03 due 2031-01-01 by CLERK",
	"locked: LOCKED DPW/DEMO-MINUTES of 2020-01-04 due 2023-01-05 locked true by CLERK",
}

// pick gives the lines of everything that begin with one of the names.
func pick(names ...string) (lines []string) {
	for _, line := range everything {
		if name, _, _ := strings.Cut(line, ":"); slices.Contains(names, name) {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestDueListsWhereRecordsStand: the whole list and its parts, by any office.
func TestDueListsWhereRecordsStand(t *testing.T) {
	a := kept(t, nil)
	a.do("CLERK", &record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: record.Commitment{9}, Day: today}}})
	locked, held, permanent := apiv1.Standing_STANDING_LOCKED, apiv1.Standing_STANDING_HELD, apiv1.Standing_STANDING_PERMANENT
	waiting, notYet, due := apiv1.Standing_STANDING_WAITING, apiv1.Standing_STANDING_NOT_YET, apiv1.Standing_STANDING_DUE
	whole := map[apiv1.Standing]uint64{locked: 1, held: 3, permanent: 1, waiting: 1, notYet: 1, due: 5}
	for _, test := range []struct {
		what   string
		r      *apiv1.DueRequest
		items  []string
		totals map[apiv1.Standing]uint64
	}{
		{"of the department", &apiv1.DueRequest{Department: "DPW"}, everything, whole},
		{"what is due", &apiv1.DueRequest{Department: "DPW", Standings: []apiv1.Standing{due}}, pick("due", "old", "closed case", "mail", "freed"), whole},
		{"what is held or locked", &apiv1.DueRequest{Department: "DPW", Standings: []apiv1.Standing{held, locked}}, pick("undated", "held", "held twice", "locked"), whole},
		{"the first three", &apiv1.DueRequest{Department: "DPW", Limit: 3}, everything[:3], whole},
		{"the first two that are held", &apiv1.DueRequest{Department: "DPW", Limit: 2, Standings: []apiv1.Standing{held}}, pick("undated", "held"), whole},
		{"of a series", &apiv1.DueRequest{Series: "DEMO-CASES"}, pick("open case", "closed case"), map[apiv1.Standing]uint64{waiting: 1, due: 1}},
		{"of days", &apiv1.DueRequest{Dated: true, FromDay: int32(day("2020-01-02")), ToDay: int32(day("2020-02-02"))},
			pick("closed case", "held twice", "freed", "locked"), map[apiv1.Standing]uint64{due: 2, held: 1, locked: 1}},
		{"of a day before 1970", &apiv1.DueRequest{Dated: true, FromDay: -30_000, ToDay: -20_000}, pick("old"), map[apiv1.Standing]uint64{due: 1}},
		{"of a department that has none", &apiv1.DueRequest{Department: "AUDIT"}, nil, nil},
		{"of named records", &apiv1.DueRequest{Records: numbers([]record.Index{a.records["due"], a.records["undated"], a.records["locked"]})},
			pick("due", "undated", "locked"), map[apiv1.Standing]uint64{due: 1, held: 1, locked: 1}},
		{"of named records, those that are due", &apiv1.DueRequest{Records: numbers([]record.Index{a.records["due"], a.records["undated"]}), Standings: []apiv1.Standing{due}},
			pick("due"), map[apiv1.Standing]uint64{due: 1, held: 1}},
	} {
		items, totals, _, err := a.due("AUDIT", test.r)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		var got []string
		for _, i := range items {
			got = append(got, a.said(i))
		}
		if !slices.Equal(got, test.items) {
			t.Errorf("%s:\n%s\nwant\n%s", test.what, strings.Join(got, "\n"), strings.Join(test.items, "\n"))
		}
		var sum uint64
		var order []apiv1.Standing
		for _, s := range totals.Standings {
			if sum += s.Records; s.Records != test.totals[s.Standing] {
				t.Errorf("%s: %d are %s, want %d", test.what, s.Records, s.Standing, test.totals[s.Standing])
			}
			order = append(order, s.Standing)
		}
		if len(order) != len(test.totals) || !slices.IsSorted(order) || totals.Records != sum {
			t.Errorf("%s: totals %v", test.what, totals)
		}
		if head := a.node.View().Head(); totals.LedgerDay != int32(today) || totals.LogSize != uint64(head.Size) {
			t.Errorf("%s: judged on %d with a log of %d, want %d and %d", test.what, totals.LedgerDay, totals.LogSize, today, head.Size)
		}
	}
}

// TestDryRunFlagsWhatIsNoRecord: whatever the index, it is listed and counted.
func TestDryRunFlagsWhatIsNoRecord(t *testing.T) {
	a := kept(t, nil)
	size := uint64(a.node.View().Head().Size)
	records := []uint64{0, uint64(a.records["due"]), uint64(a.scope), size - 1, size, 1 << 63}
	items, totals, _, err := a.due("DPW", &apiv1.DueRequest{Records: records, Standings: []apiv1.Standing{apiv1.Standing_STANDING_HELD}})
	if err != nil {
		t.Fatal(err)
	}
	for n, index := range slices.Delete(slices.Clone(records), 1, 2) {
		if n >= len(items) || !proto.Equal(items[n], &apiv1.DueItem{Index: index, Unknown: true}) {
			t.Fatalf("items %v, want %d flagged as unknown", items, index)
		}
	}
	want := &apiv1.DueTotals{Records: 6, LedgerDay: int32(today), LogSize: size, Standings: []*apiv1.StandingTotal{
		{Standing: apiv1.Standing_STANDING_UNSPECIFIED, Records: 5}, {Standing: apiv1.Standing_STANDING_DUE, Records: 1},
	}}
	if len(items) != 5 || !proto.Equal(totals, want) {
		t.Errorf("%d items, totals %v, want %v", len(items), totals, want)
	}
}

// TestDryRunEqualsTheRealRun proposes every record of the list alone.
func TestDryRunEqualsTheRealRun(t *testing.T) {
	a := kept(t, nil)
	items, _, _, err := a.due("DPW", &apiv1.DueRequest{})
	if err != nil || len(items) != len(everything) {
		t.Fatalf("%d items, %v", len(items), err)
	}
	want := map[apiv1.Standing]string{
		apiv1.Standing_STANDING_LOCKED: "ALREADY_LOCKED", apiv1.Standing_STANDING_HELD: "HELD", apiv1.Standing_STANDING_PERMANENT: "NOT_DUE",
		apiv1.Standing_STANDING_WAITING: "NOT_DUE", apiv1.Standing_STANDING_NOT_YET: "NOT_DUE", apiv1.Standing_STANDING_DUE: "OK",
	}
	departments := apiv1.NewDepartmentsClient(a.as("DPW"))
	for _, i := range items {
		raw := a.tx("DPW", &record.ProposeDisposition{Series: record.Code(i.Series), Action: record.ActionDestroy, Records: []record.Index{record.Index(i.Index)}})
		got, err := departments.Submit(within10s(t), &apiv1.SubmitRequest{Transaction: raw})
		entries := uint64(1) // of the proposal, or of its refusal
		if i.Standing == apiv1.Standing_STANDING_LOCKED {
			entries = 0
		}
		if err != nil || got.Reason != want[i.Standing] || got.Count != entries || entries > 0 && got.FirstIndex != got.TransactionIndex+1 {
			t.Errorf("%s: %v, %v, want %s and %d entries", a.said(i), got, err, want[i.Standing], entries)
		}
	}
}

// TestStandingsHaveOneName: those of the ledger and those of the wire.
func TestStandingsHaveOneName(t *testing.T) {
	for n, name := range apiv1.Standing_name {
		if n == 0 {
			continue
		}
		if got := "STANDING_" + ledger.Standing(n).String(); got != name {
			t.Errorf("standing %d is %s here, %s on the wire", n, got, name)
		}
	}
	if len(apiv1.Standing_name) != int(standings) {
		t.Errorf("%d standings on the wire, want %d", len(apiv1.Standing_name), standings)
	}
}

// TestLongListsComeInParts: a thousand items a message, the totals with the last.
func TestLongListsComeInParts(t *testing.T) {
	c := newCity(t, nil)
	c.adopt(rule("DEMO-MINUTES", "3 years after created"))
	for _, count := range []int{1000, 1000, 345} {
		m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
		for i := range count {
			item := record.AnchorItem{Day: today - record.Day(i)}
			binary.BigEndian.PutUint64(item.Commitment[:], uint64(c.nonces.Load())<<32|uint64(i))
			m.Items = append(m.Items, item)
		}
		c.do("DPW", m)
	}
	items, totals, sizes, err := c.due("DPW", &apiv1.DueRequest{})
	if err != nil || !slices.Equal(sizes, []int{1000, 1000, 345}) || totals.GetRecords() != 2345 {
		t.Fatalf("messages of %v, totals %v, %v", sizes, totals, err)
	}
	for n := range items[1:] {
		if items[n].Index >= items[n+1].Index {
			t.Fatalf("item %d is record %d, the next one %d", n, items[n].Index, items[n+1].Index)
		}
	}
	if _, _, sizes, err = c.due("DPW", &apiv1.DueRequest{Limit: 2000}); err != nil || !slices.Equal(sizes, []int{1000, 1000, 0}) {
		t.Errorf("the first 2000: messages of %v, %v", sizes, err)
	}
}

// TestDueRefuses: requests that make no sense.
func TestDueRefuses(t *testing.T) {
	c := newCity(t, nil)
	many := make([]uint64, record.MaxRecords+1)
	for i := range many {
		many[i] = uint64(i)
	}
	for _, test := range []struct {
		what string
		r    *apiv1.DueRequest
		want string
	}{
		{"department that is no code", &apiv1.DueRequest{Department: "public works"}, "MALFORMED"},
		{"series that is no code", &apiv1.DueRequest{Series: "demo-mail"}, "MALFORMED"},
		{"unknown standing", &apiv1.DueRequest{Standings: []apiv1.Standing{8}}, "MALFORMED"},
		{"negative standing", &apiv1.DueRequest{Standings: []apiv1.Standing{-1}}, "MALFORMED"},
		{"no standing", &apiv1.DueRequest{Standings: []apiv1.Standing{0}}, "MALFORMED"},
		{"days the wrong way round", &apiv1.DueRequest{Dated: true, FromDay: 2, ToDay: 1}, "MALFORMED"},
		{"days that are not asked for", &apiv1.DueRequest{FromDay: 1, ToDay: 2}, "MALFORMED"},
		{"records of a department", &apiv1.DueRequest{Records: []uint64{1}, Department: "DPW"}, "MALFORMED"},
		{"records of a series", &apiv1.DueRequest{Records: []uint64{1}, Series: "DEMO-MAIL"}, "MALFORMED"},
		{"records of days", &apiv1.DueRequest{Records: []uint64{1}, Dated: true}, "MALFORMED"},
		{"records in disorder", &apiv1.DueRequest{Records: []uint64{2, 1}}, "MALFORMED"},
		{"a record twice", &apiv1.DueRequest{Records: []uint64{2, 2}}, "MALFORMED"},
		{"too many records", &apiv1.DueRequest{Records: many}, "TOO_LARGE"},
	} {
		_, _, _, err := c.due("DPW", test.r)
		wantReason(t, test.what, err, test.want)
	}
	if _, _, _, err := c.due("DPW", &apiv1.DueRequest{Records: many[:record.MaxRecords]}); err != nil {
		t.Errorf("as many records as may be: %v", err)
	}
}

// TestDueListsAreBounded: an office has two under way, whatever other offices do,
// and each ends in time.
func TestDueListsAreBounded(t *testing.T) {
	a := kept(t, nil)
	under := func(code record.Code) int {
		a.server.inquiries.mu.Lock()
		defer a.server.inquiries.mu.Unlock()
		return a.server.inquiries.runs["office "+string(code)]
	}
	for range standard.inquiries {
		if err := a.server.inquiries.enter("office DPW", standard.inquiries); err != nil {
			t.Fatal(err)
		}
	}
	_, _, _, err := a.due("DPW", &apiv1.DueRequest{})
	wantReason(t, "a list too many", err, "BUSY")
	if _, _, _, err := a.due("CLERK", &apiv1.DueRequest{}); err != nil {
		t.Errorf("another office: %v", err)
	}
	a.server.inquiries.leave("office DPW")
	if _, _, _, err := a.due("DPW", &apiv1.DueRequest{}); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
	eventually(t, "lists are counted out", func() bool { return under("DPW") == standard.inquiries-1 && under("CLERK") == 0 })
	if _, _, _, err := a.due("CLERK", &apiv1.DueRequest{Standings: []apiv1.Standing{9}}); reasonIn(err) != "MALFORMED" || under("CLERK") != 0 {
		t.Errorf("a refused list is under way: %v", err)
	}

	slow := kept(t, func(l *limits) { l.inquiry = time.Nanosecond })
	_, _, _, err = slow.due("DPW", &apiv1.DueRequest{})
	wantReason(t, "a list that takes too long", err, "DEADLINE")
	eventually(t, "it is counted out", func() bool { return slow.underWay("DPW") == 0 })
}

// TestStaffAreToldNoTitles: what is sealed is in no answer.
func TestStaffAreToldNoTitles(t *testing.T) {
	c := newCity(t, nil)
	_, index := c.anchored(minutes, "Canary of a title")
	items, _, _, err := c.due("AUDIT", &apiv1.DueRequest{})
	if err != nil || len(items) != 1 || items[0].Index != uint64(index) {
		t.Fatalf("%v, %v", items, err)
	}
	why, err := apiv1.NewRecordsStaffClient(c.as("AUDIT")).Why(context.Background(), &apiv1.WhyRequest{Record: byIndex(index)})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{items[0], why} {
		if b := must(proto.Marshal(m)); strings.Contains(string(b), "anary") {
			t.Errorf("%T tells the title", m)
		}
	}
}
