package custody

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

// kept deposits a document and anchors it.
func (h *house) kept(t testing.TB, caller Caller, header Header, content []byte) Ref {
	t.Helper()
	item := mustDeposit(t, h.Custody, caller, header, content)
	h.city.block(t, h.city.View().Head().Time+1e9, caller.Office, header.Series, header.Custody, item)
	if err := h.CatchUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	return Ref{caller.Office, item}
}

// redactionText is a redaction with marks.
func redactionText(t testing.TB, marks ...commitment.Mark) []byte {
	t.Helper()
	r := commitment.Redaction{Authority: "CT-FOI", Dated: "2030-11-01", Marks: marks}
	rand.Read(r.Salt[:])
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mark(first, last uint32, code string) commitment.Mark {
	return commitment.Mark{Range: commitment.Range{First: first, Last: last}, Code: code}
}

func mustFile(t testing.TB, c *Custody, caller Caller, ref Ref, text []byte) [32]byte {
	t.Helper()
	hash, err := c.FileRedaction(context.Background(), caller, ref, text)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestRedactionPath is the way of a redaction: planned, filed, seen, applied to a
// copy and to evidence, over a restart.
func TestRedactionPath(t *testing.T) {
	fs, ledger, clock, ctx := vfs.NewMem(), newCity(t), &clock{}, context.Background()
	clock.set(today)
	h := openHouse(t, fs, "house", ledger, clock)
	header, content := offer(minutes, "Minutes of May")
	ref := h.kept(t, works, header, content)
	planned, err := h.PlanRedaction(ctx, works, ref, CaseWork, []commitment.Ask{{Selector: "paragraphs 3", Code: "CT-1-210-b-2"}})
	if err != nil {
		t.Fatal(err)
	}
	text := redactionText(t, commitment.Marks(planned)...)
	hash := mustFile(t, h.Custody, works, ref, text)
	h.close()
	h = openHouse(t, fs, "house", ledger, clock)
	if texts, err := h.Redactions(ctx, counsel, ref); err != nil || len(texts) != 1 || !bytes.Equal(texts[0], text) {
		t.Errorf("filed are %q, %v", texts, err)
	}
	// Who is asked to approve an erasure sees what it is about, and files nothing.
	administrator := Caller{Office: "STATE", Account: "0000000000000009", Roles: []record.Role{record.RoleStateRecords}}
	if texts, err := h.Redactions(ctx, administrator, ref); err != nil || len(texts) != 1 {
		t.Errorf("the administrator sees %q, %v", texts, err)
	}
	_, err = h.FileRedaction(ctx, administrator, ref, text)
	wantReason(t, "a redaction filed by who approves", err, Denied)
	_, err = h.Redactions(ctx, Caller{Office: "IT", Account: "0000000000000008", Roles: []record.Role{record.RoleIT}}, ref)
	wantReason(t, "redactions listed by who locks", err, Denied)
	want := strings.Replace(minutes, "The budget was read twice.\n\n", "", 1)
	car, err := h.Copy(ctx, clerk, ref, PublicRequest, Extent{Redactions: [][32]byte{hash, hash}})
	if err != nil {
		t.Fatal(err)
	}
	opened := verify(t, car, ref.Commitment)
	if got := string(opened.Content()); got != want || bytes.Contains(car, []byte("budget")) || bytes.Contains(car, []byte("May")) {
		t.Errorf("copy discloses %q", got)
	}
	asked := [][32]byte(nil)
	evidence, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{Redactions: [][32]byte{hash}, WithName: true}, func(hashes [][32]byte) ([][]byte, error) {
		asked = hashes
		return [][]byte{[]byte("a receipt")}, nil
	})
	if err != nil || !slices.Equal(asked, [][32]byte{hash}) {
		t.Fatalf("receipts were asked for %x, %v", asked, err)
	}
	bundle, err := commitment.ParseBundle(evidence)
	if err != nil || len(bundle.Receipts) != 2 || string(bundle.Receipts[0]) != "a receipt" || !bytes.Equal(bundle.Receipts[1], text) {
		t.Fatalf("bundle holds %q, %v", bundle.Receipts, err)
	}
	all, err := bundle.Copy.Verify(commitment.Commitment(ref.Commitment))
	if err != nil || string(all.Content()) != want {
		t.Errorf("evidence discloses %q, %v", all.Content(), err)
	}
	if fields, err := all.Fields(); err != nil || len(fields) != 3 {
		t.Errorf("evidence discloses the fields %v, %v", fields, err)
	}
	broken := errors.New("no receipt")
	if car, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{}, func([][32]byte) ([][]byte, error) { return nil, broken }); !errors.Is(err, broken) || car != nil {
		t.Errorf("evidence without receipts: %d bytes, %v", len(car), err)
	}
}

// TestNamesAreHiddenByARedaction: evidence discloses names unless a redaction
// hides them.
func TestNamesAreHiddenByARedaction(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes of May")
	ref := h.kept(t, clerk, header, content)
	hash := mustFile(t, h.Custody, clerk, ref, redactionText(t, mark(1, 2, "CT-1-210-b-2")))
	car, err := h.Evidence(ctx, clerk, ref, CaseWork, Extent{Redactions: [][32]byte{hash}, WithName: true}, receipts("one"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := commitment.ParseBundle(car)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := bundle.Copy.Verify(commitment.Commitment(ref.Commitment))
	if err != nil || string(opened.Content()) != minutes || !opened.Complete() || bytes.Contains(car, []byte("May")) {
		t.Errorf("evidence: %v, complete %v, names its title %v", err, opened.Complete(), bytes.Contains(car, []byte("May")))
	}
}

func TestWhoMayFile(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes")
	ref := h.kept(t, works, header, content)
	other := Caller{Office: "CLERK", Account: "00112233445566ff", Roles: []record.Role{record.RoleDepartment}}
	for _, c := range []struct {
		caller Caller
		may    bool
	}{{works, true}, {clerk, true}, {counsel, true}, {auditor, false}, {other, false}, {Caller{Office: "LIBRARY", Account: "00112233445566ff", Roles: []record.Role{record.RoleLibraryCEO}}, false}} {
		hash, fileErr := h.FileRedaction(ctx, c.caller, ref, redactionText(t, mark(3, 3, "-"), mark(6, 6, "CT-1-210-b-2")))
		texts, listErr := h.Redactions(ctx, c.caller, ref)
		if c.may {
			if fileErr != nil || listErr != nil || len(texts) == 0 {
				t.Errorf("%s %v: %v, %d texts, %v", c.caller.Office, c.caller.Roles, fileErr, len(texts), listErr)
			}
			continue
		}
		wantReason(t, string(c.caller.Office)+" files", fileErr, Denied)
		wantReason(t, string(c.caller.Office)+" lists", listErr, Denied)
		if hash != [32]byte{} || texts != nil {
			t.Errorf("%s is refused and answered %x, %q", c.caller.Office, hash, texts)
		}
	}
	_, err := h.PlanRedaction(ctx, counsel, ref, CaseWork, []commitment.Ask{{Selector: "paragraphs 1", Code: "X"}})
	wantReason(t, "plan by counsel for case work", err, Denied)
	lines := strings.Join(logLines(t, h.fs), "\n")
	for _, want := range []string{" DPW/a0112233445566ff file ", " AUDIT/c0112233445566ff file ", " - denied ", " redactions ", " COUNSEL/b0112233445566ff plan "} {
		if !strings.Contains(lines, want) {
			t.Errorf("no line with %q in\n%s", want, lines)
		}
	}
}

// TestRedactionsThatAreRefused: one that would betray what it hides, hides
// nothing, or is not of the record, is not kept.
func TestRedactionsThatAreRefused(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes") // 3 fields, digest, 4 paragraphs, padding up to 16
	text := h.kept(t, clerk, header, content)
	header, content = offer("From: a@example.org\r\nDKIM-Signature: v=1\r\nSubject: x\r\n\r\nbody\r\n", "Mail")
	header.Profile = commitment.EML
	mail := h.kept(t, clerk, header, content)
	unanchored, more := offer(minutes, "Later")
	waiting := Ref{"CLERK", mustDeposit(t, h.Custody, clerk, unanchored, more)}
	good := redactionText(t, mark(3, 3, "-"), mark(6, 6, "X"))
	for _, c := range []struct {
		name, why string
		ref       Ref
		text      []byte
		want      Reason
	}{
		{"no redaction", "muniment redaction", text, []byte("a letter"), Malformed},
		{"nothing", "muniment redaction", text, nil, Malformed},
		{"line end missing", "redaction", text, good[:len(good)-1], Malformed},
		{"too large", "at most", text, make([]byte, MaxRedactionText+1), TooLarge},
		{"leaf that the record lacks", "last is 15", text, redactionText(t, mark(3, 3, "-"), mark(6, 16, "X")), Malformed},
		{"digest left open", "leaf 3", text, redactionText(t, mark(6, 6, "X")), Malformed},
		{"signature left open", "leaf 5", mail, redactionText(t, mark(3, 3, "-"), mark(6, 6, "X")), Malformed},
		{"padding alone", "hold nothing", text, redactionText(t, mark(12, 14, "X")), Malformed},
		{"no code", "no exemption code", text, redactionText(t, mark(3, 3, "-"), mark(6, 6, "-")), Malformed},
		{"no such record", "no content of that record", Ref{"CLERK", record.Commitment{1}}, good, NotFound},
		{"record that is not anchored", "no such record", waiting, good, NotFound},
	} {
		hash, err := h.FileRedaction(ctx, clerk, c.ref, c.text)
		if wantReason(t, c.name, err, c.want); err != nil && !strings.Contains(err.Error(), c.why) || hash != [32]byte{} {
			t.Errorf("%s: %v, want words of %q", c.name, err, c.why)
		}
	}
	for _, ref := range []Ref{text, mail} {
		if texts, err := h.Redactions(ctx, clerk, ref); err != nil || texts != nil {
			t.Errorf("kept all the same: %q, %v", texts, err)
		}
	}
	mustFile(t, h.Custody, clerk, mail, redactionText(t, mark(3, 3, "-"), mark(5, 5, "-"), mark(6, 6, "X")))
	_, err := h.Copy(ctx, clerk, text, CaseWork, Extent{Redactions: [][32]byte{{7}}})
	wantReason(t, "copy by an unknown redaction", err, NoSuchRedaction)
	_, err = h.Evidence(ctx, clerk, text, CaseWork, Extent{Redactions: [][32]byte{{7}}}, receipts())
	wantReason(t, "evidence by an unknown redaction", err, NoSuchRedaction)
	_, err = h.Copy(ctx, clerk, text, CaseWork, Extent{Redactions: make([][32]byte, MaxRedactions+1)})
	wantReason(t, "too many redactions in one copy", err, Malformed)
	_, err = h.Copy(ctx, clerk, text, CaseWork, Extent{Hide: make([]string, maxSelectors+1)})
	wantReason(t, "too many selectors in one copy", err, Malformed)
	asks := func(n int, a commitment.Ask) []commitment.Ask { return slices.Repeat([]commitment.Ask{a}, n) }
	for name, c := range map[string]struct {
		asks []commitment.Ask
		want Reason
	}{
		"no ask":           {nil, Malformed},
		"too many asks":    {asks(1001, commitment.Ask{Selector: "paragraphs 1", Code: "X"}), Malformed},
		"no code":          {asks(1, commitment.Ask{Selector: "paragraphs 1"}), Malformed},
		"no selector":      {asks(1, commitment.Ask{Selector: "everything", Code: "X"}), NoSuchSegment},
		"of no paragraph":  {asks(1, commitment.Ask{Selector: "paragraphs 9", Code: "X"}), NoSuchSegment},
		"of other profile": {asks(1, commitment.Ask{Selector: "rows 1", Code: "X"}), NoSuchSegment},
	} {
		marks, err := h.PlanRedaction(ctx, clerk, text, CaseWork, c.asks)
		if wantReason(t, name, err, c.want); marks != nil {
			t.Errorf("%s: planned %v", name, marks)
		}
	}
}

// TestSixtyFourRedactions: so many are kept, whoever comes at once; those that are
// there can be filed again.
func TestSixtyFourRedactions(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	header, content := offer(minutes, "Minutes")
	ref := h.kept(t, clerk, header, content)
	var texts [][]byte
	for range MaxRedactions + 8 {
		texts = append(texts, redactionText(t, mark(3, 3, "-"), mark(6, 6, "X")))
	}
	errs := make([]error, len(texts))
	var wg sync.WaitGroup
	for i := range texts {
		wg.Go(func() { _, errs[i] = h.FileRedaction(ctx, clerk, ref, texts[i]) })
	}
	wg.Wait()
	var kept [][]byte
	for i, err := range errs {
		if err == nil {
			kept = append(kept, texts[i])
			continue
		}
		wantReason(t, "one more", err, TooManyRedactions)
	}
	if len(kept) != MaxRedactions {
		t.Errorf("%d were kept, want %d", len(kept), MaxRedactions)
	}
	for _, text := range kept {
		if _, err := h.FileRedaction(ctx, clerk, ref, text); err != nil {
			t.Errorf("filed again: %v", err)
		}
	}
	listed, err := h.Redactions(ctx, clerk, ref)
	if err != nil || len(listed) != MaxRedactions {
		t.Errorf("%d are listed, %v", len(listed), err)
	}
	for _, text := range listed {
		if !slices.ContainsFunc(kept, func(k []byte) bool { return bytes.Equal(k, text) }) {
			t.Errorf("listed and never kept: %q", text)
		}
	}
}

// TestSealedRedactions: what is kept opens as the redaction of its record, under
// its hash, as it was sealed, and as nothing else.
func TestSealedRedactions(t *testing.T) {
	var key [32]byte
	var rid vault.RID
	rand.Read(key[:])
	rand.Read(rid[:])
	f, err := parseFiled(redactionText(t, mark(3, 3, "-"), mark(6, 6, "CT-1-210-b-2")))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealRedaction(key, rid, f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openRedaction(key, rid, f.hash, sealed); err != nil || !bytes.Equal(got.text, f.text) || got.hash != f.hash || len(got.Marks) != 2 {
		t.Errorf("opens as %+v, %v", got, err)
	}
	longer, err := parseFiled(redactionText(t, mark(3, 3, "-"), mark(6, 6, "CT-1-210-b-27")))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := sealRedaction(key, rid, longer); err != nil || len(again) != len(sealed) {
		t.Errorf("one byte more is sealed in %d bytes, not %d: %v", len(again), len(sealed), err)
	}
	refused := func(name string, key [32]byte, rid vault.RID, hash [32]byte, sealed []byte) {
		t.Helper()
		if got, err := openRedaction(key, rid, hash, sealed); err == nil || got.text != nil {
			t.Errorf("%s: opens as %q", name, got.text)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		refused(fmt.Sprintf("byte %d changed", i), key, rid, f.hash, changed)
	}
	refused("another layout key", [32]byte{1}, rid, f.hash, sealed)
	refused("another record", key, vault.RID{1}, f.hash, sealed)
	refused("another hash", key, rid, longer.hash, sealed)
	refused("cut short", key, rid, f.hash, sealed[:20])
	aead, err := redactionCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, commitment.Padded(4+len(f.text)))
	copy(plain[4:], f.text)
	for name, b := range map[string][]byte{
		"no length":          plain,
		"length beyond":      append([]byte{0xff, 0xff, 0xff, 0xff}, plain[4:]...),
		"padding with bytes": append(append([]byte{0, 0, 0, byte(len(f.text))}, f.text...), bytes.Repeat([]byte{1}, len(plain)-4-len(f.text))...),
		"no padding":         append([]byte{0, 0, 0, byte(len(f.text))}, f.text...),
		"nothing":            {},
	} {
		refused(name, key, rid, f.hash, aead.Seal(nil, nil, b, redactionContext(rid, f.hash)))
	}
}

// TestRedactionsDieWithTheRecord: nothing on disk opens a redaction once its
// record is destroyed, and its text stood in no file before.
func TestRedactionsDieWithTheRecord(t *testing.T) {
	dir, clock := t.TempDir(), &clock{}
	clock.set(today)
	h := openHouse(t, vfs.Default, dir, newCity(t), clock)
	header, content := offer(minutes, "Minutes")
	ref := h.kept(t, clerk, header, content)
	text := redactionText(t, mark(3, 3, "-"), mark(6, 6, "CT-1-210-b-2"))
	hash := mustFile(t, h.Custody, clerk, ref, text)
	r, _, err := h.vault.Find(ref.Office, ref.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := h.state(r)
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Expand(sha256.New, s.layout[:], redactionDomain, 32)
	if err != nil {
		t.Fatal(err)
	}
	h.punctures(t, ref)
	_, err = h.Redactions(context.Background(), clerk, ref)
	wantReason(t, "list", err, Destroyed)
	_, err = h.FileRedaction(context.Background(), clerk, ref, text)
	wantReason(t, "file again", err, Destroyed)
	if _, ok, err := h.vault.Redaction(r.RID, hash); err != nil || !ok {
		t.Errorf("the sealed text is there before the record is buried: %v, %v", ok, err)
	}
	if err := h.vault.Bury([]vault.Record{r}, nil); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := h.vault.Redaction(r.RID, hash); err != nil || ok {
		t.Errorf("the sealed text is there when the record is buried: %v, %v", ok, err)
	}
	h.close()
	for what, found := range search(t, dir, map[string][]byte{
		"layout key": s.layout[:], "redaction key": key, "line of the text": []byte("mark 6-6"), "code": []byte("CT-1-210-b-2"),
	}) {
		t.Errorf("%s is in %v", what, found)
	}
}

// TestGapsAreSaidClearly: selectors of a record of which parts are gone.
func TestGapsAreSaidClearly(t *testing.T) {
	h, ctx := newHouse(t), context.Background()
	erased := func(content string, p commitment.Profile, gone ...commitment.Range) Ref {
		header, raw := offer(content, "title")
		header.Profile = p
		ref := h.kept(t, clerk, header, raw)
		h.punctures(t, ref, append(gone, commitment.Range{First: 3, Last: 3})...)
		return ref
	}
	cells := erased("a,b\n1,2\n3,4\n", "csv-cells/1;d=,;c=2", commitment.Range{First: 7, Last: 7}) // 2
	tree := erased(`{"a": 1, "b": 2}`, commitment.JSON, commitment.Range{First: 5, Last: 5})
	car, err := h.Copy(ctx, clerk, cells, CaseWork, Extent{Hide: []string{"columns 1"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(verify(t, car, cells.Commitment).Content()); got != "b\n4\n" {
		t.Errorf("columns around a gap: %q", got)
	}
	_, err = h.Copy(ctx, clerk, cells, CaseWork, Extent{Hide: []string{"columns 3"}})
	if wantReason(t, "column that is not there", err, NoSuchSegment); err != nil && !strings.Contains(err.Error(), "last of columns is 2") {
		t.Errorf("column that is not there: %v", err)
	}
	for _, selector := range []string{"/a", "/b"} {
		_, err = h.Copy(ctx, clerk, tree, CaseWork, Extent{Hide: []string{selector}})
		if wantReason(t, selector, err, NoSuchSegment); err != nil && !strings.Contains(err.Error(), "parts of the content are gone: select by segments or text") {
			t.Errorf("%s: %v", selector, err)
		}
		_, err = h.PlanRedaction(ctx, clerk, tree, CaseWork, []commitment.Ask{{Selector: selector, Code: "X"}})
		wantReason(t, "plan "+selector, err, NoSuchSegment)
	}
	if _, err := read(h.Custody, clerk, tree, CaseWork); err != nil {
		wantReason(t, "read", err, PartlyDestroyed)
	} else {
		t.Error("a record with a gap was read")
	}
	// What is gone already need not be marked again.
	hash := mustFile(t, h.Custody, clerk, tree, redactionText(t, mark(7, 7, "X")))
	if car, err = h.Copy(ctx, clerk, tree, CaseWork, Extent{Redactions: [][32]byte{hash}}); err != nil {
		t.Fatal(err)
	}
	if got := string(verify(t, car, tree.Commitment).Content()); got != `{"a": , "b": }` {
		t.Errorf("withheld beside erased: %q", got)
	}
	segments, err := h.Segments(ctx, clerk, tree, CaseWork)
	if err != nil || !segments[5].Destroyed || segments[5].Size != 0 || segments[4].Destroyed || segments[4].Size == 0 {
		t.Errorf("segments %+v, %v", segments[:8], err)
	}
}

// TestEvidenceTellsOfErasures: what was erased is hidden in every copy, the bundle
// says by which redaction and how it was reported, and what a copy withholds
// stands beside it.
func TestEvidenceTellsOfErasures(t *testing.T) {
	h, ctx := archiveHouse(t), context.Background()
	k := h.keep(t, "DEMO-MINUTES", minutes, "title")
	first, second := marksText(t, k, 6), marksText(t, k, 4)
	erased, withheld := h.fileText(t, k, first), h.fileText(t, k, second)
	h.fileText(t, k, marksText(t, k, 5)) // of which nobody decides
	h.city.must(t, "CLERK", &record.Withhold{Record: k.index, Redaction: withheld})
	d := h.city.redact(t, "DEMO-MINUTES", k, erased)
	h.erase(t, d)
	h.city.must(t, "COUNSEL", &record.Withhold{Record: k.index, Redaction: erased}) // no erasure
	report, ok, err := h.ErasureReport(d)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	r, _, err := h.vault.Find(k.Office, k.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := h.state(r)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := h.open(r, s); err != nil || o.facts[6].Size != 0 || o.facts[3].Size != 0 || o.facts[5].Size == 0 || o.facts[6].Kind != commitment.Content {
		t.Errorf("the layout tells of what was erased: %+v, %v", o.facts[:8], err)
	}
	parts := strings.SplitAfter(minutes, "\n\n")
	for _, c := range []struct {
		name   string
		extent Extent
		asked  [][32]byte
		parts  [][]byte
		want   string
	}{
		{"nothing applied", Extent{}, [][32]byte{erased}, [][]byte{first, report}, parts[0] + parts[1] + parts[3]},
		{"another applied", Extent{Redactions: [][32]byte{withheld}}, [][32]byte{withheld, erased}, [][]byte{second, first, report}, parts[1] + parts[3]},
		{"the erased one applied", Extent{Redactions: [][32]byte{erased, withheld}}, [][32]byte{erased, withheld}, [][]byte{first, second, report}, parts[1] + parts[3]},
		{"a selector", Extent{Hide: []string{"segments 1"}}, [][32]byte{erased}, [][]byte{first, report}, parts[1] + parts[3]},
	} {
		var asked [][32]byte
		car, err := h.Evidence(ctx, works, k.Ref, CaseWork, c.extent, func(hashes [][32]byte) ([][]byte, error) {
			asked = hashes
			return [][]byte{[]byte("a receipt")}, nil
		})
		if err != nil {
			t.Fatal(c.name, err)
		}
		bundle, err := commitment.ParseBundle(car)
		if err != nil {
			t.Fatal(c.name, err)
		}
		if !slices.Equal(asked, c.asked) || !slices.EqualFunc(bundle.Receipts, append([][]byte{[]byte("a receipt")}, c.parts...), bytes.Equal) {
			t.Errorf("%s: receipts asked for %x, bundle holds %q", c.name, asked, bundle.Receipts)
		}
		if opened, err := bundle.Copy.Verify(commitment.Commitment(k.Commitment)); err != nil || string(opened.Content()) != c.want {
			t.Errorf("%s: evidence discloses %q, %v", c.name, opened.Content(), err)
		}
		if car, err = h.Copy(ctx, works, k.Ref, CaseWork, c.extent); err != nil || string(verify(t, car, k.Commitment).Content()) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	car, err := h.Copy(ctx, works, k.Ref, CaseWork, Extent{})
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"budget", "title"} {
		if bytes.Contains(car, []byte(hidden)) {
			t.Errorf("the copy holds %q", hidden)
		}
	}
	// Nothing is filed any more for what is to be destroyed.
	h.city.destroy(t, "DEMO-MINUTES", k)
	_, err = h.FileRedaction(ctx, works, k.Ref, marksText(t, k, 7))
	wantReason(t, "file for a record that is locked to be destroyed", err, Locked)
	_, err = h.Redactions(ctx, works, k.Ref)
	wantReason(t, "list", err, Locked)
}

// TestEveryCrashOfFiling: whatever a crash cuts a filing at, the redaction is there
// whole or not at all, and can be filed again; once it was acknowledged it is there.
func TestEveryCrashOfFiling(t *testing.T) {
	ledger, clock, disk, ctx := newCity(t), &clock{}, &crashes{mem: vfs.NewCrashableMem()}, context.Background()
	clock.set(today)
	h := openHouse(t, disk.fs(), "house", ledger, clock)
	header, content := offer(minutes, "Minutes")
	ref := h.kept(t, clerk, header, content)
	text := redactionText(t, mark(3, 3, "-"), mark(6, 6, "CT-1-210-b-2"))
	disk.take(true)
	hash := mustFile(t, h.Custody, clerk, ref, text)
	acknowledged := disk.take(false)
	disk.clones, disk.names = append(disk.clones, disk.mem.CrashClone(vfs.CrashCloneCfg{})), append(disk.names, "after the acknowledgement")
	for i, clone := range disk.clones {
		h := openHouse(t, clone, "house", ledger, clock)
		texts, err := h.Redactions(ctx, clerk, ref)
		if err != nil || len(texts) > 1 || i >= acknowledged && len(texts) == 0 || len(texts) == 1 && !bytes.Equal(texts[0], text) {
			t.Errorf("crash before %s: filed are %q, %v", disk.names[i], texts, err)
		}
		if again := mustFile(t, h.Custody, clerk, ref, text); again != hash {
			t.Errorf("crash before %s: filed again as %x", disk.names[i], again[:4])
		}
		if car, err := h.Copy(ctx, clerk, ref, CaseWork, Extent{Redactions: [][32]byte{hash}}); err != nil || bytes.Contains(car, []byte("budget")) {
			t.Errorf("crash before %s: copy %v", disk.names[i], err)
		}
		h.close()
	}
	disk.wantReached(t, "house/vault", "house/access-log")
}
