package state

import (
	"bytes"
	"testing"
)

// Ids of keys are looked for by how they begin: one in 256 of those beginnings
// ends in a byte that cannot be raised.
func TestBoundOfAPrefix(t *testing.T) {
	for _, test := range []struct{ prefix, want string }{
		{"s", "t"}, {"soffice/", "soffice0"}, {"skey/\x00", "skey/\x01"}, {"skey/\x01\xfe", "skey/\x01\xff"},
		{"skey/\x01\xff", "skey/\x02"}, {"skey/\xff\xff", "skey0"},
	} {
		got := after([]byte(test.prefix))
		if string(got) != test.want {
			t.Errorf("after %q: %q, want %q", test.prefix, got, test.want)
		}
		for _, end := range []string{"", "\x00", "\xff", "\xff\xff\xff"} {
			if bytes.Compare([]byte(test.prefix+end), got) >= 0 {
				t.Errorf("%q lies beyond %q", test.prefix+end, got)
			}
		}
	}
}
