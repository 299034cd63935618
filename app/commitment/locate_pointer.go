package commitment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// locatePointer selects by a JSON pointer: the value, or, for an array or object,
// every segment that holds a byte of it. The first and last of these may also hold
// the name before it and punctuation around it: more is hidden, never less.
func locatePointer(p Profile, segs []Segment, positions []int, pointer string) ([]int, error) {
	if p != JSON {
		return nil, fmt.Errorf("%w: profile %s has no JSON pointers", ErrSelector, p)
	}
	steps, err := parsePointer(pointer)
	if err != nil {
		return nil, err
	}
	content, whole := join(contentOf(segs, positions))
	if !whole {
		return nil, ErrGaps
	}
	spans, err := pointerSpans(content, steps)
	if err != nil {
		return nil, err
	}
	var found []int
	start := 0
	for _, position := range positions {
		end := start + len(segs[position].Payload)
		for len(spans) > 0 && spans[0].end <= start {
			spans = spans[1:]
		}
		if len(spans) > 0 && spans[0].start < end {
			found = append(found, position)
		}
		start = end
	}
	if len(found) == 0 {
		return nil, ErrNoMatch
	}
	return found, nil
}

// parsePointer reads a JSON pointer of at least one step (RFC 6901 section 3).
func parsePointer(pointer string) ([]string, error) {
	steps := strings.Split(pointer, "/")[1:]
	if len(steps) > maxJSONDepth {
		return nil, fmt.Errorf("%w: pointer is deeper than %d", ErrSelector, maxJSONDepth)
	}
	for i, step := range steps {
		if bad := strings.NewReplacer("~0", "", "~1", "").Replace(step); strings.Contains(bad, "~") {
			return nil, fmt.Errorf("%w: ~ in a pointer is written ~0, and / is ~1", ErrSelector)
		}
		steps[i] = strings.NewReplacer("~0", "~", "~1", "/").Replace(step)
	}
	return steps, nil
}

// span is content[start:end].
type span struct{ start, end int }

// pointerFrame is an open array or object on the way of a pointerSpans walk.
type pointerFrame struct {
	object  bool
	onPath  bool // its own position is a beginning of the pointer
	target  bool // it is what the pointer names
	start   int
	index   int  // of the next value, in an array
	hasName bool // the last name is the pointer's next step, in an object
}

// pointerSpans returns the values that the pointer names, in order: several where
// a name stands twice in an object, and one per line of an NDJSON content.
func pointerSpans(content []byte, steps []string) ([]span, error) {
	scan, err := newJSONScanner(content)
	if err != nil {
		return nil, err
	}
	var spans []span
	var frames []pointerFrame
	for {
		token, err := scan.next()
		if err != nil {
			return nil, err
		}
		switch token.kind {
		case jsonEnd:
			return spans, nil
		case jsonName:
			if top := &frames[len(frames)-1]; top.onPath {
				top.hasName = isName(content[token.start:token.end], steps[len(frames)-1])
			}
		case jsonClose:
			if top := frames[len(frames)-1]; top.target {
				spans = append(spans, span{top.start, token.end})
			}
			frames = frames[:len(frames)-1]
		case jsonOpen, jsonScalar:
			onPath := len(frames) == 0
			if !onPath {
				onPath = frames[len(frames)-1].step(steps, len(frames))
			}
			target := onPath && len(frames) == len(steps)
			if token.kind == jsonOpen {
				frames = append(frames, pointerFrame{
					object: token.object, onPath: onPath && !target, target: target, start: token.start,
				})
			} else if target {
				spans = append(spans, span{token.start, token.end})
			}
		}
	}
}

// step moves to the next value of f, the innermost of depth open frames, and
// reports whether the pointer goes there.
func (f *pointerFrame) step(steps []string, depth int) bool {
	if !f.onPath {
		return false
	}
	if f.object {
		return f.hasName
	}
	f.index++
	return strconv.Itoa(f.index-1) == steps[depth-1]
}

// isName reports whether a member name with quotes and escapes spells want.
func isName(quoted []byte, want string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1:len(quoted)-1]) == want
	}
	var name string
	return json.Unmarshal(quoted, &name) == nil && name == want
}
