package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func numeral(n uint64) string { return fmt.Sprint(n) }

type nodeIdentity struct {
	id          string
	certificate []byte
}

func identityOf(t *testing.T, label string) nodeIdentity {
	key := (&city{}).key(label)
	id := receipt.NodeID(key.Public().(ed25519.PublicKey))
	return nodeIdentity{id, must(identity.ServerCertificate(strings.NewReader(strings.Repeat("x", 64)), key, receipt.ServerName(id), time.Unix(1e9, 0)))}
}

func TestReadCopyAndEvidence(t *testing.T) {
	d, c, index := anchoredTable(t)
	content := "no,street,owner\n1,Elm,Alder\n2,Oak,Birch\n3,Ash,Cedar\n"
	if r := d.must("read", index); r.stdout != content {
		t.Errorf("read to standard output: %q", r.stdout)
	}
	d.must("read", index, "-o", d.path("read.csv"), "--purpose", "legal")
	if got := string(must(os.ReadFile(d.path("read.csv")))); got != content {
		t.Errorf("read to a file: %q", got)
	}
	d.must("copy", index, "--hide", "rows 2-2", "--hide", `text "Birch"`, "-o", d.path("c.mun.car"))
	copied := must(commitment.ParseCopy(must(os.ReadFile(d.path("c.mun.car")))))
	opened := must(copied.Verify(copied.Manifest().Commitment()))
	if got := string(opened.Content()); got != "no,street,owner\n3,Ash,Cedar\n" {
		t.Errorf("the copy discloses %q", got)
	}
	d.must("copy", index, "--with-name", "-o", d.path("named.mun.car"))
	d.must("evidence", index, "-o", d.path("e.mun.car"))
	bundle := must(commitment.ParseBundle(must(os.ReadFile(d.path("e.mun.car")))))
	if verdict := must(receipt.Verify(c.network, bundle.Receipts[0])); verdict.Outcome != receipt.Passed {
		t.Errorf("receipt of the bundle: %s", verdict.Outcome)
	}
	if opened := must(bundle.Copy.Verify(bundle.Copy.Manifest().Commitment())); string(opened.Content()) != content || !opened.Complete() {
		t.Error("the bundle is not the whole record")
	}
	var got fileResult
	r := d.must("evidence", index, "--hide", "rows 3-4", "-o", d.path("h.mun.car"), "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Receipts != 1 || hiddenCount(got.Hidden) != 3 {
		t.Errorf("evidence with two rows hidden: %+v, %v; want two rows and the digest", got, err)
	}
	for _, name := range []string{"c.mun.car", "e.mun.car", "read.csv"} {
		if mode := must(os.Stat(d.path(name))).Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %v", name, mode)
		}
	}
	d.fails(exitUsage, "(NO_SUCH_SEGMENT)", "copy", index, "--hide", "rows 99-99", "-o", d.path("no.mun.car"))
	if err := os.Symlink("read.csv", d.path("link")); err != nil {
		t.Fatal(err)
	}
	d.fails(exitUsage, "(NOT_A_FILE)", "read", index, "-o", d.path("link"))
	d.fails(exitUsage, "(NOT_A_FILE)", "receipt", index, "-o", d.dir)
	if r := d.must("evidence", index, "-o", "-"); len(r.stdout) < 1000 {
		t.Errorf("evidence to standard output: %d bytes", len(r.stdout))
	}
	if left := must(filepath.Glob(d.path(".*"))); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	d.fails(exitUsage, "where to?", "copy", index)
	d.fails(exitUsage, "where to?", "evidence", index)
	d.fails(exitUsage, "purpose \"fun\"", "read", index, "--purpose", "fun")
}

func TestBinaryDoesNotReachATerminal(t *testing.T) {
	d, _ := newOffice(t)
	binary := d.anchorJSON(exitDone, d.file("a.bin", "\x1b]0;title\x07")).Records[0].Index
	plain := d.anchorJSON(exitDone, d.file("a.txt", "Grüße\n")).Records[0].Index
	d.terminal = true
	r := d.fails(exitUsage, "(BINARY)", "read", numeral(binary))
	if r.stdout != "" {
		t.Errorf("stdout %q", r.stdout)
	}
	if r := d.must("read", numeral(plain)); r.stdout != "Grüße\n" {
		t.Errorf("stdout %q", r.stdout)
	}
	d.must("read", numeral(binary), "-o", d.path("b"))
}

func TestShowSearchSegmentsSupersede(t *testing.T) {
	d, _, index := anchoredTable(t)
	newer := d.anchorJSON(exitDone, "--date", "2031-03-01", d.file("new\x1b[2J.csv", "no,street,owner\n1,Elm,Alder\n")).Records[0]
	var shown recordResult
	r := d.must("record", "show", index, "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &shown); err != nil || shown.Series != "DEMO-MINUTES" || shown.Date != "2031-02-14" || !shown.HeldHere || shown.Grade != "city" {
		t.Errorf("record show: %s, %v", r.stdout, err)
	}
	if r := d.must("record", "show", shown.CID); !strings.Contains(r.stdout, "2031-02-14") || !strings.Contains(r.stderr, "next: muniment receipt "+index) {
		t.Errorf("record show by CID: %q, %q", r.stdout, r.stderr)
	}
	d.must("record", "supersede", index, numeral(newer.Index))
	if r := d.must("record", "show", index); !strings.Contains(r.stdout, fmt.Sprintf("record %d, says the node", newer.Index)) {
		t.Errorf("superseded: %q", r.stdout)
	}
	d.fails(exitRefused, "(ALREADY_SUPERSEDED)", "record", "supersede", index, numeral(newer.Index))
	d.fails(exitUsage, "not anchored later", "record", "supersede", numeral(newer.Index), index)
	if r := d.must("search", "spring"); !strings.HasPrefix(r.stdout, index+" ") || !strings.Contains(r.stdout, "Permits of spring") {
		t.Errorf("search: %q", r.stdout)
	}
	if r := d.must("search", "new"); strings.Contains(r.stdout, "\x1b") || !strings.Contains(r.stdout, `new\x1b[2J.csv`) {
		t.Errorf("search shows a name as it is: %q", r.stdout)
	}
	d.fails(exitUsage, "at least 2 characters", "search", "x")
	if r := d.must("segments", index); !strings.Contains(r.stdout, "row 2") || !strings.Contains(r.stdout, "digest") {
		t.Errorf("segments: %q", r.stdout)
	}
	d.fails(exitNotFound, "(NOT_FOUND)", "receipt", "9999")
	d.fails(exitNotFound, "anchors no record", "read", "0")
	d.fails(exitUsage, "names no record", "read", "007")
	d.fails(exitUsage, "names no record", "read", "bafyno")
	absent := commitment.Commitment{1}.CID()
	d.fails(exitNotFound, "(NOT_FOUND)", "receipt", absent)
}

func TestReceiptCommand(t *testing.T) {
	d, c, index := anchoredTable(t)
	text := d.must("receipt", index).stdout
	if verdict := must(receipt.Verify(c.network, []byte(text))); verdict.Outcome != receipt.Passed {
		t.Errorf("receipt on standard output: %s", verdict.Outcome)
	}
	r := d.must("receipt", index, "-o", d.path("r"), "--output", "json")
	var got struct {
		Verdict receipt.Verdict `json:"verdict"`
		Receipt string          `json:"receipt"`
		File    string          `json:"file"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Verdict.Outcome != receipt.Passed || got.File != d.path("r") || got.Receipt != text {
		t.Errorf("receipt as JSON: %v, %q", err, r.stdout)
	}
	if r := d.must("receipt", "0"); r.stdout == "" {
		t.Error("no receipt of the genesis entry")
	}
}

func TestGovernance(t *testing.T) {
	clerk, it := newDesk(t), newDesk(t)
	clerk.must("key", "new", "--office", "CLERK")
	it.must("key", "new", "--office", "IT")
	keys := must(clerk.places.loadConfig()).Keys
	keys["IT"] = must(it.places.loadConfig()).Keys["IT"]
	c := newCity(t, keys)
	clerk.pin(c)
	it.pin(c)
	police := newDesk(t)
	made := police.must("key", "new", "--office", "PARKS")
	var proposal actResult
	propose := func(args ...string) {
		t.Helper()
		r := clerk.must(append([]string{"office", "propose", "--output", "json"}, args...)...)
		if err := json.Unmarshal([]byte(r.stdout), &proposal); err != nil {
			t.Fatal(err)
		}
	}
	propose("office", "PARKS", "--roles", "DEPARTMENT, CLERK")
	if r := it.must("office", "show"); !strings.Contains(r.stdout, fmt.Sprintf("proposal %d by CLERK, approved by [CLERK]", proposal.Index)) ||
		!strings.Contains(r.stdout, "office PARKS: ACTIVE, roles [DEPARTMENT CLERK]") {
		t.Errorf("open proposal: %q", r.stdout)
	}
	clerk.fails(exitRefused, "(ALREADY_APPROVED)", "office", "approve", numeral(uint64(proposal.Index)))
	it.fails(exitRefused, "(OTHER_FACT)", "office", "approve", numeral(uint64(proposal.Index)), "--expect", "office PARKS: ACTIVE, roles [DEPARTMENT]")
	if r := it.must("office", "approve", numeral(uint64(proposal.Index))); !strings.Contains(r.stderr, "approving: office PARKS: ACTIVE, roles [DEPARTMENT CLERK]") {
		t.Errorf("approve: %q", r.stderr)
	}
	it.fails(exitNotFound, "(UNKNOWN_PROPOSAL)", "office", "approve", numeral(uint64(proposal.Index)))
	it.fails(exitRefused, "(NO_CHANGE)", "office", "propose", "office", "PARKS", "--roles", "CLERK,DEPARTMENT")
	for _, line := range strings.Split(made.stderr, "\n") {
		_, command, ok := strings.Cut(line, "  muniment office propose ")
		if !ok {
			continue
		}
		propose(strings.Fields(command)...)
		it.must("office", "approve", numeral(uint64(proposal.Index)))
	}
	info := must(must(police.places.loadConfig()).Keys["PARKS"].infos("PARKS"))
	if r := clerk.must("office", "show", "PARKS"); !strings.Contains(r.stdout, info[0].ID) || !strings.Contains(r.stdout, info[1].ID) || strings.Contains(r.stdout, "office IT") {
		t.Errorf("office show PARKS: %q", r.stdout)
	}
	it.must("key", "suspend", info[0].ID, "--since-height", "1")
	if r := clerk.must("office", "show", "PARKS"); !strings.Contains(r.stdout, "SIGNING key of PARKS: SUSPENDED") {
		t.Errorf("after suspension: %q", r.stdout)
	}
	it.fails(exitRefused, "(UNKNOWN_TARGET)", "key", "suspend", strings.Repeat("ab", 32))
	clerk.fails(exitNotFound, "(UNKNOWN_OFFICE)", "office", "show", "NOBODY-HERE")
	propose("office", "PARKS", "--roles", "DEPARTMENT", "--suspend")
	it.must("office", "approve", numeral(uint64(proposal.Index)), "--expect", "office PARKS: SUSPENDED, roles [DEPARTMENT]")
	for _, bad := range [][]string{
		{"office", "parks", "--roles", "CLERK"}, {"office", "PARKS"}, {"office", "PARKS", "--roles", "KING"},
		{"key", "PARKS", "--use", "both", "--public", strings.Repeat("ab", 32)}, {"key", "PARKS", "--use", "access", "--public", "ab"},
	} {
		clerk.fails(exitUsage, "", append([]string{"office", "propose"}, bad...)...)
	}
}

func TestConfigIsStrict(t *testing.T) {
	pin := strings.Repeat("ab", 32)
	good := config{Network: "n-1", Office: "CLERK", Account: "0123456789abcdef", Networks: map[string]string{"n-1": pin, "n.2": pin},
		Keys: map[string]publicKeys{"CLERK": {pin, pin}, "CITY.HR-1": {pin, pin}}}
	text := string(good.text())
	if got, err := parseConfig([]byte(text)); err != nil || string(got.text()) != text {
		t.Fatalf("what is written is not what is read: %v\n%s", err, text)
	}
	for name, bad := range map[string]string{
		"unknown setting":         text + "\n[more]\nx = 1\n",
		"unknown setting above":   "colour = \"red\"\n" + text,
		"setting twice":           "office = \"IT\"\n" + text,
		"no TOML":                 text + "\n[[[",
		"account of a person":     strings.Replace(text, "0123456789abcdef", "jane.doe.of.parks", 1),
		"office that is no code":  strings.Replace(text, `office = "CLERK"`, `office = "clerk"`, 1),
		"network without a pin":   strings.Replace(text, `network = "n-1"`, `network = "n-3"`, 1),
		"fingerprint too short":   strings.Replace(text, `"n-1" = "ab`, `"n-1" = "`, 1),
		"chain that is a path":    strings.Replace(text, `"n.2"`, `"../n"`, 1),
		"key that is not in hex":  strings.Replace(text, `access = "abab`, `access = "xyab`, 1),
		"office number for a key": strings.Replace(text, `[keys."CLERK"]`, `[keys."123"]`, 1),
	} {
		if bad == text {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if _, err := parseConfig([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("office = \"CLERK\"\naccount = \"0123456789abcdef\"\n")
	f.Add("[networks]\n\"a\" = \"" + strings.Repeat("ab", 32) + "\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig([]byte(text))
		if err != nil {
			return
		}
		if again, err := parseConfig(c.text()); err != nil || string(again.text()) != string(c.text()) {
			t.Errorf("written anew: %v\n%s", err, c.text())
		}
	})
}

func TestRoundUp(t *testing.T) {
	for _, test := range []struct {
		day  string
		g    record.Granularity
		want string
	}{
		{"2032-02-10", record.GranularityDay, "2032-02-10"},
		{"2032-02-10", record.GranularityMonth, "2032-02-29"},
		{"2100-02-01", record.GranularityMonth, "2100-02-28"},
		{"2031-12-31", record.GranularityMonth, "2031-12-31"},
		{"1899-05-01", record.GranularityYear, "1899-12-31"},
		{"0001-01-01", record.GranularityYear, "0001-12-31"},
		{"9999-12-01", record.GranularityMonth, "9999-12-31"},
	} {
		if got := dayText(roundUp(must(parseDay(test.day)), test.g)); got != test.want {
			t.Errorf("%s by %s: %s, want %s", test.day, test.g, got, test.want)
		}
	}
	for _, bad := range []string{"2031-02-30", "31-01-01", "2031-1-1", "0000-01-01", "tomorrow"} {
		if _, err := parseDay(bad); codeOf(err) != exitUsage {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	at := time.Unix(1e9, 0)
	for name, test := range map[string]struct {
		size    int64 // that the file claims before
		growth  int64 // what it claims to have gained afterwards
		touched time.Duration
		want    string
	}{
		"steady":             {5, 0, 0, ""},
		"grew while read":    {4, 1, time.Second, "FILE_CHANGED"},
		"cut short":          {6, -1, time.Second, "FILE_CHANGED"},
		"rewritten in place": {5, 0, time.Nanosecond, "FILE_CHANGED"},
		"too large":          {maxContentBytes + 1, 0, 0, "TOO_LARGE"},
	} {
		f := &restlessFile{stat: restlessInfo{size: test.size, at: at}, growth: test.growth, touched: test.touched}
		f.File = must(fstest.MapFS{"f": {Data: []byte("12345")}}.Open("f"))
		doc, err := readSteady(f)
		if reasonOf(err) != test.want || test.want == "" && string(doc.content) != "12345" || test.want != "" && doc.content != nil {
			t.Errorf("%s: %q, %v; want %q", name, doc.content, err, test.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"Straße 7": "Straße 7", "a\x1b[2Jb": `a\x1b[2Jb`, "a\nb\x9b": `a\x0ab` + "\ufffd", "\u202eevil": `\u202eevil`, "\u0085": `\x85`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestKeyFilesAreBoundToTheirPlace(t *testing.T) {
	d, _ := newOffice(t)
	c := must(d.places.loadConfig())
	signing, access := d.places.keyFile("PERMITS", useSigning), d.places.keyFile("PERMITS", useAccess)
	text := must(os.ReadFile(access))
	if err := os.WriteFile(signing, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{places: d.places}
	if _, err := p.openKey(c, "PERMITS", useSigning, []byte(testPassphrase)); reasonOf(err) != "BAD_KEY_FILE" {
		t.Errorf("the access key in place of the signing key: %v", err)
	}
	k := c.Keys["PERMITS"]
	k.Access = hex.EncodeToString(make([]byte, 32))
	c.Keys["PERMITS"] = k
	if _, err := p.openKey(c, "PERMITS", useAccess, []byte(testPassphrase)); reasonOf(err) != "BAD_KEY_FILE" {
		t.Errorf("another public key in the configuration: %v", err)
	}
}
