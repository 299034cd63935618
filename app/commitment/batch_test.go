package commitment

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// The manifests of two batches differ in the root alone: neither their size nor
// any number in them tells how much is within.
func TestBatchesLookAlike(t *testing.T) {
	var sizes []int
	for name, content := range map[string][]byte{
		"empty": nil, "one byte": {'x'}, "a kilobyte": bytes.Repeat([]byte("y"), 1<<10), "a megabyte": bytes.Repeat([]byte("z"), 1<<20),
	} {
		l, err := ArrangeBatch("raw/1", content, []Field{{Key: FieldFileName, Value: "b"}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if l.N() != BatchLeaves || !bytes.Equal(l.Content(), content) {
			t.Errorf("%s: %d leaves, want %d; content kept: %t", name, l.N(), BatchLeaves, bytes.Equal(l.Content(), content))
		}
		m, leaves, err := Commit(NewState(RecordKey{1}, l.N()), l)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.N != BatchLeaves || len(leaves) != BatchLeaves {
			t.Errorf("%s: a manifest of %d leaves, and %d leaf hashes", name, m.N, len(leaves))
		}
		sizes = append(sizes, len(m.Marshal()))
	}
	for _, size := range sizes {
		if size != sizes[0] {
			t.Errorf("manifests of %d bytes", sizes)
			break
		}
	}
}

// What Arrange pads to its own bound and what a batch pads are the same leaves.
func TestBatchHoldsWhatArrangeHolds(t *testing.T) {
	content := []byte(strings.Repeat("a,b\n", 100))
	plain, err := Arrange("csv/1;d=,", content, nil)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := ArrangeBatch("csv/1;d=,", content, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range batch.Segments {
		want := Segment{Kind: Padding}
		if i < len(plain.Segments) {
			want = plain.Segments[i]
		}
		if s.Kind != want.Kind || !bytes.Equal(s.Payload, want.Payload) {
			t.Fatalf("leaf %d is %s %q, want %s %q", i, s.Kind, s.Payload, want.Kind, want.Payload)
		}
	}
}

func TestBatchThatIsTooLarge(t *testing.T) {
	rows := func(n int) []byte { return []byte(strings.Repeat("a,b\n", n)) }
	if l, err := ArrangeBatch("csv/1;d=,", rows(BatchLeaves-1), nil); err != nil || l.N() != BatchLeaves {
		t.Errorf("%d rows and a digest: %d leaves, %v", BatchLeaves-1, l.N(), err)
	}
	if l, err := ArrangeBatch("csv/1;d=,", rows(BatchLeaves), nil); !errors.Is(err, ErrLayout) || l.N() != 0 {
		t.Errorf("%d rows and a digest: %d leaves, %v", BatchLeaves, l.N(), err)
	}
	if _, err := ArrangeBatch("nothing/9", nil, nil); err == nil {
		t.Error("an unknown profile is arranged")
	}
}
