package custody

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

const minutes = "Council meeting\n\nPresent: five members.\n\nThe budget was read twice.\n\nAdjourned.\n"

func newHouse(t testing.TB) *house {
	t.Helper()
	c := &clock{}
	c.set(today)
	return openHouse(t, vfs.NewMem(), "house", newCity(t), c)
}

// TestRecordPath is the way of a record: deposit, anchor, restart, read, search,
// segments, copy, evidence. It runs again with nothing but FIPS 140-3.
func TestRecordPath(t *testing.T) {
	fs, ledger, clock := vfs.NewMem(), newCity(t), &clock{}
	clock.set(today)
	h := openHouse(t, fs, "house", ledger, clock)
	header, content := offer(minutes, "Minutes of May")
	want := mustDeposit(t, h.Custody, clerk, header, content)
	ref := Ref{"CLERK", want}
	ledger.block(t, startOf(today)+1e9, "CLERK", "DEMO-MINUTES", "CITY", want)
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.close()
	h = openHouse(t, fs, "house", ledger, clock)
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got, err := read(h.Custody, clerk, ref, CaseWork); err != nil || got != minutes {
		t.Errorf("read %q, %v", got, err)
	}
	index, _, err := ledger.View().AnchorIndex("CLERK", want)
	if err != nil {
		t.Fatal(err)
	}
	hits, more, err := h.Search(context.Background(), clerk, Query{Text: "OF MAY", Limit: 10})
	if wantHit := (Hit{want, "DEMO-MINUTES", "Minutes of May", "Minutes of May.txt", true, index}); err != nil || more || !slices.Equal(hits, []Hit{wantHit}) {
		t.Errorf("hits %+v, %v, %v; want %+v", hits, more, err, wantHit)
	}
	segments, err := h.Segments(context.Background(), clerk, ref, CaseWork)
	if err != nil || len(segments) != 16 || segments[4].Label != "paragraph 1" || segments[4].Size != 17 || segments[3].Kind != commitment.Digest {
		t.Errorf("segments %+v, %v", segments, err)
	}
	car, err := h.Copy(context.Background(), clerk, ref, PublicRequest, Extent{Hide: []string{"paragraphs 3"}})
	if err != nil {
		t.Fatal(err)
	}
	opened := verify(t, car, want)
	if got := string(opened.Content()); strings.Contains(got, "budget") || !strings.Contains(got, "five members") {
		t.Errorf("copy discloses %q", got)
	}
	if fields, err := opened.Fields(); err != nil || len(fields) != 1 || fields[0].Key != commitment.FieldMediaType {
		t.Errorf("copy discloses %v, %v", fields, err)
	}
	if bytes.Contains(car, []byte("budget")) || bytes.Contains(car, []byte("May")) {
		t.Error("the copy's file holds what it hides")
	}
	evidence, err := h.Evidence(context.Background(), clerk, ref, Legal, Extent{WithName: true}, receipts("a receipt"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := commitment.ParseBundle(evidence)
	if err != nil || len(bundle.Receipts) != 1 {
		t.Fatal(bundle.Receipts, err)
	}
	all, err := bundle.Copy.Verify(commitment.Commitment(want))
	if err != nil || string(all.Content()) != minutes || !all.Complete() {
		t.Errorf("evidence discloses %q, %v", all.Content(), err)
	}
}

func verify(t *testing.T, car []byte, want record.Commitment) commitment.Opened {
	t.Helper()
	made, err := commitment.ParseCopy(car)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := made.Verify(commitment.Commitment(want))
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestFIPSOnly(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestRecordPath$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestRecordPath") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestEveryProfileAndSizeComesBack(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		profile commitment.Profile
		content string
	}{
		{commitment.Raw, ""},
		{commitment.Raw, strings.Repeat("0123456789abcdef", 1<<16)}, // 1 MiB
		{commitment.Text, strings.Repeat("a paragraph\n\n", 3000)},
		{commitment.JSON, `{"a": [1, 2, "three"]}`},
		{"csv/1;d=,", "a,b\n1,2\n3,4\n"},
		{commitment.EML, "Subject: hello\r\nDKIM-Signature: v=1\r\n\r\nbody\r\n"},
	} {
		header, content := offer(c.content, "title")
		header.Profile = c.profile
		want := mustDeposit(t, h.Custody, clerk, header, content)
		if got, err := read(h.Custody, clerk, Ref{"CLERK", want}, CaseWork); err != nil || got != c.content {
			t.Errorf("%s of %d bytes: %d bytes came back, %v", c.profile, len(c.content), len(got), err)
		}
	}
}

func TestDepositRefusals(t *testing.T) {
	h := newHouse(t)
	var other record.Commitment
	type change func(*Header, *Caller, *io.Reader)
	for name, c := range map[string]struct {
		change change
		want   Reason
	}{
		"office without the role":    {func(_ *Header, c *Caller, _ *io.Reader) { *c = counsel }, Denied},
		"unknown series":             {func(h *Header, _ *Caller, _ *io.Reader) { h.Series = "NONE" }, UnknownSeries},
		"inactive series":            {func(h *Header, _ *Caller, _ *io.Reader) { h.Series = "DEMO-OLD" }, UnknownSeries},
		"series of another office":   {func(h *Header, _ *Caller, _ *io.Reader) { h.Series = "DEMO-PERMITS" }, UnknownSeries},
		"unknown custody":            {func(h *Header, _ *Caller, _ *io.Reader) { h.Custody = "NONE" }, UnknownCustody},
		"custody of another node":    {func(h *Header, _ *Caller, _ *io.Reader) { h.Custody = "OTHERS" }, UnknownCustody},
		"last day has passed":        {func(h *Header, _ *Caller, _ *io.Reader) { h.NotAfter = today - 1 }, Expired},
		"last day too far ahead":     {func(h *Header, _ *Caller, _ *io.Reader) { h.NotAfter = today + 8 }, TooFarAhead},
		"too large":                  {func(h *Header, _ *Caller, _ *io.Reader) { h.Size = 4<<20 + 1 }, TooLarge},
		"negative size":              {func(h *Header, _ *Caller, _ *io.Reader) { h.Size = -1 }, TooLarge},
		"stream too short":           {func(h *Header, _ *Caller, _ *io.Reader) { h.Size++ }, SizeMismatch},
		"stream too long":            {func(h *Header, _ *Caller, _ *io.Reader) { h.Size-- }, SizeMismatch},
		"other commitment":           {func(h *Header, _ *Caller, _ *io.Reader) { h.Expected = &other }, CommitmentMismatch},
		"not of the profile's form":  {func(h *Header, _ *Caller, _ *io.Reader) { h.Profile = commitment.JSON }, ProfileRefused},
		"unknown profile":            {func(h *Header, _ *Caller, _ *io.Reader) { h.Profile = "none/1" }, ProfileRefused},
		"field twice":                {func(h *Header, _ *Caller, _ *io.Reader) { h.Fields = append(h.Fields, h.Fields[0]) }, Malformed},
		"account that is no account": {func(_ *Header, c *Caller, _ *io.Reader) { c.Account = "a person's name" }, AuditUnavailable},
	} {
		header, content := offer(minutes, "Minutes")
		caller, reader := clerk, io.Reader(bytes.NewReader(content))
		c.change(&header, &caller, &reader)
		d, err := h.Deposit(context.Background(), caller, header, reader)
		wantReason(t, name, err, c.want)
		if d != (Deposit{}) {
			t.Errorf("%s: answered %+v", name, d)
		}
	}
	broken := errors.New("connection lost")
	header, _ := offer(minutes, "Minutes")
	if _, err := h.Deposit(context.Background(), clerk, header, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken stream: %v", err)
	}
	if n, err := h.Records(); n != 0 || err != nil {
		t.Errorf("refused deposits left %d records, %v", n, err)
	}
	if rings := h.rings.Rings(); len(rings) != 0 {
		t.Errorf("refused deposits left rings %v", rings)
	}
}

func TestSameDepositSameAnswer(t *testing.T) {
	h := newHouse(t)
	header, content := offer(minutes, "Minutes")
	first := mustDeposit(t, h.Custody, clerk, header, content)
	header.Expected = &first
	if again := mustDeposit(t, h.Custody, clerk, header, content); again != first {
		t.Errorf("commitment %x, then %x", first[:4], again[:4])
	}
	header.NotAfter++
	_, err := h.Deposit(context.Background(), clerk, header, bytes.NewReader(content))
	wantReason(t, "with another last day", err, AlreadyDeposited)
	if n, err := h.Records(); n != 1 || err != nil {
		t.Errorf("%d records, %v; want 1", n, err)
	}
	// Another key makes another commitment; the fingerprint finds both attempts.
	header, _ = offer(minutes, "Minutes")
	header.Key = nil
	second := mustDeposit(t, h.Custody, clerk, header, content)
	r, _, err := h.vault.Find("CLERK", second)
	if err != nil || second == first {
		t.Fatal(err)
	}
	if others, err := h.equals(r); err != nil || len(others) != 1 || others[0].Commitment != first {
		t.Errorf("others %v, %v; want the first", others, err)
	}
	// Another office's deposit of the same bytes is another matter, and other bytes are.
	header.Key = nil
	mustDeposit(t, h.Custody, works, header, content)
	header, content = offer(minutes+"more", "Minutes")
	mustDeposit(t, h.Custody, clerk, header, content)
	if others, err := h.equals(r); err != nil || len(others) != 1 {
		t.Errorf("others %v, %v; want the first alone", others, err)
	}
}

// TestWhoMayRead walks callers, purposes and methods.
func TestWhoMayRead(t *testing.T) {
	h := newHouse(t)
	header, content := offer(minutes, "Minutes")
	ref := Ref{"DPW", mustDeposit(t, h.Custody, works, header, content)}
	ctx := context.Background()
	allowed := map[string]string{"DPW": "CASE_WORK PUBLIC_REQUEST LEGAL AUDIT OPERATION", "CLERK": "CASE_WORK PUBLIC_REQUEST", "COUNSEL": "LEGAL"}
	for _, caller := range []Caller{works, clerk, counsel, auditor, {Office: "IT", Account: "d0112233445566ff", Roles: []record.Role{record.RoleIT, record.RoleOperator}}} {
		for _, purpose := range Purposes() {
			var out bytes.Buffer
			readErr := h.Read(ctx, caller, ref, purpose, &out)
			segments, segmentsErr := h.Segments(ctx, caller, ref, purpose)
			car, copyErr := h.Copy(ctx, caller, ref, purpose, Extent{WithName: true})
			evidence, evidenceErr := h.Evidence(ctx, caller, ref, purpose, Extent{}, receipts("one"))
			left := out.Len() + len(segments) + len(car) + len(evidence)
			for what, err := range map[string]error{"read": readErr, "segments": segmentsErr, "copy": copyErr, "evidence": evidenceErr} {
				if slices.Contains(strings.Fields(allowed[string(caller.Office)]), string(purpose)) {
					if err != nil {
						t.Errorf("%s %s for %s: %v", caller.Office, what, purpose, err)
					}
					continue
				}
				wantReason(t, string(caller.Office)+" "+what+" for "+string(purpose), err, Denied)
				if left != 0 {
					t.Errorf("%s got %d bytes for %s", caller.Office, left, purpose)
				}
			}
		}
		hits, _, err := h.Search(ctx, caller, Query{Text: "minutes", Limit: 5})
		if err != nil || (len(hits) > 0) != (caller.Office == "DPW") {
			t.Errorf("%s finds %+v, %v", caller.Office, hits, err)
		}
	}
	_, err := read(h.Custody, works, ref, "CURIOSITY")
	wantReason(t, "unknown purpose", err, Malformed)
	_, err = read(h.Custody, works, ref, "")
	wantReason(t, "no purpose", err, Malformed)
	_, err = read(h.Custody, works, Ref{"DPW", record.Commitment{1}}, CaseWork)
	wantReason(t, "unknown record", err, NotFound)
	_, err = h.Copy(ctx, works, ref, CaseWork, Extent{Hide: []string{"rows 1"}})
	wantReason(t, "selector of another profile", err, NoSuchSegment)
	_, err = h.Copy(ctx, works, ref, CaseWork, Extent{Hide: []string{"paragraphs 99"}})
	wantReason(t, "no such paragraph", err, NoSuchSegment)
	_, _, err = h.Search(ctx, works, Query{Text: "m", Limit: 5})
	wantReason(t, "search for one letter", err, Malformed)
}

func TestDestroyedRecordsStayShut(t *testing.T) {
	h := newHouse(t)
	header, content := offer(minutes, "Minutes")
	ref := Ref{"CLERK", mustDeposit(t, h.Custody, clerk, header, content)}
	if held, err := h.Holds(ref.Office, ref.Commitment); !held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	h.punctures(t, ref)
	_, err := read(h.Custody, clerk, ref, CaseWork)
	wantReason(t, "read", err, Destroyed)
	_, err = h.Deposit(context.Background(), clerk, header, bytes.NewReader(content))
	wantReason(t, "deposit again", err, Destroyed)
	if held, err := h.Holds(ref.Office, ref.Commitment); held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	if hits, _, err := h.Search(context.Background(), clerk, Query{Text: "minutes", Limit: 5}); err != nil || len(hits) != 0 {
		t.Errorf("found %+v, %v", hits, err)
	}
}

// TestPuncturedLeavesStayShut replaces the secrets of a record by such as a
// redaction leaves: nothing but a copy of the rest can be had.
func TestPuncturedLeavesStayShut(t *testing.T) {
	h := newHouse(t)
	header, content := offer(minutes, "Minutes")
	ref := Ref{"CLERK", mustDeposit(t, h.Custody, clerk, header, content)}
	h.punctures(t, ref, commitment.Range{First: 2, Last: 3}, commitment.Range{First: 6, Last: 6}) // title, digest, third paragraph
	got, err := read(h.Custody, clerk, ref, CaseWork)
	wantReason(t, "read", err, PartlyDestroyed)
	if got != "" {
		t.Errorf("read %q", got)
	}
	car, err := h.Copy(context.Background(), clerk, ref, CaseWork, Extent{WithName: true})
	if err != nil {
		t.Fatal(err)
	}
	opened := verify(t, car, ref.Commitment)
	if got := string(opened.Content()); got != strings.Replace(minutes, "The budget was read twice.\n\n", "", 1) {
		t.Errorf("copy discloses %q", got)
	}
	segments, err := h.Segments(context.Background(), clerk, ref, CaseWork)
	if err != nil || !segments[6].Destroyed || segments[5].Destroyed {
		t.Errorf("segments %+v, %v", segments, err)
	}
	if hits, _, err := h.Search(context.Background(), clerk, Query{Text: "minutes", Limit: 5}); err != nil || len(hits) != 1 || hits[0].Title != "" || hits[0].FileName == "" {
		t.Errorf("found %+v, %v; want the file name without the title", hits, err)
	}
}

func TestSearchPages(t *testing.T) {
	h := newHouse(t)
	var want []record.Commitment
	for i := range 7 {
		header, content := offer(minutes, "Minutes "+string(rune('A'+i)))
		c := mustDeposit(t, h.Custody, clerk, header, content)
		want = append(want, c)
		if i == 2 { // the catalogue is in memory from here on, and must keep up
			if _, _, err := h.Search(context.Background(), clerk, Query{Text: "minutes", Limit: 1}); err != nil {
				t.Fatal(err)
			}
		}
		h.city.block(t, startOf(today)+int64(i+1)*1e9, "CLERK", "DEMO-MINUTES", "CITY", c)
	}
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	var got []record.Commitment
	q := Query{Text: "MINUTES", Limit: 3}
	for {
		hits, more, err := h.Search(context.Background(), clerk, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, hit := range hits {
			got = append(got, hit.Commitment)
			if !hit.Anchored {
				t.Errorf("%s is not anchored", hit.Title)
			}
		}
		if !more {
			break
		}
		q.After = hits[len(hits)-1].Commitment
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d hits in another order than the ledger's, want %d", len(got), len(want))
	}
}
