package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/muniment/muniment/app/record"
)

func newCosigner(t *testing.T) *CosignerState {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cosigner.state")
	if err := CreateCosignerState(path); err != nil {
		t.Fatal(err)
	}
	c, err := OpenCosignerState(path, noFatal(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCosignerAdmitsGrowingTreesAlone(t *testing.T) {
	root, other := record.Hash{1}, record.Hash{2}
	cases := []struct {
		name    string
		size    int64
		root    record.Hash
		seconds int64
		want    int64
		err     error
	}{
		{"the same tree again", 10, root, 1000, 1000, nil},
		{"the same tree later", 10, root, 1005, 1005, nil},
		{"a larger tree", 11, other, 1001, 1001, nil},
		{"a larger tree on a clock that went back", 11, other, 900, 1000, nil},
		{"another tree of the size", 10, other, 1001, 0, ErrTreeForks},
		{"a smaller tree", 9, root, 1001, 0, ErrTreeShrinks},
		{"an empty tree", 0, record.Hash{}, 1001, 0, ErrTreeShrinks},
	}
	for _, restart := range []bool{false, true} {
		for _, c := range cases {
			s := newCosigner(t)
			if _, err := s.Admit(10, root, 1000); err != nil {
				t.Fatal(err)
			}
			if restart {
				var err error
				if s, err = OpenCosignerState(s.path, noFatal(t)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := s.Admit(c.size, c.root, c.seconds)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s (restart %v): got %d, %v; want %d, %v", c.name, restart, got, err, c.want, c.err)
			}
			wantSize := max(c.size, 10)
			if s.Size() != wantSize {
				t.Errorf("%s: size is %d, want %d", c.name, s.Size(), wantSize)
			}
		}
	}
}

func TestCosignerBreaksAtEachStep(t *testing.T) {
	broken := errors.New("disk is broken")
	for _, step := range []string{beforeWrite, beforeSync, beforeRename, beforeDirectory} {
		c := newCosigner(t)
		var fatal error
		c.fatal = func(err error) { fatal = err }
		c.at = func(at string) error {
			if at == step {
				return broken
			}
			return nil
		}
		if got, err := c.Admit(1, record.Hash{1}, 5); !errors.Is(err, broken) || got != 0 || !errors.Is(fatal, broken) {
			t.Errorf("%s: got %d, %v, fatal %v; want %v", step, got, err, fatal, broken)
		}
		c.at = nil
		if _, err := c.Admit(2, record.Hash{2}, 6); !errors.Is(err, broken) {
			t.Errorf("%s: after the failure: got %v, want %v", step, err, broken)
		}
	}
}

func TestCosignerStateMustExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cosigner.state")
	if _, err := OpenCosignerState(path, noFatal(t)); !errors.Is(err, ErrCosignerStateMissing) {
		t.Errorf("missing: got %v, want %v", err, ErrCosignerStateMissing)
	}
	if err := CreateCosignerState(path); err != nil {
		t.Fatal(err)
	}
	if err := CreateCosignerState(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("create again: got %v, want %v", err, os.ErrExist)
	}
}

func validCosignerState() []byte {
	return marshalCosignerState(cosignerState{size: 12, root: record.Hash{3}, seconds: 1700000000})
}

func TestCosignerStateFileNoticesEveryByte(t *testing.T) {
	flipEveryByte(t, validCosignerState(), func(b []byte) error { _, err := parseCosignerState(b); return err })
}

func FuzzParseCosignerState(f *testing.F) {
	f.Add(validCosignerState())
	f.Add(marshalCosignerState(cosignerState{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseCosignerState(data)
		if err == nil && !bytes.Equal(marshalCosignerState(s), data) {
			t.Errorf("%q parses and marshals to something else", data)
		}
	})
}
