package custody

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/commitment"
)

func testSecrets() secrets {
	s := secrets{layout: [32]byte{1, 2}, fingerprint: [32]byte{5, 6}, state: commitment.NewState(commitment.RecordKey{3, 4}, 16)}
	s.state.Puncture(5)
	return s
}

func TestSecretsKeepTheirForm(t *testing.T) {
	raw := testSecrets().marshal()
	got, err := parseSecrets(raw)
	if err != nil || !bytes.Equal(got.marshal(), raw) || got.state.Live(5) || !got.state.Live(6) {
		t.Errorf("%v, %v", got, err)
	}
	for i := range raw {
		if _, err := parseSecrets(raw[:i]); err == nil {
			t.Errorf("cut to %d bytes: read", i)
		}
	}
	for i := range secretsHead + 10 { // and the head of the state
		flipped := bytes.Clone(raw)
		flipped[i] ^= 1
		if again, err := parseSecrets(flipped); err == nil && !bytes.Equal(again.marshal(), flipped) {
			t.Errorf("byte %d flipped: read as another", i)
		}
	}
}

// TestSecretsAreNotPrinted puts secrets through the verbs that logs use.
func TestSecretsAreNotPrinted(t *testing.T) {
	s := testSecrets()
	text := fmt.Sprintf("%v %+v %s", s, s, s)
	if strings.Contains(text, "[1 2 0") || strings.Contains(text, "[5 6 0") || strings.Contains(text, "0102") {
		t.Errorf("printed %s", text)
	}
}

func FuzzParseSecrets(f *testing.F) {
	f.Add(testSecrets().marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := parseSecrets(raw); err == nil && !bytes.Equal(s.marshal(), raw) {
			t.Errorf("%x: %v", raw, s)
		}
	})
}
