package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const ownersTable = "no,street,owner\n1,Elm,Alder Group\n2,Oak,Birch Group\n3,Ash,Alder Group\n"

// ownersRecord anchors a table of which the owner stands in two rows.
func ownersRecord(t *testing.T) (*staffDesk, string) {
	t.Helper()
	d := newStaff(t)
	index := d.anchorJSON(exitDone, "--office", "PERMITS", d.file("owners.csv", ownersTable)).Records[0].Index
	return d, numeral(index)
}

func (d *staffDesk) plan(record string, args ...string) string {
	d.t.Helper()
	file := filepath.Join(d.t.TempDir(), "plan.toml")
	d.as("PERMITS", append([]string{"redact", "plan", record, "-o", file}, args...)...)
	return file
}

// edit changes a plan as a person does.
func (d *staffDesk) edit(file, old, new string) {
	d.t.Helper()
	text := string(must(os.ReadFile(file)))
	if strings.Count(text, old) == 0 {
		d.t.Fatalf("no %q in\n%s", old, text)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, old, new, 1)), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func TestPlanWithholdAndShow(t *testing.T) {
	d, index := ownersRecord(t)
	var planned planResult
	d.json("PERMITS", &planned, "redact", "plan", index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	var got []string
	for _, m := range planned.Marks {
		got = append(got, m.Why+" "+m.Code+" "+m.Label)
	}
	want := "digest - digest, asked CT-1-210-b-2 row 2, same text CT-1-210-b-2 row 4"
	if joined(got) != want || planned.Authority != "CT-FOI" || len(planned.Unverified) != 0 {
		t.Errorf("planned %s of %s, unverified %v; want %s", joined(got), planned.Authority, planned.Unverified, want)
	}

	file := d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	d.edit(file, "why = \"same text\"\nlabel = \"row 4\"\n", "why = \"same text\"\nlabel = \"row 4\"\n# kept, after thinking about it\n")
	var done, again redactionResult
	d.json("PERMITS", &done, "redact", "withhold", file)
	d.json("PERMITS", &again, "redact", "withhold", file)
	if done.Already || !again.Already || again.Index != done.Index || again.Redaction != done.Redaction || done.Kind == "" {
		t.Errorf("withheld %+v, then %+v", done, again)
	}
	var decided redactionResult
	d.json("COUNSEL", &decided, "redact", "decide", index, "--redaction", done.Redaction)
	if e, ok := d.city.entry(record.Index(decided.Index)).(record.WithholdingEntry); !ok || e.Office != "COUNSEL" || hex.EncodeToString(e.Redaction[:]) != done.Redaction {
		t.Errorf("counsel's entry %+v", e)
	}
	if r := d.as("PERMITS", "redact", "list", index); !strings.Contains(r.stdout, "CT-FOI of 2026-11-01") || strings.Count(r.stdout, "withheld by") != 2 {
		t.Errorf("list:\n%s", r.stdout)
	}

	for _, command := range []string{"copy", "evidence"} {
		out := d.path(command + ".car")
		d.as("PERMITS", command, index, "--redaction", done.Redaction, "-o", out)
		car := must(os.ReadFile(out))
		copied, err := commitment.ParseCopy(car)
		if command == "evidence" {
			copied = must(commitment.ParseBundle(car)).Copy
		} else if err != nil {
			t.Fatal(err)
		}
		opened := must(copied.Verify(copied.Manifest().Commitment()))
		if got, want := string(opened.Content()), "no,street,owner\n2,Oak,Birch Group\n"; got != want {
			t.Errorf("the %s discloses %q, want %q", command, got, want)
		}
	}
}

// TestStruckOut: what a person strikes out of a plan is not hidden.
func TestStruckOut(t *testing.T) {
	d, index := ownersRecord(t)
	file := d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	text := string(must(os.ReadFile(file)))
	before, _, _ := strings.Cut(text, "\n[[mark]]\nleaves = \"6\"")
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil || before == text {
		t.Fatalf("%v: %s", err, text)
	}
	var done redactionResult
	d.json("PERMITS", &done, "redact", "withhold", file)
	d.as("PERMITS", "copy", index, "--redaction", done.Redaction, "-o", d.path("c.car"))
	copied := must(commitment.ParseCopy(must(os.ReadFile(d.path("c.car")))))
	opened := must(copied.Verify(copied.Manifest().Commitment()))
	if got := string(opened.Content()); got != "no,street,owner\n2,Oak,Birch Group\n3,Ash,Alder Group\n" {
		t.Errorf("the copy discloses %q", got)
	}
}

func TestProposeRedaction(t *testing.T) {
	d := newHall(t)
	index := d.keep("DEMO-PERMITS", "2019-03-01")[0]
	d.fails(exitUsage, "which action?", "disposition", "propose", "--series", "DEMO-PERMITS", "--action", "redact", numeral(index))
	hash := [32]byte{7}
	proposal := d.act("PERMITS", &record.ProposeDisposition{Series: "DEMO-PERMITS", Action: record.ActionRedact, Records: []record.Index{record.Index(index)}, Redaction: hash})
	r := d.as("COUNSEL", "disposition", "approve", numeral(uint64(proposal.Index)))
	if want := "the parts that redaction " + hex.EncodeToString(hash[:]) + " marks are erased for good"; !strings.Contains(r.stderr, want) {
		t.Errorf("no %q in %q", want, r.stderr)
	}
	if got := dispositionInfoOf(&apiv1.DispositionInfo{Redaction: hash[:]}).Redaction; got != hex.EncodeToString(hash[:]) {
		t.Errorf("a disposition is shown with redaction %q", got)
	}
}

// TestProposeByPlan: a plan becomes a disposition with the action REDACT.
func TestProposeByPlan(t *testing.T) {
	d := newStaff(t)
	index := d.anchored("2031-02-14", "a.txt")[0]
	file := d.plan(numeral(index), "--hide", `text "content"`, "--code", "CT-1-210-b-2")
	var done redactionResult
	d.json("PERMITS", &done, "redact", "propose", file)
	e, ok := d.city.entry(record.Index(done.Index)).(record.DispositionEntry)
	if !ok || e.Office != "PERMITS" || e.Action != record.ActionRedact {
		t.Errorf("entry %+v, %+v", e, done)
	}
	if r := d.as("COUNSEL", "disposition", "approve", numeral(uint64(done.Index))); !strings.Contains(r.stderr, "it marks 2 leaves under CT-FOI of 2026-11-01") {
		t.Errorf("what is approved is not shown: %q", r.stderr)
	}
	d.city.set(hooks{redactions: func() error { return refusal(codes.FailedPrecondition, "LOCKED", "it is locked") }})
	if r := d.as("PERMITS", "redact", "list", numeral(index), "--output", "json"); !strings.Contains(r.stdout, `"redactions": []`) {
		t.Errorf("of a locked record: %q, %q", r.stdout, r.stderr)
	}
	d.city.set(hooks{redactions: func() error { return refusal(codes.PermissionDenied, "DENIED", "not for you") }})
	d.fails(exitDenied, "(DENIED)", "--office", "PERMITS", "redact", "list", numeral(index))
}

// TestProposeByAnotherOffice: it may file, to withhold; what it cannot propose is
// not filed first.
func TestProposeByAnotherOffice(t *testing.T) {
	d, index := ownersRecord(t)
	file := d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	if r := d.refused("COUNSEL", "(WRONG_OFFICE)", "redact", "propose", file); strings.Contains(r.stderr, "filed: ") || !strings.Contains(r.stderr, "--office PERMITS") {
		t.Errorf("said %q", r.stderr)
	}
	var list struct{ Redactions []filed }
	if d.json("PERMITS", &list, "redact", "list", index); len(list.Redactions) != 0 {
		t.Errorf("filed all the same: %+v", list.Redactions)
	}
	if r := d.as("COUNSEL", "redact", "withhold", file); !strings.Contains(r.stderr, "filed: a redaction of 3 leaves of record "+index+" under CT-1-210-b-2\n") {
		t.Errorf("said %q", r.stderr)
	}
}

func TestPlanIsRefused(t *testing.T) {
	d, index := ownersRecord(t)
	d.fails(exitUsage, "what is to be hidden?", "redact", "plan", index)
	d.fails(exitUsage, "under which exemption?", "redact", "plan", index, "--hide", "rows 2")
	d.fails(exitUsage, "here are 2 for 3", "redact", "plan", index, "--hide", "rows 2", "--hide", "rows 3", "--hide", "rows 4", "--code", "A", "--code", "B")
	for code, reason := range map[string]string{
		"CT-1-210-b-99": "(UNKNOWN_EXEMPTION)", "CT-1-215": "(NOT_REDACTABLE)", "-": "(UNKNOWN_EXEMPTION)",
	} {
		d.refused("PERMITS", reason, "redact", "plan", index, "--hide", "rows 2", "--code", code)
	}
	d.fails(exitUsage, "(NO_SUCH_SEGMENT)", "--office", "PERMITS", "redact", "plan", index, "--hide", "rows 9", "--code", "CT-1-210-b-2")
	d.fails(exitUsage, "no hash", "--office", "PERMITS", "redact", "decide", index, "--redaction", "12")
	d.fails(exitNotFound, "(NO_SUCH_REDACTION)", "--office", "COUNSEL", "redact", "decide", index, "--redaction", strings.Repeat("0", 64))
	d.fails(exitNotFound, "(NO_SUCH_FILE)", "--office", "PERMITS", "redact", "withhold", d.path("none"))
	d.fails(exitNotFound, "(NO_SUCH_REDACTION)", "--office", "PERMITS", "copy", index, "--redaction", strings.Repeat("0", 64), "-o", d.path("c.car"))

	file := d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	d.refused("PERMITS", "(FILE_EXISTS)", "redact", "plan", index, "--hide", "rows 2", "--code", "CT-1-210-b-2", "-o", file)
	good := string(must(os.ReadFile(file)))
	for _, c := range []struct {
		old, new, says string
		code           int
	}{
		{"record = ", "record = 0", "(BAD_PLAN)", exitError},
		{"dated = 2026-11-01", "dated = 2025-11-01", "(OTHER_EXEMPTIONS)", exitRefused},
		{"cid = \"b", "cid = \"c", "(OTHER_RECORD)", exitRefused},
		{"code = \"CT-1-210-b-2\"", "code = \"CT-1-215\"", "(NOT_REDACTABLE)", exitRefused},
		{"code = \"CT-1-210-b-2\"", "code = \"-\"", "give it an exemption code", exitError},
		{"leaves = \"", "leaves = \"x", "is no range", exitError},
		{"leaves = \"6\"", "leaves = \"4-6\"", "does not come after", exitError},
		{"why = \"asked\"", "why = \"because\"", "not one of the reasons", exitError},
		{"why = \"asked\"", "WHY = \"asked\"", "does not belong here", exitError},
		{"salt = \"", "salt = \"A", "32 bytes in base64", exitError},
	} {
		if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
		d.edit(file, c.old, c.new)
		d.fails(c.code, c.says, "--office", "PERMITS", "redact", "withhold", file)
	}
}

// TestPlanThatIsTooLarge: one that no custodian would keep is not sent.
func TestPlanThatIsTooLarge(t *testing.T) {
	d, index := ownersRecord(t)
	file := d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	var more strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&more, "\n[[mark]]\nleaves = \"%d\"\ncode = \"CT-1-210-b-2\"\n", 10+2*i)
	}
	d.file("more.toml", string(must(os.ReadFile(file)))+more.String())
	d.refused("PERMITS", "its 30003 marks make a redaction of", "redact", "withhold", d.path("more.toml"))
}

// TestNodeThatLiesAboutRedactions: what the node answers is not believed where it
// can be checked.
func TestNodeThatLiesAboutRedactions(t *testing.T) {
	d, index := ownersRecord(t)
	file := d.plan(index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	d.city.set(hooks{filed: func(r *apiv1.FileRedactionResponse) { r.Hash[0]++ }})
	d.fails(exitContradicted, "(REDACTION_MISMATCH)", "--office", "PERMITS", "redact", "withhold", file)
	d.city.set(hooks{plan: func(r *apiv1.PlanRedactionResponse) { r.Marks[0].First = 1 << 24 }})
	d.fails(exitError, "(BAD_ANSWER)", "--office", "PERMITS", "redact", "plan", index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	d.city.set(hooks{plan: func(r *apiv1.PlanRedactionResponse) { r.Marks[0].Why = "because\n" }})
	d.fails(exitError, "(BAD_ANSWER)", "--office", "PERMITS", "redact", "plan", index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	d.city.set(hooks{plan: func(r *apiv1.PlanRedactionResponse) { r.Marks[0].Code = "CT-1-215" }})
	d.fails(exitError, "(BAD_ANSWER)", "--office", "PERMITS", "redact", "plan", index, "--hide", "rows 2", "--code", "CT-1-210-b-2")
	d.city.set(hooks{})
	var done redactionResult
	d.json("PERMITS", &done, "redact", "withhold", file)
	d.city.set(hooks{copy: func(r *apiv1.CopyRequest) { r.Redactions, r.Hide = nil, []string{"rows 3"} }})
	d.fails(exitContradicted, "(DISCLOSES_HIDDEN)", "--office", "PERMITS", "copy", index, "--redaction", done.Redaction, "-o", d.path("c.car"))
	if exists(d.path("c.car")) {
		t.Error("it was written")
	}
}

// TestDerivedFrom: a rendition names its original, and bundles of it show that.
func TestDerivedFrom(t *testing.T) {
	d, index := ownersRecord(t)
	public := d.file("public.csv", "no,street,owner\n1,Elm,-\n2,Oak,-\n3,Ash,-\n")
	d.fails(exitUsage, "--derived-from is for one record", "--office", "PERMITS", "anchor", "--series", "DEMO-MINUTES", "--derived-from", index, public, public)
	d.fails(exitUsage, "names no record", "--office", "PERMITS", "anchor", "--series", "DEMO-MINUTES", "--derived-from", "x", public)
	d.fails(exitNotFound, "(NOT_FOUND)", "--office", "PERMITS", "anchor", "--series", "DEMO-MINUTES", "--derived-from", "0", public)
	derived := numeral(d.anchorJSON(exitDone, "--office", "PERMITS", "--derived-from", index, public).Records[0].Index)
	var original recordResult
	d.json("PERMITS", &original, "record", "show", index)
	var list struct{ Segments []segmentInfo }
	d.json("PERMITS", &list, "segments", derived)
	if got, want := list.Segments[2].Label, "derived from "+original.CID; got != want {
		t.Errorf("label %q, want %q", got, want)
	}
	var written fileResult
	d.json("PERMITS", &written, "evidence", derived, "-o", d.path("e.car"))
	if written.Original != original.CID {
		t.Errorf("the bundle is derived from %q, want %q", written.Original, original.CID)
	}
}

// TestShippedExemptions: what the program brings is what is shipped beside it, and
// holds what the statute's list has.
func TestShippedExemptions(t *testing.T) {
	beside := must(os.ReadFile(filepath.Join("..", "..", "ops", "exemptions", "ct-foi.toml")))
	if !bytes.Equal(beside, shippedExemptions) {
		t.Fatal("ct-foi.toml differs from ops/exemptions/ct-foi.toml")
	}
	e := must(parseExemptions(beside))
	codes := map[string]exemption{}
	for _, x := range e.list {
		codes[x.Code] = x
	}
	for code, verified := range map[string]bool{"CT-1-210-b-1": true, "CT-1-210-b-3-G": true, "CT-1-210-b-3-H": false, "CT-1-210-b-20": false, "CT-11-25": true, "CT-1-214": false} {
		if x, ok := codes[code]; !ok || x.Verified != verified || !x.Redactable {
			t.Errorf("%s: %+v", code, x)
		}
	}
	if codes["CT-1-215"].Redactable || e.authority != "CT-FOI" || len(e.list) != 37 {
		t.Errorf("%s has %d codes, CT-1-215 %+v", e.authority, len(e.list), codes["CT-1-215"])
	}
}

func TestCitable(t *testing.T) {
	e := must(parseExemptions([]byte("authority = \"A\"\ndated = 2031-01-01\n" +
		"[[exemption]]\ncode = \"OLD\"\nsubject = \"s\"\nactive_to = 2030-12-31\n" +
		"[[exemption]]\ncode = \"NEW\"\nsubject = \"s\"\nactive_from = 2031-01-02\n" +
		"[[exemption]]\ncode = \"NEVER\"\nsubject = \"s\"\nredactable = false\n")))
	for _, c := range []struct{ code, day, reason string }{
		{"OLD", "2030-12-31", ""}, {"OLD", "2031-01-01", "EXEMPTION_NOT_IN_FORCE"},
		{"NEW", "2031-01-01", "EXEMPTION_NOT_IN_FORCE"}, {"NEW", "2031-01-02", ""},
		{"NEVER", "2031-01-01", "NOT_REDACTABLE"}, {"OTHER", "2031-01-01", "UNKNOWN_EXEMPTION"},
	} {
		if err := e.citable(c.code, day(c.day)); reasonOf(err) != c.reason || err != nil && codeOf(err) != exitRefused {
			t.Errorf("%s on %s: %v, want %q", c.code, c.day, err, c.reason)
		}
	}
}

// TestPlanFileEveryLine: whatever line of a plan is lost, it is refused or read as
// a plan that hides no more.
func TestPlanFileEveryLine(t *testing.T) {
	f := planFile{index: 42, cid: "b", authority: "CT-FOI", dated: "2026-11-01", marks: []commitment.PlannedMark{
		{Mark: commitment.Mark{Range: commitment.Range{First: 1, Last: 1}, Code: "-"}, Why: "digest", Label: "digest"},
		{Mark: commitment.Mark{Range: commitment.Range{First: 3, Last: 7}, Code: "X-1"}, Why: "asked", Label: `header "X\`},
	}}
	text := f.text(exemptions{})
	got, err := parsePlan([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if must(got.redaction()).Marks[1] != f.marks[1].Mark || got.marks[1].Label != f.marks[1].Label || got.text(exemptions{}) != text {
		t.Errorf("read back %+v\n%s", got, got.text(exemptions{}))
	}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		less := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
		got, err := parsePlan([]byte(less))
		said := strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" || strings.HasPrefix(line, "why") || strings.HasPrefix(line, "label") ||
			strings.HasPrefix(line, "cid") || strings.HasPrefix(line, "[[mark]]")
		if err == nil && (!said || len(got.marks) > 2) {
			t.Errorf("without %q: %+v", line, got)
		}
	}
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte(planFile{index: 1, cid: "b", authority: "A", dated: "2026-11-01", marks: []commitment.PlannedMark{{Mark: commitment.Mark{Code: "X"}, Why: "asked"}}}.text(exemptions{})))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := parsePlan(text)
		if err != nil {
			return
		}
		again, err := parsePlan([]byte(plan.text(exemptions{})))
		if err != nil || must(must(again.redaction()).Hash()) != must(must(plan.redaction()).Hash()) {
			t.Fatalf("%q is written as another plan: %v", text, err)
		}
	})
}

func FuzzParseExemptions(f *testing.F) {
	f.Add(shippedExemptions)
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseExemptions(text)
		if err != nil && e.list != nil {
			t.Fatalf("refused, but returned %+v", e)
		}
		for _, x := range e.list {
			if !isExemptionCode(x.Code) || x.Code == "-" {
				t.Fatalf("code %q", x.Code)
			}
		}
	})
}
