package ledger

import (
	"fmt"
	"maps"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// Blank gives the view before genesis: an empty log and an empty state.
func Blank() View { return &overlay{} }

// Overlay gives the view after c, where v is the view before it. It serves
// block 1, which the engine applies before genesis is written, and gives tests
// a ledger in memory.
func Overlay(v View, c Changes) View {
	top := newLayer(c)
	// Layers that are not larger than what lies on them are merged into it, as
	// in a log-structured store: n blocks are about log n layers, and each line
	// is copied about log n times.
	layers, weight := []*overlay{top}, top.weight()
	for {
		o, ok := v.(*overlay)
		if !ok || o.below == nil || o.weight() > weight {
			break
		}
		layers, weight, v = append(layers, o), weight+o.weight(), o.below
	}
	if len(layers) > 1 {
		top = merge(layers)
	}
	top.below = v
	return top
}

// overlay is a view: some lines, and what is below them. The zero overlay is
// the view before genesis. It never changes once it is made.
type overlay struct {
	below     View // nil: nothing
	head      Head
	frontier  []record.Hash
	stateRoot statetree.Hash
	first     int64 // index of entries[0]
	entries   [][]byte
	values    map[string][]byte
	nodes     map[statetree.Path][]byte // nil: deleted
	anchors   map[anchorKey]record.Index
}

// anchorKey is what the index of anchored records looks up.
type anchorKey struct {
	office     record.Code
	commitment record.Commitment
}

func newLayer(c Changes) *overlay {
	o := &overlay{
		head: c.Head, frontier: c.Frontier, stateRoot: c.StateRoot, first: c.FirstIndex, entries: c.Entries,
		values:  make(map[string][]byte, len(c.Values)),
		nodes:   make(map[statetree.Path][]byte, len(c.Nodes)),
		anchors: make(map[anchorKey]record.Index, len(c.Anchors)),
	}
	for _, value := range c.Values {
		o.values[string(value.Key)] = value.Value
	}
	for _, node := range c.Nodes {
		o.nodes[node.Path] = node.Node
	}
	for _, a := range c.Anchors {
		o.anchors[anchorKey{a.Office, a.Commitment}] = a.Index
	}
	return o
}

// merge makes one layer of several, the topmost first.
func merge(layers []*overlay) *overlay {
	one := *layers[0]
	one.entries, one.values, one.nodes, one.anchors = nil, map[string][]byte{}, map[statetree.Path][]byte{}, map[anchorKey]record.Index{}
	for i := len(layers) - 1; i >= 0; i-- {
		o := layers[i]
		one.entries = append(one.entries, o.entries...)
		maps.Copy(one.values, o.values)
		maps.Copy(one.nodes, o.nodes)
		maps.Copy(one.anchors, o.anchors)
	}
	one.first = layers[len(layers)-1].first
	return &one
}

func (o *overlay) weight() int {
	return len(o.entries) + len(o.values) + len(o.nodes) + len(o.anchors)
}

func (o *overlay) Nodes(paths []statetree.Path) ([][]byte, error) {
	return through(paths, func(path statetree.Path) ([]byte, bool) {
		node, ok := o.nodes[path]
		return node, ok || o.below == nil
	}, func(paths []statetree.Path) ([][]byte, error) { return o.below.Nodes(paths) })
}

func (o *overlay) Value(key []byte) ([]byte, bool, error) {
	if value, ok := o.values[string(key)]; ok || o.below == nil {
		return value, ok, nil
	}
	return o.below.Value(key)
}

func (o *overlay) Values(keys [][]byte) ([][]byte, error) {
	return through(keys, func(key []byte) ([]byte, bool) {
		value, ok := o.values[string(key)]
		return value, ok || o.below == nil
	}, func(keys [][]byte) ([][]byte, error) { return o.below.Values(keys) })
}

func (o *overlay) Entry(i record.Index) ([]byte, error) {
	if i < 0 || int64(i) >= o.head.Size {
		return nil, fmt.Errorf("read entry %d of a log of %d entries", i, o.head.Size)
	}
	if at := int64(i) - o.first; at >= 0 && at < int64(len(o.entries)) {
		return o.entries[at], nil
	}
	return o.below.Entry(i)
}

func (o *overlay) Entries(indexes []record.Index) ([][]byte, error) {
	if n := len(indexes); n > 0 && (indexes[0] < 0 || int64(indexes[n-1]) >= o.head.Size) {
		return nil, fmt.Errorf("read entries %d to %d of a log of %d entries", indexes[0], indexes[n-1], o.head.Size)
	}
	return through(indexes, func(i record.Index) ([]byte, bool) {
		at := int64(i) - o.first
		if at < 0 || at >= int64(len(o.entries)) {
			return nil, false
		}
		return o.entries[at], true
	}, func(indexes []record.Index) ([][]byte, error) { return o.below.Entries(indexes) })
}

func (o *overlay) AnchorIndex(office record.Code, c record.Commitment) (record.Index, bool, error) {
	if i, ok := o.anchors[anchorKey{office, c}]; ok || o.below == nil {
		return i, ok, nil
	}
	return o.below.AnchorIndex(office, c)
}

func (o *overlay) StateRoot() statetree.Hash { return o.stateRoot }
func (o *overlay) Head() Head                { return o.head }
func (o *overlay) Frontier() []record.Hash   { return o.frontier }
