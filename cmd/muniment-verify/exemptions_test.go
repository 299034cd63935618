package main

import (
	"strings"
	"testing"
)

// FuzzParseCodes: what is read has a code and a subject each, and writes nothing
// but visible characters to a terminal.
func FuzzParseCodes(f *testing.F) {
	f.Add([]byte(`{"authority": "A", "dated": "2026-11-01", "exemptions": [{"code": "X", "subject": "\u001b[2J about", "citation": "c\n"}]}`))
	f.Add([]byte(`{"authority": "A", "dated": "2026-11-01", "exemptions": []}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		codes, err := parseCodes(text)
		if err != nil {
			if codes.Authority != "" || codes.Codes != nil {
				t.Errorf("%v, and %+v", err, codes)
			}
			return
		}
		for _, c := range codes.Codes {
			if c.Code == "" || strings.TrimSpace(c.Subject) == "" || c.Subject != printable(c.Subject) || c.Citation != printable(c.Citation) {
				t.Errorf("read %+v", c)
			}
		}
	})
}
