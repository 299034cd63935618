package node

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/muniment/muniment/app/record"
)

var (
	// ErrCosignerStateMissing is returned where the file that says which tree
	// this node cosigned last is not there.
	ErrCosignerStateMissing = errors.New("cosigner state file is missing")
	// ErrTreeShrinks is returned for a tree smaller than the last one cosigned.
	ErrTreeShrinks = errors.New("tree is smaller than the last one cosigned")
	// ErrTreeForks is returned for a tree of the size of the last one cosigned
	// that has another root.
	ErrTreeForks = errors.New("tree has another root than the one cosigned at its size")
)

const cosignerHeader = "muniment/v1/cosigner"

// cosignerState is the last tree that the node cosigned.
type cosignerState struct {
	size    int64
	root    record.Hash
	seconds int64 // Unix time that the cosignature carries
}

// marshalCosignerState writes a state as three lines and their checksum.
func marshalCosignerState(s cosignerState) []byte {
	return withChecksum(
		cosignerHeader,
		fmt.Sprintf("%d %d", s.size, s.seconds),
		base64.StdEncoding.EncodeToString(s.root[:]),
	)
}

// parseCosignerState reads what marshalCosignerState wrote, and nothing else.
func parseCosignerState(data []byte) (cosignerState, error) {
	lines, err := checkedLines(data, 3)
	if err != nil {
		return cosignerState{}, err
	}
	var s cosignerState
	if _, err := fmt.Sscanf(lines[1], "%d %d", &s.size, &s.seconds); err != nil {
		return cosignerState{}, fmt.Errorf("%w: size and time: %w", ErrStateCorrupt, err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(s.root) {
		return cosignerState{}, fmt.Errorf("%w: root", ErrStateCorrupt)
	}
	copy(s.root[:], root)
	if s.size < 0 || s.seconds < 0 || string(marshalCosignerState(s)) != string(data) {
		return cosignerState{}, fmt.Errorf("%w: size and root do not fit together", ErrStateCorrupt)
	}
	return s, nil
}

// CosignerState guards a cosigning key: it admits trees of growing size alone,
// and what it admits is on disk before the cosignature leaves.
type CosignerState struct {
	path  string
	fatal func(error)

	mu   sync.Mutex
	last cosignerState
	dead error
	at   func(string) error // fails a durable step in tests
}

// CreateCosignerState writes the state file of a node that has cosigned
// nothing. It refuses to replace a file that exists.
func CreateCosignerState(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("create cosigner state %s: %w", path, os.ErrExist)
	}
	return replaceFile(path, marshalCosignerState(cosignerState{}), nil)
}

// OpenCosignerState reads the state file at path, which must exist. Where a
// state cannot be made durable, fatal is called and must end the process.
func OpenCosignerState(path string, fatal func(error)) (*CosignerState, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", path, ErrCosignerStateMissing)
	}
	if err != nil {
		return nil, err
	}
	last, err := parseCosignerState(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &CosignerState{path: path, fatal: fatal, last: last}, nil
}

// Size returns the size of the last tree admitted, 0 before the first.
func (c *CosignerState) Size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last.size
}

// Admit decides whether a tree may be cosigned at the given Unix time, and
// returns the time that the cosignature has to carry: never before the last
// one. The tree that was admitted last may be admitted again. When Admit
// returns, the decision is on disk.
func (c *CosignerState) Admit(size int64, root record.Hash, seconds int64) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead != nil:
		return 0, c.dead
	case size < c.last.size:
		return 0, fmt.Errorf("cosign size %d after %d: %w", size, c.last.size, ErrTreeShrinks)
	case size == c.last.size && root != c.last.root:
		return 0, fmt.Errorf("cosign size %d: %w", size, ErrTreeForks)
	}
	next := cosignerState{size: size, root: root, seconds: max(seconds, c.last.seconds)}
	if next == c.last {
		return next.seconds, nil
	}
	if err := replaceFile(c.path, marshalCosignerState(next), c.at); err != nil {
		c.dead = fmt.Errorf("write cosigner state: %w", err)
		c.fatal(c.dead)
		return 0, c.dead
	}
	c.last = next
	return next.seconds, nil
}
