package commitment

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

// planLines arranges a record without metadata and gives its plan, one line a mark.
// The digest is leaf 0, and the first segment leaf 1.
func planLines(t *testing.T, p Profile, content string, asks ...Ask) []string {
	t.Helper()
	return planOf(t, p, content, nil, asks...)
}

func planOf(t *testing.T, p Profile, content string, fields []Field, asks ...Ask) []string {
	t.Helper()
	l, err := Arrange(p, []byte(content), fields)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := Plan(p, l.Segments, asks)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, m := range marks {
		lines = append(lines, fmt.Sprintf("%d-%d %s %s: %s", m.First, m.Last, m.Code, m.Why, m.Label))
	}
	return lines
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestPlanRows(t *testing.T) {
	content := "name,mail,paid\nA. Marsh,a.marsh@example.org,120\nB. Field,b@example.org,120\nC. Hill,A.Marsh@Example.org,7\n"
	wantLines(t, planLines(t, rows, content, Ask{"rows 2", "CT-1-210-b-2"}),
		"0-0 - digest: digest",
		"2-2 CT-1-210-b-2 asked: row 2",
		"4-4 CT-1-210-b-2 same text: row 4",
	)
}

func TestPlanRefuses(t *testing.T) {
	l, err := Arrange(Text, []byte("one\n\ntwo\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		asks []Ask
		want error
	}{
		"no asks":          {nil, ErrPlan},
		"too many":         {make([]Ask, MaxAsks+1), ErrPlan},
		"no code":          {[]Ask{{"paragraphs 1", ""}}, ErrPlan},
		"code of betrayal": {[]Ask{{"paragraphs 1", Betrays}}, ErrPlan},
		"no selector":      {[]Ask{{"chapter 1", "X"}}, ErrSelector},
		"nothing there":    {[]Ask{{"paragraphs 3", "X"}}, ErrNoMatch},
	} {
		if marks, err := Plan(Text, l.Segments, c.asks); !errors.Is(err, c.want) || marks != nil {
			t.Errorf("%s: %v, %v", name, marks, err)
		}
	}
}

// TestPlanDigests: digests of a hidden cell, in every form, are found.
func TestPlanDigests(t *testing.T) {
	secret := "maple"
	five, one, two := md5.Sum([]byte(secret)), sha1.Sum([]byte(secret)), sha256.Sum256([]byte(secret))
	crc := crc32.ChecksumIEEE([]byte(secret))
	for name, digest := range map[string]string{
		"md5":                 hex.EncodeToString(five[:]),
		"sha-1, capitals":     strings.ToUpper(hex.EncodeToString(one[:])),
		"sha-256 with a name": "sha256:" + hex.EncodeToString(two[:]),
		"base64":              base64.StdEncoding.EncodeToString(two[:]),
		"base64 for URLs":     base64.RawURLEncoding.EncodeToString(one[:]),
		"with a prefix":       "sha256-" + base64.StdEncoding.EncodeToString(two[:]),
		"crc32":               fmt.Sprintf("%08x", crc),
		"crc32 in decimal":    fmt.Sprint(crc),
	} {
		t.Run(name, func(t *testing.T) {
			content := "word,seen\n" + secret + ",1\nother," + digest + "\n"
			wantLines(t, planLines(t, cells, content, Ask{"rows 2 columns 1", "X"}),
				"0-0 - digest: digest", "3-3 X asked: row 2 column 1", "6-6 - checksum: row 3 column 2")
			if lines := planLines(t, cells, content, Ask{"rows 3 columns 1", "X"}); len(lines) != 2 {
				t.Errorf("found for another value: %q", lines)
			}
		})
	}
}
