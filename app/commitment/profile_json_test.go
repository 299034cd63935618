package commitment

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSplitJSON(t *testing.T) {
	testCuts(t, splitJSON, []cutCase{
		{"object: names and punctuation are glue", `{"office":"harbour","berths":7}`,
			[]string{`{"office":`, `"harbour"`, `,"berths":`, `7`, `}`}},
		{"duplicate names are kept", `{"a":1,"a":2}`, []string{`{"a":`, `1`, `,"a":`, `2`, `}`}},
		{"odd spacing is kept", " [ 1 ,\t2\r\n]\n", []string{" [ ", "1", " ,\t", "2", "\r\n]\n"}},
		{"byte order mark stays in the glue", "\xef\xbb\xbf[true]", []string{"\xef\xbb\xbf[", "true", "]"}},
		{"every kind of scalar", `["",0,-1.5e+3,true,false,null]`,
			[]string{`[`, `""`, `,`, `0`, `,`, `-1.5e+3`, `,`, `true`, `,`, `false`, `,`, `null`, `]`}},
		{"no scalar at all", `{"a":[],"b":{}}`, []string{`{"a":[],"b":{}}`}},
		{"scalar alone", `"harbour"`, []string{`"harbour"`}},
		{"scalar with a line end", "7\n", []string{"7", "\n"}},
		{"a text per line", "{\"a\":1}\n{\"a\":2}\n", []string{`{"a":`, `1`, "}\n{\"a\":", `2`, "}\n"}},
		{"a text per line, CRLF and blank lines", "1\r\n\r\n2", []string{"1", "\r\n\r\n", "2"}},
		{"escapes", `["\"\\\/\b\f\n\r\t\u00Fc"]`, []string{`[`, `"\"\\\/\b\f\n\r\t\u00Fc"`, `]`}},
		{"lone surrogate is well formed by the grammar", `["\ud800"]`, []string{`[`, `"\ud800"`, `]`}},
		{"depth 128", strings.Repeat("[", 128) + "1" + strings.Repeat("]", 128),
			[]string{strings.Repeat("[", 128), "1", strings.Repeat("]", 128)}},

		{"depth 129", strings.Repeat("[", 129) + "1" + strings.Repeat("]", 129), nil},
		{"nothing", "", nil},
		{"only space", " \n", nil},
		{"only a byte order mark", "\xef\xbb\xbf", nil},
		{"byte order mark further in", "[\xef\xbb\xbf1]", nil},
		{"two texts on one line", `{} {}`, nil},
		{"two scalars without space", `1"a"`, nil},
		{"comma after the last value", `[1,]`, nil},
		{"comma after the last member", `{"a":1,}`, nil},
		{"comma before the first value", `[,1]`, nil},
		{"name without quotes", `{a:1}`, nil},
		{"name without value", `{"a"}`, nil},
		{"value without name", `{1}`, nil},
		{"wrong bracket", `[1}`, nil},
		{"bracket too many", `[1]]`, nil},
		{"bracket missing", `[1`, nil},
		{"leading zero", `[01]`, nil},
		{"plus sign", `[+1]`, nil},
		{"bare point", `[1.]`, nil},
		{"bare minus", `[-]`, nil},
		{"bare exponent", `[1e]`, nil},
		{"wrong case", `[True]`, nil},
		{"half a word", `[tru`, nil},
		{"word with a tail", `[nulls]`, nil},
		{"comment", `[1] // harbour`, nil},
		{"single quotes", `['a']`, nil},
		{"control character in a string", "[\"\x01\"]", nil},
		{"newline in a string", "[\"a\nb\"]", nil},
		{"unknown escape", `["\x"]`, nil},
		{"short unicode escape", `["\u12"]`, nil},
		{"open string", `["a`, nil},
		{"string that ends in a backslash", `["\`, nil},
		{"not UTF-8", "[\"\xff\"]", nil},
		{"NUL", "[1\x00]", nil},
	})
}

func TestSplitJSONEveryByte(t *testing.T) {
	testEveryByte(t, JSON, splitJSON, licenceJSON)
}

// TestJSONAgainstTheStandardLibrary: on one JSON text, what encoding/json accepts
// is accepted, and the other way round, but for UTF-8 and depth.
func TestJSONAgainstTheStandardLibrary(t *testing.T) {
	for i := range licenceJSON {
		for c := range 0x80 {
			changed := []byte(licenceJSON)
			changed[i] = byte(c)
			_, err := splitJSON(changed)
			if valid := json.Valid(changed); valid != (err == nil) {
				t.Fatalf("byte %d set to %#02x: standard library says %t, we say %v", i, c, valid, err)
			}
		}
	}
}

const licenceJSON = `{
  "licence": "HC-2031-0007",
  "holder": {"office": "Harbour Commission", "rooms": [12, 14.5, -3e2]},
  "paid": true, "revoked": false, "note": null, "path": "a\/b\u00e9\"\\", "none": {}
}
`
