package statetree

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naiveRoot is the definition of the page, word for word, from a sorted list of keys.
func naiveRoot(keys []Key, values map[Key][]byte, depth int) Hash {
	switch len(keys) {
	case 0:
		return Hash{}
	case 1:
		valueHash := sha256.Sum256(values[keys[0]])
		return sha256.Sum256(slices.Concat([]byte{0}, keys[0][:], valueHash[:]))
	}
	var sides [2][]Key
	for _, k := range keys {
		bit := k[depth/8] >> (7 - depth%8) & 1
		sides[bit] = append(sides[bit], k)
	}
	left, right := naiveRoot(sides[0], values, depth+1), naiveRoot(sides[1], values, depth+1)
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func compareKeys(a, b Key) int { return bytes.Compare(a[:], b[:]) }

func sortedKeys(values map[Key][]byte) []Key {
	return slices.SortedFunc(maps.Keys(values), compareKeys)
}

// counting is a Reader that refuses to be asked twice for one node.
type counting struct {
	nodes Memory
	asked map[Path]bool
}

func (c counting) Nodes(paths []Path) ([][]byte, error) {
	for i, path := range paths {
		if c.asked[path] {
			return nil, errors.New("read twice")
		}
		if i > 0 && (path.depth != paths[0].depth || bytes.Compare(paths[i-1].bits[:], path.bits[:]) >= 0) {
			return nil, errors.New("read out of order")
		}
		c.asked[path] = true
	}
	return c.nodes.Nodes(paths)
}

// tree is a tree with its nodes and, beside it, the map it stands for.
type tree struct {
	nodes  Memory
	root   Hash
	values map[Key][]byte
}

func newTree() *tree { return &tree{nodes: Memory{}, values: map[Key][]byte{}} }

// update applies the writes, sorted here, to the tree and to the map.
func (tr *tree) update(t rapid.TB, writes ...Write) []NodeWrite {
	t.Helper()
	slices.SortFunc(writes, func(a, b Write) int { return compareKeys(a.Key, b.Key) })
	root, nodes, err := Update(counting{tr.nodes, map[Path]bool{}}, tr.root, writes)
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	seen := map[Path]bool{}
	for _, n := range nodes {
		if seen[n.Path] {
			t.Fatalf("node %s is written twice", n.Path)
		}
		seen[n.Path] = true
		old, ok := tr.nodes[n.Path]
		if bytes.Equal(old, n.Node) {
			t.Fatalf("node %s is written though it stays the same (there before: %t)", n.Path, ok)
		}
		if !bytes.Equal(old, n.Was) || ok != (n.Was != nil) {
			t.Fatalf("node %s was %x, the write says %x", n.Path, old, n.Was)
		}
	}
	tr.nodes.Apply(nodes)
	tr.root = root
	for _, w := range writes {
		if w.Value == nil {
			delete(tr.values, w.Key)
		} else {
			tr.values[w.Key] = w.Value
		}
	}
	return nodes
}

// drawKey draws keys that often share long prefixes, up to 255 bits.
func drawKey(t *rapid.T) Key {
	var k Key
	k[0] = rapid.Byte().Draw(t, "first")
	if rapid.Bool().Draw(t, "deep") {
		k[0] &= 0x80
		k[31] = rapid.Byte().Draw(t, "last")
	}
	return k
}

func TestUpdateEqualsNaiveTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := newTree()
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			batch := map[Key][]byte{}
			for range rapid.IntRange(0, 20).Draw(t, "writes") {
				key := drawKey(t)
				if len(tr.values) > 0 && rapid.Bool().Draw(t, "known") {
					key = rapid.SampledFrom(sortedKeys(tr.values)).Draw(t, "key")
				}
				batch[key] = nil
				if !rapid.Bool().Draw(t, "delete") {
					batch[key] = []byte{rapid.ByteMax(2).Draw(t, "value")}
				}
			}
			var writes []Write
			for _, key := range sortedKeys(batch) {
				writes = append(writes, Write{key, batch[key]})
			}
			tr.update(t, writes...)
			keys := sortedKeys(tr.values)
			if want := naiveRoot(keys, tr.values, 0); tr.root != want {
				t.Fatalf("root %x, want %x, keys %x", tr.root, want, keys)
			}
			checkNodes(t, tr)
			if len(keys) > 0 {
				checkProofs(t, tr, rapid.SampledFrom(keys).Draw(t, "present"))
			}
			checkProofs(t, tr, drawKey(t))
		}
	})
}

// checkNodes finds left-over and missing nodes: the store must hold what a tree built at one stroke holds.
func checkNodes(t rapid.TB, tr *tree) {
	t.Helper()
	fresh := newTree()
	var writes []Write
	for _, key := range sortedKeys(tr.values) {
		writes = append(writes, Write{key, tr.values[key]})
	}
	fresh.update(t, writes...)
	if fresh.root != tr.root || !maps.EqualFunc(fresh.nodes, tr.nodes, bytes.Equal) {
		t.Fatalf("store of %d nodes, want the %d nodes of a fresh tree", len(tr.nodes), len(fresh.nodes))
	}
}

// checkProofs proves the key, and checks that the proof holds for the truth and for nothing else.
func checkProofs(t rapid.TB, tr *tree, key Key) {
	t.Helper()
	made, err := Prove(tr.nodes, tr.root, key)
	if err != nil {
		t.Fatalf("prove: %v", err)
	}
	p, err := ParseProof(made.Marshal())
	if err != nil {
		t.Fatalf("parse own proof: %v", err)
	}
	value, present := tr.values[key]
	if err := Verify(tr.root, key, value, present, p); err != nil {
		t.Fatalf("verify key %x: %v", key, err)
	}
	if err := Verify(tr.root, key, nil, !present, p); !errors.Is(err, ErrNotProven) {
		t.Fatalf("the reverse of the truth: got %v, want %v", err, ErrNotProven)
	}
	if err := Verify(tr.root, key, []byte("another"), present, p); !errors.Is(err, ErrNotProven) {
		t.Fatalf("another value: got %v, want %v", err, ErrNotProven)
	}
	for _, other := range sortedKeys(tr.values) {
		if other == key {
			continue
		}
		if err := Verify(tr.root, other, nil, false, p); !errors.Is(err, ErrNotProven) {
			t.Fatalf("absence of present key %x: got %v, want %v", other, err, ErrNotProven)
		}
	}
}

func TestOrderOfWritesLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.Custom(drawKey), 1, 30, rapid.ID).Draw(t, "keys")
		whole := newTree()
		var writes []Write
		for _, k := range keys {
			writes = append(writes, Write{k, k[:]})
		}
		whole.update(t, slices.Clone(writes)...)
		single := newTree()
		for _, i := range rapid.Permutation(writes).Draw(t, "order") {
			single.update(t, Write{i.Key, []byte("old")})
			single.update(t, i)
		}
		if single.root != whole.root || !maps.EqualFunc(single.nodes, whole.nodes, bytes.Equal) {
			t.Fatalf("roots %x and %x", single.root, whole.root)
		}
		for _, i := range rapid.Permutation(writes).Draw(t, "deletions") {
			single.update(t, Write{i.Key, nil})
		}
		if single.root != Empty || len(single.nodes) != 0 {
			t.Fatalf("after deleting everything: root %x, %d nodes", single.root, len(single.nodes))
		}
	})
}

func TestDeepestNeighbours(t *testing.T) {
	var a, b Key
	b[31] = 1
	tr := newTree()
	tr.update(t, Write{a, []byte("a")}, Write{b, []byte("b")})
	if got, want := len(tr.nodes), 256+2; got != want {
		t.Fatalf("%d nodes, want %d", got, want)
	}
	p, err := Prove(tr.nodes, tr.root, a)
	if err != nil || len(p.siblings) != 256 {
		t.Fatalf("prove: %d siblings, %v, want 256", len(p.siblings), err)
	}
	checkProofs(t, tr, a)
	tr.update(t, Write{a, nil})
	if len(tr.nodes) != 1 || tr.nodes[Path{}] == nil {
		t.Fatalf("the last leaf did not move to the root: %d nodes", len(tr.nodes))
	}
	checkProofs(t, tr, a)
}

func TestWritesThatChangeNothing(t *testing.T) {
	tr := newTree()
	key := func(s string) Key { return KeyOf([]byte(s)) }
	tr.update(t, Write{key("a"), []byte("1")}, Write{key("b"), []byte{}}, Write{key("c"), []byte("3")})
	nodes := tr.update(t, Write{key("a"), []byte("1")}, Write{key("b"), []byte{}}, Write{key("absent"), nil})
	if len(nodes) != 0 {
		t.Fatalf("%d nodes written, want none", len(nodes))
	}
	if err := Verify(tr.root, key("b"), nil, false, mustProve(t, tr, key("b"))); !errors.Is(err, ErrNotProven) {
		t.Fatalf("an empty value taken for no value: %v", err)
	}
}

func mustProve(t *testing.T, tr *tree, key Key) Proof {
	t.Helper()
	p, err := Prove(tr.nodes, tr.root, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUnsortedWritesRefused(t *testing.T) {
	for name, writes := range map[string][]Write{
		"descending": {{Key{2}, []byte("x")}, {Key{1}, []byte("x")}},
		"twice":      {{Key{1}, []byte("x")}, {Key{1}, []byte("x")}},
	} {
		root, nodes, err := Update(Memory{}, Empty, writes)
		if !errors.Is(err, ErrUnsorted) || root != Empty || nodes != nil {
			t.Errorf("%s: got %v, want %v and nothing else", name, err, ErrUnsorted)
		}
	}
}

func TestDamagedStoreIsFound(t *testing.T) {
	tr := newTree()
	for i := range byte(40) {
		tr.update(t, Write{KeyOf([]byte{i}), []byte{i}})
	}
	touch := func(nodes Memory) error {
		// Each key is touched, so each node is read.
		for i := range byte(40) {
			if _, err := Prove(nodes, tr.root, KeyOf([]byte{i})); err != nil {
				return err
			}
		}
		return nil
	}
	everything := make([]Write, 0, len(tr.values))
	for _, key := range sortedKeys(tr.values) {
		everything = append(everything, Write{Key: key})
	}
	paths := slices.SortedFunc(maps.Keys(tr.nodes), func(a, b Path) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), bytes.Compare(a.bits[:], b.bits[:]))
	})
	for _, path := range paths {
		for i := range nodeSize + 1 {
			nodes := maps.Clone(tr.nodes)
			if i == nodeSize {
				delete(nodes, path)
			} else {
				nodes[path] = bytes.Clone(nodes[path])
				nodes[path][i] ^= 0x40
			}
			if err := touch(nodes); !errors.Is(err, ErrDamaged) {
				t.Fatalf("prove with node %s byte %d changed: got %v, want %v", path, i, err, ErrDamaged)
			}
			if _, _, err := Update(nodes, tr.root, everything); !errors.Is(err, ErrDamaged) {
				t.Fatalf("update with node %s byte %d changed: got %v, want %v", path, i, err, ErrDamaged)
			}
		}
	}
}

func TestForgedShapesAreFound(t *testing.T) {
	stray := encode(tagLeaf, Key{0x80}, [32]byte{})
	strayHash := Hash(sha256.Sum256(stray[:]))
	inner := encode(tagInner, strayHash, Hash{1})
	root := Hash(sha256.Sum256(inner[:]))
	left := Path{}.child(0)
	nodes := Memory{Path{}: inner[:], left: stray[:]}
	if _, err := Prove(nodes, root, Key{}); !errors.Is(err, ErrDamaged) {
		t.Errorf("a leaf off its way: got %v, want %v", err, ErrDamaged)
	}
	deep := Path{depth: maxDepth}
	if _, err := read(Memory{deep: inner[:]}, deep, root); !errors.Is(err, ErrDamaged) {
		t.Errorf("an inner node at depth 256: got %v, want %v", err, ErrDamaged)
	}
	broken := errors.New("disk")
	if _, err := Prove(failing{broken}, root, Key{}); !errors.Is(err, broken) {
		t.Errorf("a failing reader: got %v, want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Nodes([]Path) ([][]byte, error) { return nil, f.err }

func TestPathBytes(t *testing.T) {
	p := Path{}
	if got := p.Bytes(); !bytes.Equal(got, []byte{0, 0}) || p.String() != "root" {
		t.Errorf("root: %x %s", got, p)
	}
	for _, bit := range []byte{1, 0, 1, 1, 0, 0, 0, 0, 1} {
		p = p.child(bit)
	}
	if got := p.Bytes(); !bytes.Equal(got, []byte{0, 9, 0xb0, 0x80}) || p.String() != "101100001" {
		t.Errorf("nine bits: %x %s", got, p)
	}
}
