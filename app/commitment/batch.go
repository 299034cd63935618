package commitment

import "fmt"

// BatchLeaves is the number of leaves that every batch has. A batch stands for
// all that an office kept under a series on a day; neither its commitment nor
// its manifest tells how much that was, or whether there was anything.
const BatchLeaves = 1024

// ArrangeBatch is Arrange for a batch: the leaves are padded up to BatchLeaves.
// Content that needs more is refused with ErrLayout.
func ArrangeBatch(p Profile, content []byte, fields []Field) (Layout, error) {
	l, err := arrange(p, content, fields, func(int) int { return BatchLeaves })
	if err != nil {
		return Layout{}, err
	}
	if len(l.Segments) > BatchLeaves {
		return Layout{}, fmt.Errorf("%w: %d leaves, and a batch has %d", ErrLayout, len(l.Segments), BatchLeaves)
	}
	return l, nil
}
