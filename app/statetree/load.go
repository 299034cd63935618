package statetree

import (
	"crypto/sha256"
	"fmt"
)

// spot is a position that changes reach, with what stands there before them.
type spot struct {
	subtree
	path    Path
	changes []leaf   // at or below the position, sorted, at least one
	below   [2]*spot // of an inner node: its sides that changes reach
}

// load reads what stands on the ways of the changes, of which there is at least one: each level of the tree at one go.
func load(r Reader, root Hash, changes []leaf) (*spot, error) {
	top := &spot{subtree: subtree{hash: root}, changes: changes}
	for level := []*spot{top}; len(level) > 0; {
		var err error
		if level, err = loadLevel(r, level); err != nil {
			return nil, err
		}
	}
	return top, nil
}

// loadLevel reads the nodes of some spots of one depth, and gives the spots below them.
func loadLevel(r Reader, level []*spot) ([]*spot, error) {
	var standing []*spot
	var paths []Path
	for _, s := range level {
		if s.hash != Empty {
			standing, paths = append(standing, s), append(paths, s.path)
		}
	}
	if len(standing) == 0 {
		return nil, nil
	}
	nodes, err := r.Nodes(paths)
	if err != nil {
		return nil, fmt.Errorf("read %d state nodes from %s on: %w", len(paths), paths[0], err)
	}
	below := make([]*spot, 0, 2*len(standing))
	for i, s := range standing {
		if s.subtree, err = checked(s.path, s.hash, nodes[i]); err != nil {
			return nil, err
		}
		if s.isLeaf() {
			continue
		}
		cut := split(s.changes, s.path.depth)
		for side, changes := range [2][]leaf{s.changes[:cut], s.changes[cut:]} {
			if len(changes) > 0 {
				s.below[side] = &spot{subtree: subtree{hash: s.child(side)}, path: s.path.child(byte(side)), changes: changes}
				below = append(below, s.below[side])
			}
		}
	}
	return below, nil
}

// read returns the node at path, whose hash is known from above.
func read(r Reader, path Path, hash Hash) (subtree, error) {
	nodes, err := r.Nodes([]Path{path})
	if err != nil {
		return subtree{}, fmt.Errorf("read state node %s: %w", path, err)
	}
	return checked(path, hash, nodes[0])
}

// checked returns the node that was read at path as a subtree, if it has the hash.
func checked(path Path, hash Hash, node []byte) (subtree, error) {
	switch {
	case node == nil:
		return subtree{}, damaged(path, "not there")
	case len(node) != nodeSize || node[0] > tagInner || sha256.Sum256(node) != hash:
		return subtree{}, damaged(path, "other bytes")
	case node[0] == tagInner && path.depth == maxDepth:
		return subtree{}, damaged(path, "inner node at the deepest level")
	case node[0] == tagLeaf && sharedBits(Key(node[1:33]), Key(path.bits)) < int(path.depth):
		return subtree{}, damaged(path, "leaf off its way")
	}
	return subtree{hash: hash, node: node}, nil
}
