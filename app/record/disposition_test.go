package record

import (
	"os"
	"strings"
	"testing"
)

// TestClaimsSayTheSameEverywhere holds the page about rings to the words that
// programs and certificates print.
func TestClaimsSayTheSameEverywhere(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/keyring.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Claim{ClaimFiles, ClaimKey} {
		said := c.Says()
		if !strings.HasPrefix(said, c.String()+": ") || strings.Contains(said, "\n") {
			t.Errorf("%v says %q: want its name first, on one line", c, said)
		}
		if !strings.Contains(string(page), "\n> "+said+"\n") {
			t.Errorf("the page has no line %q", "> "+said)
		}
	}
	if said := Claim(2).Says(); !strings.HasPrefix(said, "no claim: ") {
		t.Errorf("a level that is not claimed says %q", said)
	}
}
