package commitment

import "fmt"

// Limits of a record. A profile cuts its segments within them; every parser of
// this package refuses what lies outside.
const (
	MaxLeaves  = 1 << 24 // leaves of one record, padding included
	MaxPayload = 1 << 20 // bytes of one segment
	MaxContent = 4 << 30 // bytes of one record
)

const maxDepth = 24 // of the tree over MaxLeaves

// Kind says what a leaf holds. The number is part of the leaf's bytes.
type Kind uint8

// The kinds of leaf, in the order in which they stand in a record.
const (
	Content  Kind = 1 // bytes of the record, in their original order
	Metadata Kind = 2 // one Field
	Digest   Kind = 3 // length and SHA-256 of the whole content
	Padding  Kind = 4 // nothing; hides the true number of segments
)

// Valid reports whether k is one of the four kinds.
func (k Kind) Valid() bool { return k >= Content && k <= Padding }

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Content:
		return "content"
	case Metadata:
		return "metadata"
	case Digest:
		return "digest"
	case Padding:
		return "padding"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Segment is what one leaf hides. Payload is the exact bytes; segments cut from
// a content share its memory and must not be changed. Oracle marks a segment from
// which other segments could be guessed, such as a mail's DKIM signature: it is
// hidden whenever any content is hidden. The mark is not part of the commitment.
type Segment struct {
	Kind    Kind
	Payload []byte
	Oracle  bool
}
