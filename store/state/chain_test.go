package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// chain makes blocks as the ledger would, with entries of random bytes, and remembers what the store must hold after each.
// It shares no code with the store: the log tree is that of transparency-dev/merkle.
type chain struct {
	random  *rand.Rand
	log     *compact.Range
	head    ledger.Head
	root    statetree.Hash // of the state
	entries [][]byte
	values  map[string][]byte
	nodes   statetree.Memory
	anchors map[string]record.Index // by office and commitment
	lines   []ledger.Anchor         // the same, in the order of the log
}

var logTree = &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

func newChain(seed uint64) *chain {
	return &chain{
		random:  rand.New(rand.NewPCG(seed, 0)),
		log:     logTree.NewEmptyRange(0),
		head:    ledger.Head{Height: -1, Time: 1_700_000_000e9, Network: record.Network{1, 2, 3}, ChainID: "test-1", Origin: "records.example.org/test"},
		values:  map[string][]byte{},
		nodes:   statetree.Memory{},
		anchors: map[string]record.Index{},
	}
}

func (c *chain) bytes(n int) []byte {
	b := make([]byte, n)
	for i := 0; i < n; i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], c.random.Uint64())
		copy(b[i:], word[:])
	}
	return b
}

// content is what a block adds.
type content struct {
	entries [][]byte
	anchors []ledger.Anchor
	values  []ledger.Value
}

var offices = []record.Code{"CLERK", "PERMITS", "P", "LIBRARY-ARCHIVES"}

// randomContent makes anchors, other entries and changes of state.
func (c *chain) randomContent(anchors, others, values int) content {
	var k content
	for range anchors {
		k.anchors = append(k.anchors, ledger.Anchor{Office: offices[c.random.IntN(len(offices))], Commitment: record.Commitment(c.bytes(32)),
			Index: record.Index(c.head.Size) + record.Index(len(k.entries))})
		k.entries = append(k.entries, c.bytes(80))
	}
	for range others {
		k.entries = append(k.entries, c.bytes(1+c.random.IntN(400)))
	}
	set := map[string][]byte{}
	for range values {
		set[fmt.Sprintf("key %d", c.random.IntN(40))] = c.bytes(1 + c.random.IntN(60))
	}
	for _, key := range slices.Sorted(maps.Keys(set)) {
		k.values = append(k.values, ledger.Value{Key: []byte(key), Value: set[key]})
	}
	return k
}

// block turns content into the changes of the next block. Nodes are read from the chain's own tree.
func (c *chain) block(k content) ledger.Changes {
	c.head.Height++
	c.head.Time += 1e9
	if len(k.entries) == 0 {
		return ledger.Changes{Height: c.head.Height, Time: c.head.Time, FirstIndex: c.head.Size, Size: c.head.Size, AppHash: c.head.AppHash, Head: c.head}
	}
	out := ledger.Changes{Height: c.head.Height, Time: c.head.Time, FirstIndex: c.head.Size, Entries: k.entries, Anchors: k.anchors, Values: k.values}
	out.LeafHashes = make([]record.Hash, 0, len(k.entries))
	for _, e := range k.entries {
		h := record.LeafHash(e)
		out.LeafHashes = append(out.LeafHashes, h)
		if err := c.log.Append(h[:], nil); err != nil {
			panic(err)
		}
	}
	c.head.Size += int64(len(k.entries))
	for _, h := range c.log.Hashes() {
		out.Frontier = append(out.Frontier, record.Hash(h))
	}
	root, err := c.log.GetRootHash(nil)
	if err != nil {
		panic(err)
	}
	var writes []statetree.Write
	for _, v := range k.values {
		writes = append(writes, statetree.Write{Key: statetree.KeyOf(v.Key), Value: v.Value})
	}
	slices.SortFunc(writes, func(a, b statetree.Write) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	if c.root, out.Nodes, err = statetree.Update(c.nodes, c.root, writes); err != nil {
		panic(err)
	}
	c.nodes.Apply(out.Nodes)
	out.StateRoot = c.root
	out.Root = record.Hash(root)
	out.Checkpoint = record.CheckpointBody(c.head.Origin, c.head.Size, out.Root)
	out.AppHash = record.AppHash(out.Checkpoint)
	c.head.AppHash = out.AppHash
	out.Size, out.Head = c.head.Size, c.head
	return out
}

// remember keeps the content for comparison.
func (c *chain) remember(k content) {
	c.entries = append(c.entries, k.entries...)
	for _, v := range k.values {
		c.values[string(v.Key)] = v.Value
	}
	for _, a := range k.anchors {
		c.anchors[string(a.Office)+"|"+string(a.Commitment[:])] = a.Index
	}
	c.lines = append(c.lines, k.anchors...)
}

// next makes a block of random size, sometimes an empty one, and remembers it.
func (c *chain) next() ledger.Changes {
	var k content
	switch {
	case c.head.Height < 0:
		k = c.randomContent(0, 12, 10)
	case c.random.IntN(5) > 0:
		k = c.randomContent(c.random.IntN(120), 1+c.random.IntN(20), c.random.IntN(8))
	}
	changes := c.block(k)
	c.remember(k)
	return changes
}

// snapshot freezes what the chain remembers.
func (c *chain) snapshot() *chain {
	frozen := *c
	frozen.entries = slices.Clip(c.entries)
	frozen.lines = slices.Clip(c.lines)
	frozen.values, frozen.nodes, frozen.anchors = maps.Clone(c.values), maps.Clone(c.nodes), maps.Clone(c.anchors)
	return &frozen
}

// check compares a view with what the chain remembers of its block.
func (c *chain) check(t testing.TB, v ledger.View) {
	t.Helper()
	if got := v.Head(); got != c.head {
		t.Fatalf("head %+v, want %+v", got, c.head)
	}
	if got := v.StateRoot(); got != c.root {
		t.Fatalf("state root %x, want %x", got, c.root)
	}
	for i, want := range c.entries {
		got, err := v.Entry(record.Index(i))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("entry %d: %x, %v, want %x", i, got, err, want)
		}
	}
	if _, err := v.Entry(record.Index(len(c.entries))); err == nil {
		t.Fatalf("entry %d given, but it is not there yet", len(c.entries))
	}
	for i := range 40 {
		key := fmt.Appendf(nil, "key %d", i)
		got, ok, err := v.Value(key)
		want, wanted := c.values[string(key)]
		if err != nil || ok != wanted || !bytes.Equal(got, want) {
			t.Fatalf("value %s: %x %t, %v, want %x %t", key, got, ok, err, want, wanted)
		}
	}
	for i, a := range c.lines {
		got, ok, err := v.AnchorIndex(a.Office, a.Commitment)
		if err != nil || !ok || got != a.Index {
			t.Fatalf("anchor %d: index %d %t, %v, want %d", i, got, ok, err, a.Index)
		}
	}
	absent := record.Commitment{0: 1, 31: byte(len(c.lines))}
	if got, ok, err := v.AnchorIndex("CLERK", absent); ok || err != nil {
		t.Fatalf("an absent commitment has index %d, %v", got, err)
	}
	c.checkMany(t, v)
}

// checkMany does so for what a view gives in one go: all entries, all values that may be there, the nodes of each level.
func (c *chain) checkMany(t testing.TB, v ledger.View) {
	t.Helper()
	indexes := make([]record.Index, len(c.entries))
	for i := range indexes {
		indexes[i] = record.Index(i)
	}
	if got, err := v.Entries(indexes); err != nil || !slices.EqualFunc(got, c.entries, bytes.Equal) {
		t.Fatalf("%d entries, %v, want %d others", len(got), err, len(c.entries))
	}
	var keys [][]byte
	for i := range 40 {
		keys = append(keys, fmt.Appendf(nil, "key %d", i))
	}
	slices.SortFunc(keys, bytes.Compare)
	values, err := v.Values(keys)
	if err != nil || len(values) != len(keys) {
		t.Fatalf("%d values of %d, %v", len(values), len(keys), err)
	}
	for i, key := range keys {
		if want := c.values[string(key)]; !bytes.Equal(values[i], want) || (values[i] == nil) != (want == nil) {
			t.Fatalf("value %s in a list: %x, want %x", key, values[i], want)
		}
	}
	levels := map[string][]statetree.Path{} // by depth
	for path := range c.nodes {
		depth := string(path.Bytes()[:2])
		levels[depth] = append(levels[depth], path)
	}
	for _, paths := range levels {
		slices.SortFunc(paths, func(x, y statetree.Path) int { return bytes.Compare(x.Bytes(), y.Bytes()) })
		nodes, err := v.Nodes(paths)
		if err != nil || len(nodes) != len(paths) {
			t.Fatalf("%d nodes of %d, %v", len(nodes), len(paths), err)
		}
		for i, path := range paths {
			if !bytes.Equal(nodes[i], c.nodes[path]) {
				t.Fatalf("node %s: %x, want %x", path, nodes[i], c.nodes[path])
			}
		}
	}
}
