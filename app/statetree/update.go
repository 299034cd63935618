package statetree

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sort"
)

// Update applies a batch of writes, strictly ascending by key, to the tree with the given root. It returns the new root and the
// stored nodes that change, each path at most once, deepest first. Deleting an absent key and writing the value that is there change nothing.
func Update(r Reader, root Hash, writes []Write) (Hash, []NodeWrite, error) {
	leaves := make([]leaf, len(writes))
	for i, w := range writes {
		if i > 0 && bytes.Compare(writes[i-1].Key[:], w.Key[:]) >= 0 {
			return Hash{}, nil, fmt.Errorf("write %d: %w", i, ErrUnsorted)
		}
		leaves[i] = leaf{key: w.Key, gone: w.Value == nil}
		if w.Value != nil {
			leaves[i].valueHash = sha256.Sum256(w.Value)
		}
	}
	if len(leaves) == 0 {
		return root, nil, nil
	}
	top, err := load(r, root, leaves)
	if err != nil {
		return Hash{}, nil, err
	}
	u := updater{reader: r}
	now, err := u.apply(top)
	if err != nil {
		return Hash{}, nil, err
	}
	u.place(Path{}, top.subtree, now)
	return now.hash, u.writes, nil
}

// leaf is a key with the hash of its value; gone marks a deletion.
type leaf struct {
	key       Key
	valueHash [32]byte
	gone      bool
}

// subtree is what stands at a position: nothing (hash Empty), or a node. The node is nil where it was not needed yet.
type subtree struct {
	hash Hash
	node []byte
}

func (s subtree) isLeaf() bool { return s.node != nil && s.node[0] == tagLeaf }

// child returns the hash that an inner node gives for one side.
func (s subtree) child(side int) Hash { return Hash(s.node[1+32*side:][:32]) }

func newSubtree(tag byte, first, second [32]byte) subtree {
	node := encode(tag, first, second)
	return subtree{hash: sha256.Sum256(node[:]), node: node[:]}
}

type updater struct {
	reader Reader
	writes []NodeWrite
}

// place records that now stands at path, where old stood.
func (u *updater) place(path Path, old, now subtree) {
	if now.hash == old.hash {
		return // equal hashes are equal bytes
	}
	u.writes = append(u.writes, NodeWrite{Path: path, Node: now.node, Was: old.node}) // the node of Empty is nil: a deletion
}

// apply returns what stands at a spot after the changes; it places everything below it, and leaves the spot itself to the
// caller, who may have to put a lone leaf higher up.
func (u *updater) apply(s *spot) (subtree, error) {
	switch {
	case s.hash == Empty:
		return u.build(s.path, live(s.changes)), nil
	case s.isLeaf():
		stands := leaf{key: Key(s.node[1:33]), valueHash: [32]byte(s.node[33:])}
		return u.build(s.path, live(merge(stands, s.changes))), nil
	}
	var old, now [2]subtree
	for side := range now {
		below := s.below[side]
		if below == nil { // untouched
			old[side] = subtree{hash: s.child(side)}
			now[side] = old[side]
			continue
		}
		var err error
		if now[side], err = u.apply(below); err != nil {
			return subtree{}, err
		}
		old[side] = below.subtree
	}
	return u.join(s.path, old, now)
}

// join makes one subtree of two, which stand below path where those of old stood.
func (u *updater) join(path Path, old, now [2]subtree) (subtree, error) {
	for side := range now {
		lone := &now[side]
		if now[1-side].hash != Empty || lone.hash == Empty {
			continue
		}
		if lone.node == nil { // untouched so far: only now does it matter what it is
			loaded, err := read(u.reader, path.child(byte(side)), lone.hash)
			if err != nil {
				return subtree{}, err
			}
			old[side], *lone = loaded, loaded
		}
		if lone.isLeaf() {
			up := *lone
			*lone = subtree{}
			u.placeBelow(path, old, now)
			return up, nil
		}
	}
	u.placeBelow(path, old, now)
	if now[0].hash == Empty && now[1].hash == Empty {
		return subtree{}, nil
	}
	return newSubtree(tagInner, now[0].hash, now[1].hash), nil
}

func (u *updater) placeBelow(path Path, old, now [2]subtree) {
	u.place(path.child(0), old[0], now[0])
	u.place(path.child(1), old[1], now[1])
}

// build makes the subtree of the given leaves where nothing, or only a leaf at path itself, stood before.
func (u *updater) build(path Path, leaves []leaf) subtree {
	switch len(leaves) {
	case 0:
		return subtree{}
	case 1:
		return newSubtree(tagLeaf, leaves[0].key, leaves[0].valueHash)
	}
	cut := split(leaves, path.depth)
	left := u.build(path.child(0), leaves[:cut])
	right := u.build(path.child(1), leaves[cut:])
	u.placeBelow(path, [2]subtree{}, [2]subtree{left, right})
	return newSubtree(tagInner, left.hash, right.hash)
}

// split returns how many of the sorted leaves, which agree in the bits before depth, go left.
func split(leaves []leaf, depth uint16) int {
	return sort.Search(len(leaves), func(i int) bool { return leaves[i].key.bit(int(depth)) == 1 })
}

// merge adds the leaf that stands to the sorted changes, unless one of them is about its key.
func merge(stands leaf, changes []leaf) []leaf {
	at := sort.Search(len(changes), func(i int) bool { return bytes.Compare(changes[i].key[:], stands.key[:]) >= 0 })
	if at < len(changes) && changes[at].key == stands.key {
		return changes
	}
	merged := make([]leaf, 0, len(changes)+1)
	merged = append(merged, changes[:at]...)
	merged = append(merged, stands)
	return append(merged, changes[at:]...)
}

// live returns the leaves that are not deletions, in a new slice.
func live(changes []leaf) []leaf {
	leaves := make([]leaf, 0, len(changes))
	for _, c := range changes {
		if !c.gone {
			leaves = append(leaves, c)
		}
	}
	return leaves
}
