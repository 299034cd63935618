package record

import (
	"bytes"
	"errors"
	"testing"
)

func sampleErasure() ErasureReport {
	return ErasureReport{
		Disposition: 1234, Custodian: KeyID{1, 2, 3}, Claim: ClaimKey, Device: "PKCS#11", Followed: 5678, Day: 20779,
		Rings: []RingRotation{
			{Office: "CLERK", Class: "DEMO-MAIL", From: 1, To: 2, Ended: 1, Needles: 4, Files: 9, Bytes: 100},
			{Office: "CLERK", Class: "DEMO-MINUTES", From: 3, To: 4, Kept: 96, Ended: 4, Needles: 40, Files: 12, Bytes: 90112},
		},
		Records: []RecordErasure{
			{Record: 17, Outcome: RecordErased, Attempts: 1, Released: 2, Releases: []Release{
				{Day: 20777, Office: "CLERK", Kind: ReleaseCopy, Whole: true, Digest: [32]byte{9}}, {Day: 20778, Office: "DPW", Kind: ReleaseRead},
			}},
			{Record: 18, Outcome: RecordPreserved, Alike: 3},
			{Record: 19, Outcome: RecordAbsent},
		},
	}
}

func TestErasureReportText(t *testing.T) {
	want := `muniment erasure report v1
disposition 1234
custodian 0102030000000000000000000000000000000000000000000000000000000000
claim C3
device PKCS#11
followed 5678
day 2026-11-22
ring CLERK DEMO-MAIL epochs 1 2 kept 0 ended 1 needles 4 files 9 bytes 100
ring CLERK DEMO-MINUTES epochs 3 4 kept 96 ended 4 needles 40 files 12 bytes 90112
record 17 erased attempts 1 alike 0 released 2
release 2026-11-20 CLERK copy whole 0900000000000000000000000000000000000000000000000000000000000000
release 2026-11-21 DPW read part 0000000000000000000000000000000000000000000000000000000000000000
record 18 preserved attempts 0 alike 3 released 0
record 19 absent attempts 0 alike 0 released 0
`
	text, err := sampleErasure().Marshal()
	if err != nil || string(text) != want {
		t.Fatalf("%v:\n%s", err, text)
	}
}

// TestErasureReportEveryByte: what is read is written as the very same text.
func TestErasureReportEveryByte(t *testing.T) {
	text, err := sampleErasure().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 0x2a} {
			bad := bytes.Clone(text)
			bad[i] ^= flip
			if r, err := ParseErasureReport(bad); err == nil {
				if again, _ := r.Marshal(); !bytes.Equal(again, bad) {
					t.Fatalf("byte %d: %q is read as another text", i, bad)
				}
			} else if !errors.Is(err, ErrErasureReport) || r.Records != nil {
				t.Fatalf("byte %d: %v, %v", i, r, err)
			}
		}
	}
}

func TestErasureReportRefuses(t *testing.T) {
	for name, change := range map[string]func(*ErasureReport){
		"disposition": func(r *ErasureReport) { r.Disposition = 0 },
		"claim":       func(r *ErasureReport) { r.Claim = 2 },
		"device":      func(r *ErasureReport) { r.Device = "a drawer" },
		"too strong":  func(r *ErasureReport) { r.Device = "key file" },
		"too weak":    func(r *ErasureReport) { r.Claim = ClaimFiles },
		"custodian":   func(r *ErasureReport) { r.Custodian = KeyID{} },
		"epochs":      func(r *ErasureReport) { r.Rings[0].To = 3 },
		"ring order":  func(r *ErasureReport) { r.Rings[0], r.Rings[1] = r.Rings[1], r.Rings[0] },
		"no records":  func(r *ErasureReport) { r.Records = nil },
		"twice":       func(r *ErasureReport) { r.Records[1].Record = 17 },
		"outcome":     func(r *ErasureReport) { r.Records[1].Outcome = 9 },
		"releases":    func(r *ErasureReport) { r.Records[0].Released = 1 },
		"kind":        func(r *ErasureReport) { r.Records[0].Releases[0].Kind = 0 },
	} {
		r := sampleErasure()
		change(&r)
		if _, err := r.Marshal(); !errors.Is(err, ErrErasureReport) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseErasureReport(f *testing.F) {
	text, _ := sampleErasure().Marshal()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseErasureReport(text)
		if err != nil {
			return
		}
		again, err := r.Marshal()
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%q is written as %q, %v", text, again, err)
		}
	})
}
