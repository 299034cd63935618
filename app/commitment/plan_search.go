package commitment

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxNeedles bounds the values that one plan looks for, in bytes.
	maxNeedles = 64 << 20

	// maxAutomaton bounds the values that one run over the text looks for.
	maxAutomaton = 1 << 20
)

// needle is a value in its normal form.
type needle struct {
	text  string
	ask   int
	limit limit
}

// needles gives the values that are looked for, each once: in normal form, long
// enough, and with a letter or digit.
func needles(hidden []value) ([]needle, error) {
	var out []needle
	seen := map[string]int{}
	size := 0
	for _, v := range hidden {
		if v.limit == onlyHash {
			continue
		}
		text := string(bytes.TrimSpace(normal{}.append(nil, []byte(v.text))))
		if len(text) > maxValue {
			text = text[:wholeRunes([]byte(text), maxValue)]
		}
		if utf8.RuneCountInString(text) < minValue || strings.IndexByte(text, 0) >= 0 || !strings.ContainsFunc(text, isWordRune) {
			continue
		}
		if at, again := seen[text]; again {
			out[at].limit = min(out[at].limit, v.limit)
			continue
		}
		if size += len(text); size > maxNeedles {
			return nil, fmt.Errorf("%w: it hides more than %d bytes of different values: hide fewer at a time", ErrPlan, maxNeedles)
		}
		seen[text] = len(out)
		out = append(out, needle{text, v.ask, v.limit})
	}
	return out, nil
}

func isWordRune(r rune) bool { return r >= utf8.RuneSelf || isWordByte(byte(r)) }

// normal brings text into the form in which it is compared: letters in lower case,
// each run of white space one space.
type normal struct {
	mail   bool // "=" at the end of a line is a soft line break of quoted-printable
	quotes bool // ">" at the beginning of a line quotes it: white space
	names  bool // characters that stand for spaces in file names are white space
}

// append appends the normal form of text to out.
func (f normal) append(out, text []byte) []byte {
	newline := false // since the last character that shows
	for i := 0; i < len(text); {
		c := text[i]
		i++
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v':
			newline = newline || c == '\n'
			out = appendSpace(out)
			continue
		case c == '>' && newline && f.quotes, f.names && strings.IndexByte("_-+.", c) >= 0:
			out = appendSpace(out)
			continue
		case c == '=' && f.mail:
			if rest := bytes.TrimPrefix(text[i:], []byte{'\r'}); len(rest) > 0 && rest[0] == '\n' {
				i = len(text) - len(rest) + 1
				continue
			}
			out = append(out, c)
		case c >= 'A' && c <= 'Z':
			out = append(out, c+'a'-'A')
		case c < utf8.RuneSelf:
			out = append(out, c)
		default:
			r, size := utf8.DecodeRune(text[i-1:])
			i += size - 1
			switch {
			case r == utf8.RuneError && size == 1:
				out = append(out, c)
			case unicode.IsSpace(r):
				out = appendSpace(out)
				continue
			default:
				out = utf8.AppendRune(out, unicode.ToLower(r))
			}
		}
		newline = false
	}
	return out
}

func appendSpace(out []byte) []byte {
	if len(out) > 0 && out[len(out)-1] == ' ' {
		return out
	}
	return append(out, ' ')
}

// haystack is all that a plan looks into, in normal form.
type haystack struct {
	text   []byte
	starts []int // of each part in text, and the end
	leaves []int // of each part
}

// haystack joins the content, so that a value may go over the end of a segment,
// and the metadata, each apart. A NUL stands where something is missing.
func (pl *planner) haystack() haystack {
	var h haystack
	form := normal{mail: pl.profile == EML, quotes: pl.profile == EML || pl.profile == Text}
	for i, s := range pl.segs {
		switch {
		case s.Kind == Content && len(s.Payload) == 0:
			h.text = append(h.text, 0)
		case s.Kind == Content:
			h.begin(i)
			h.text = form.append(h.text, s.Payload)
		case s.Kind == Metadata:
			field, err := ParseField(s.Payload)
			if err != nil || field.Key == FieldMediaType || field.Key == FieldDerivedFrom {
				continue
			}
			h.text = append(h.text, 0)
			h.begin(i)
			h.text = normal{}.append(h.text, []byte(field.Value))
			h.text = normal{names: true}.append(append(h.text, 0), []byte(field.Value))
			h.text = append(h.text, 0)
		}
	}
	h.starts = append(h.starts, len(h.text))
	return h
}

func (h *haystack) begin(leaf int) {
	h.starts, h.leaves = append(h.starts, len(h.text)), append(h.leaves, leaf)
}

// part returns the number of the part that holds the byte at position at; none
// after most does.
func (h *haystack) part(at, most int) int {
	if h.starts[most] <= at {
		return most
	}
	return sort.Search(most, func(i int) bool { return h.starts[i+1] > at })
}

// isWhole reports whether text[start:end] is no part of a longer word, or of a
// longer number.
func (h *haystack) isWhole(start, end int) bool {
	at := func(i int) byte {
		if i < 0 || i >= len(h.text) {
			return 0
		}
		return h.text[i]
	}
	if isWordByte(at(start)) && isWordByte(at(start-1)) || isWordByte(at(end-1)) && isWordByte(at(end)) {
		return false
	}
	if slices.ContainsFunc(h.text[start:end], func(c byte) bool { return c < '0' || c > '9' }) {
		return true
	}
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	return !(at(start-1) == '.' && isDigit(at(start-2))) && !(at(end) == '.' && isDigit(at(end+1)))
}

// sameText finds the leaves in which hidden values stand, and those that are the
// same as a hidden one, byte for byte.
func (pl *planner) sameText(hidden []value) error {
	pl.samePayload()
	wanted, err := needles(hidden)
	if err != nil || len(wanted) == 0 {
		return err
	}
	h := pl.haystack()
	for len(wanted) > 0 {
		n, size := 0, 0
		for n < len(wanted) && size < maxAutomaton {
			size += len(wanted[n].text)
			n++
		}
		pl.search(h, wanted[:n])
		wanted = wanted[n:]
	}
	return nil
}

// search finds where the needles stand. One with a limit counts only when all is
// read and it was not found too often.
func (pl *planner) search(h haystack, wanted []needle) {
	type hit struct{ needle, from, to int }
	var hits []hit
	counts := make([]int, len(wanted)) // parts in which each was found
	last := make([]int, len(wanted))   // the last such part, and 1
	often := max(fewSegments, len(h.leaves)/commonShare)
	m := newMatcher(wanted)
	node, to := uint32(0), 0 // to: the part of the byte that is read
	for i, c := range h.text {
		node = m.step(node, c)
		for to < len(h.leaves)-1 && h.starts[to+1] <= i {
			to++
		}
		for at := m.ending(node); at != 0; at = m.shorter[at] {
			n := int(m.needle[at]) - 1
			start := i + 1 - len(wanted[n].text)
			if last[n] > to || !h.isWhole(start, i+1) {
				continue
			}
			from := max(h.part(start, to), last[n]) // the parts before were noted
			last[n] = to + 1
			counts[n] += to + 1 - from
			switch wanted[n].limit {
			case noLimit:
				pl.same(h, from, to, wanted[n].ask)
				continue
			case oftenOut:
				if counts[n] > often {
					continue
				}
			case fewOut:
				if counts[n] > fewSegments {
					continue
				}
			}
			hits = append(hits, hit{n, from, to})
		}
	}
	for _, found := range hits {
		n := found.needle
		if counts[n] <= fewSegments || wanted[n].limit == oftenOut && counts[n] <= often {
			pl.same(h, found.from, found.to, wanted[n].ask)
		}
	}
}

// same notes the leaves of some parts.
func (pl *planner) same(h haystack, from, to, ask int) {
	for part := from; part <= to; part++ {
		why := becauseSameText
		if pl.segs[h.leaves[part]].Kind == Metadata {
			why = becauseFileName
		}
		pl.find(h.leaves[part], why, ask)
	}
}

// samePayload finds segments that are the same as a hidden one.
func (pl *planner) samePayload() {
	asks := map[string]int{}
	for i, s := range pl.segs {
		if pl.found[i].because != becauseAsked || !isSaying(pl.marks[i].noun) {
			continue
		}
		if key := bytes.TrimSpace(s.Payload); len(key) >= minValue {
			if _, again := asks[string(key)]; !again {
				asks[string(key)] = int(pl.found[i].ask)
			}
		}
	}
	if len(asks) == 0 {
		return
	}
	for i, s := range pl.segs {
		if s.Kind != Content {
			continue
		}
		if ask, same := asks[string(bytes.TrimSpace(s.Payload))]; same {
			pl.find(i, becauseSameText, ask)
		}
	}
}

// isSaying reports whether a segment as a whole says something: what holds a
// form together, and single values, do not or are looked for otherwise.
func isSaying(n noun) bool {
	return n == nounRow || n == nounParagraph || n == nounChunk || n == nounSegment
}

// matcher finds many needles in one run over a text (Aho and Corasick, 1975).
// Node 0 is the root: nothing is read yet.
type matcher struct {
	edges   map[uint64]uint32 // node << 8 | byte -> node
	root    [256]uint32
	fail    []uint32 // node of the longest proper suffix
	needle  []uint32 // that ends at the node, and 1; 0: none
	shorter []uint32 // next node on the way of fail at which a needle ends; 0: none
}

func newMatcher(wanted []needle) *matcher {
	size := 1
	for _, w := range wanted {
		size += len(w.text)
	}
	m := &matcher{edges: make(map[uint64]uint32, size), needle: make([]uint32, 1, size)}
	parent, by, depth := make([]uint32, 1, size), make([]byte, 1, size), make([]int, 1, size)
	for n, w := range wanted {
		node := uint32(0)
		for i := range len(w.text) {
			key := uint64(node)<<8 | uint64(w.text[i])
			next, ok := m.edges[key]
			if !ok {
				next = uint32(len(m.needle))
				m.edges[key] = next
				m.needle, parent, by, depth = append(m.needle, 0), append(parent, node), append(by, w.text[i]), append(depth, i+1)
			}
			node = next
		}
		m.needle[node] = uint32(n) + 1
	}
	for c := range m.root {
		m.root[c] = m.edges[uint64(c)]
	}
	order := make([]uint32, len(depth))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return depth[a] - depth[b] })
	m.fail, m.shorter = make([]uint32, len(depth)), make([]uint32, len(depth))
	for _, node := range order[1:] {
		if depth[node] > 1 {
			m.fail[node] = m.step(m.fail[parent[node]], by[node])
		}
		m.shorter[node] = m.ending(m.fail[node])
	}
	return m
}

// step reads one byte.
func (m *matcher) step(node uint32, c byte) uint32 {
	for node != 0 {
		if next, ok := m.edges[uint64(node)<<8|uint64(c)]; ok {
			return next
		}
		node = m.fail[node]
	}
	return m.root[c]
}

// ending returns the node, on the way of fail from node on, at which the longest
// needle ends; 0 if none does.
func (m *matcher) ending(node uint32) uint32 {
	if m.needle[node] != 0 {
		return node
	}
	return m.shorter[node]
}
