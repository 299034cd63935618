package keyring

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// Fits tells whether a root may take the place of another one over the keyring in
// dir, which is not open: it opens the keys of all offices, which are wrapped by
// the root before any ring of theirs is. The error is ErrRoot where it does not. A
// keyring that holds nothing fits any root.
func Fits(dir string, root Root, o Options) error {
	names, err := o.fs().List(dir)
	if err != nil {
		return fmt.Errorf("look at keyring: %w", err)
	}
	offices := map[record.Code]bool{}
	for _, name := range names {
		office, ok := parseOfficeFile(name)
		if !ok {
			continue
		}
		wrapped, err := readFile(o.fs(), dir, name, maxFile)
		if err == nil {
			_, err = unwrapFor(root, officeUse(office), wrapped)
		}
		if err != nil {
			return fmt.Errorf("key of office %s: %w", office, err)
		}
		offices[office] = true
	}
	for _, name := range names {
		if id, ok := ringOf(name, markerSuffix); ok && !offices[id.Department] {
			return fmt.Errorf("%w: ring %s, whose office has no key here", ErrRoot, id)
		}
	}
	return nil
}
