package commitment

import (
	"cmp"
	"slices"
)

// Range is the leaves First to Last, both included.
type Range struct{ First, Last uint32 }

// appendRange appends the leaves [first, end) unless there are none.
func appendRange(ranges []Range, first, end uint64) []Range {
	if first >= end {
		return ranges
	}
	return append(ranges, Range{uint32(first), uint32(end - 1)})
}

// mergeRanges returns the same leaves as far as they are below n, sorted, with
// ranges that touch made one. Ranges that end before they begin hold nothing.
func mergeRanges(ranges []Range, n uint32) []Range {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	var out []Range
	for _, r := range sorted {
		if r.First > r.Last || r.First >= n {
			continue
		}
		r.Last = min(r.Last, n-1)
		if last := len(out) - 1; last >= 0 && uint64(r.First) <= uint64(out[last].Last)+1 {
			out[last].Last = max(out[last].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// complement returns the leaves below n that are in none of the merged ranges.
func complement(ranges []Range, n uint32) []Range {
	var out []Range
	next := uint64(0)
	for _, r := range ranges {
		out = appendRange(out, next, uint64(r.First))
		next = uint64(r.Last) + 1
	}
	return appendRange(out, next, uint64(n))
}

// within returns those of the merged ranges that touch [first, end).
func within(ranges []Range, first, end uint64) []Range {
	from, _ := slices.BinarySearchFunc(ranges, first, func(r Range, leaf uint64) int { return cmp.Compare(uint64(r.Last), leaf) })
	to, _ := slices.BinarySearchFunc(ranges, end, func(r Range, leaf uint64) int { return cmp.Compare(uint64(r.First), leaf) })
	return ranges[from:max(from, to)]
}

// contains reports whether a leaf is in one of the merged ranges.
func contains(ranges []Range, leaf uint32) bool {
	return len(within(ranges, uint64(leaf), uint64(leaf)+1)) > 0
}
