package commitment

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	redactionVectorFile = "../../docs/spec/vectors/redaction.json"
	redactionTwin       = "../../scripts/twin/redaction.mjs"
)

type redactionVectors struct {
	Redactions []redactionVector `json:"redactions"`
	Refused    []string          `json:"refused"` // texts that are none
}

type redactionVector struct {
	Text      string       `json:"text"`
	Hash      string       `json:"hash"`
	Salt      string       `json:"salt"` // in hexadecimal
	Authority string       `json:"authority"`
	Dated     string       `json:"dated"`
	Marks     []markVector `json:"marks"`
}

type markVector struct {
	First uint32 `json:"first"`
	Last  uint32 `json:"last"`
	Code  string `json:"code"`
}

// redactionExamples are what the vectors are made of.
func redactionExamples() []Redaction {
	least := Redaction{Authority: "A", Dated: "0000-00-00", Marks: []Mark{{Range{0, 0}, Betrays}}}
	most := Redaction{Authority: strings.Repeat("z", MaxExemptionCode), Dated: "9999-99-99", Marks: []Mark{
		{Range{0, 0}, strings.Repeat("Z", MaxExemptionCode)}, {Range{1, 9}, "-"}, {Range{10, 10}, "--"}, {Range{12, 99}, "-"}, {Range{MaxLeaves - 1, MaxLeaves - 1}, "9."},
	}}
	for i := range most.Salt {
		most.Salt[i] = 255 - byte(i)
	}
	return []Redaction{sampleRedaction(), least, most}
}

func makeRedactionVectors(t *testing.T) redactionVectors {
	t.Helper()
	var v redactionVectors
	for _, r := range redactionExamples() {
		text, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		hash, err := r.Hash()
		if err != nil {
			t.Fatal(err)
		}
		one := redactionVector{Text: string(text), Hash: hex.EncodeToString(hash[:]), Salt: hex.EncodeToString(r.Salt[:]), Authority: r.Authority, Dated: r.Dated}
		for _, m := range r.Marks {
			one.Marks = append(one.Marks, markVector{m.First, m.Last, m.Code})
		}
		v.Redactions = append(v.Redactions, one)
	}
	good := v.Redactions[0].Text
	for _, change := range [][2]string{
		{"v1", "v2"}, {"muniment redaction v1\n", ""}, {"salt ", "Salt "}, {"AAEC", "AAE"}, {"Hh8=", "Hh9="}, {"Hh8=\n", "Hh8\n"}, {"AAEC", "AAE\nC"},
		{"authority CT-FOI", "authority -"}, {"CT-FOI ", "CT FOI "}, {"CT-FOI ", ""}, {"CT-FOI", "CT_FOI"}, {"CT-FOI", strings.Repeat("A", 33)}, {"2026-11-01", "2026-11-1"}, {"2026-11-01", "1-11-2026"},
		{"mark 0-0 -\n", ""}, {"mark 0-0", "mark 00-0"}, {"mark 0-0", "mark 0"}, {"mark 0-0", "mark +0-0"}, {"mark 0-0", "mark  0-0"}, {"mark 0-0", "mark 1-0"}, {"3-7", "0-7"}, {"8-8", "7-8"},
		{"8-8 CT-1-210-b-20", "8-8 CT-1-210-b-2"}, {"8-8", "2-2"}, {"8-8", "8-16777216"}, {"8-8", "4294967304-4294967304"}, {"b-20", "b 20"}, {"b-20", "b(20)"}, {"CT-1-210-b-20", ""},
		{"b-20\n", "b-20"}, {"b-20\n", "b-20\n\n"}, {"b-20\n", "b-20\r\n"}, {"b-20\n", "b-20 \n"}, {"mark 3-7", "note 3-7"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if change[0] == "mark 0-0 -\n" { // every mark
			bad, _, _ = strings.Cut(good, "mark ")
		}
		v.Refused = append(v.Refused, bad)
	}
	v.Refused = append(v.Refused, "", "\n")
	return v
}

func TestRedactionVectors(t *testing.T) {
	v := makeRedactionVectors(t)
	want, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(redactionVectorFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(redactionVectorFile); err != nil || string(got) != string(want) {
		t.Errorf("%s is not what this package makes (%v): run the test with -update, and read what changes", redactionVectorFile, err)
	}
	for _, text := range v.Refused {
		if r, err := ParseRedaction([]byte(text)); !errors.Is(err, ErrRedaction) || r.Marks != nil {
			t.Errorf("read %q: %+v, %v", text, r, err)
		}
	}
}

// TestRedactionTwin lets the JavaScript twin judge the vectors, and vectors that
// are wrong.
func TestRedactionTwin(t *testing.T) {
	needNode(t)
	run := func(text []byte) (string, error) {
		file := filepath.Join(t.TempDir(), "vectors.json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("node", redactionTwin, file).CombinedOutput()
		return string(out), err
	}
	good, err := os.ReadFile(redactionVectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(good); err != nil {
		t.Fatalf("the twin disagrees: %v\n%s", err, out)
	}
	v := makeRedactionVectors(t)
	for name, change := range map[string]func(*redactionVectors){
		"another hash":              func(v *redactionVectors) { v.Redactions[1].Hash = v.Redactions[0].Hash },
		"another mark":              func(v *redactionVectors) { v.Redactions[0].Marks[1].Last++ },
		"a good text refused":       func(v *redactionVectors) { v.Refused = append(v.Refused, v.Redactions[2].Text) },
		"a bad text among the good": func(v *redactionVectors) { v.Redactions[0].Text = v.Refused[3] },
	} {
		bad := v
		bad.Redactions = append([]redactionVector{}, v.Redactions...)
		bad.Redactions[0].Marks = append([]markVector{}, v.Redactions[0].Marks...)
		change(&bad)
		text, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := run(text); err == nil {
			t.Errorf("the twin agrees with %s:\n%s", name, out)
		}
	}
}
