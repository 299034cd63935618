package commitment_test

import (
	"crypto/rand"
	"fmt"
	"log"

	"github.com/muniment/muniment/app/commitment"
)

// A clerk commits to minutes, later gives out a copy without the second
// paragraph, and a reader proves the copy with nothing but the commitment.
func Example() {
	minutes := []byte("Present: four members.\n\nComplaint of a resident.\n\nAdjourned.\n")
	layout, err := commitment.Arrange(commitment.Text, minutes, []commitment.Field{
		{Key: commitment.FieldMediaType, Value: "text/plain"},
		{Key: commitment.FieldFileName, Value: "minutes.txt"},
	})
	if err != nil {
		log.Fatal(err)
	}
	var key commitment.RecordKey
	rand.Read(key[:])
	state := commitment.NewState(key, layout.N())
	manifest, leaves, err := commitment.Commit(state, layout)
	if err != nil {
		log.Fatal(err)
	}
	onChain := manifest.Commitment()

	hide := commitment.Redact(layout.Segments, []commitment.Range{{First: 4, Last: 4}}, false)
	copied, err := commitment.NewCopy(manifest, leaves, state, layout.Segments, hide)
	if err != nil {
		log.Fatal(err)
	}
	file := copied.Marshal()

	received, err := commitment.ParseCopy(file)
	if err != nil {
		log.Fatal(err)
	}
	opened, err := received.Verify(onChain)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, %d leaves, hidden %v\n", opened.Profile, opened.N, opened.Hidden)
	fmt.Printf("%s", opened.Content())
	// Output:
	// text/1, 16 leaves, hidden [{1 2} {4 4}]
	// Present: four members.
	//
	// Adjourned.
}

// Puncturing forgets one leaf for good and leaves the others as they were.
func ExampleState_Puncture() {
	state := commitment.NewState(commitment.RecordKey{1}, 100_000)
	fmt.Println(state, state.Live(4711))
	state.Puncture(4711)
	fmt.Println(state, state.Live(4711), state.Live(4712))
	// Output:
	// key state of 100000 leaves, 1 seeds true
	// key state of 100000 leaves, 17 seeds false true
}

// A commitment is written as a CID, which has one spelling.
func ExampleParseCID() {
	c, err := commitment.ParseCID("bafyreiflkeyywnwslbmy5apovqrglhdc57hkhciwayblu2axcwo5crc7dq")
	fmt.Printf("%x %v\n", c[:4], err)
	_, err = commitment.ParseCID("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n")
	fmt.Println(err)
	// Output:
	// ab51318b <nil>
	// commitment "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n": not a CIDv1 of SHA-256
}
