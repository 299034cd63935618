package keyring

import (
	"cmp"
	"fmt"
	"slices"
)

// Marked lists the rings whose markers are in dir, ascending. Nothing is opened
// there and nothing is made; a folder that is not there has none.
func Marked(dir string, o Options) (rings []RingID, err error) {
	names, err := o.fs().List(dir)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at keyring: %w", err)
	}
	for _, name := range names {
		if id, ok := ringOf(name, markerSuffix); ok {
			rings = append(rings, id)
		}
	}
	slices.SortFunc(rings, func(a, b RingID) int { return cmp.Compare(a.String(), b.String()) })
	return rings, nil
}
