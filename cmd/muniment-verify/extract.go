package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/muniment/muniment/app/commitment"
)

// mark stands for each hidden run of content, whatever its length was.
const mark = "[NOT DISCLOSED]"

// extract writes the disclosed content of a report into dir and gives the
// file's path. The name is the record's own file name where that is disclosed
// and harmless, else its CID. An existing file is never overwritten, and an
// incomplete one never left.
func extract(dir string, r report) (path string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("extract: %w", err)
	}
	path = filepath.Join(dir, fileName(r))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("extract: %s is there already: name another directory", path)
	}
	if err != nil {
		return "", fmt.Errorf("extract: %w", err)
	}
	_, err = f.Write(disclosed(r.Content.opened))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("extract: %w", errors.Join(err, os.Remove(path)))
	}
	return path, nil
}

// disclosed gives the content, with the mark for each hidden run that holds or
// may hold some.
//
// In every copy that hides content the digest is hidden too, which stands alone
// before the first content leaf. A mark there would tell the reader that the
// beginning is missing when it is not. The order of leaves in
// docs/spec/commitment.md settles what a run before the first disclosed content
// is: metadata where metadata follows, and the digest where it is one leaf long
// and content follows. A longer run may hold content, and is marked.
func disclosed(o commitment.Opened) []byte {
	if o.Complete() {
		return o.Content()
	}
	var out []byte
	hidden, begun := o.Hidden, false
	for _, leaf := range o.Leaves {
		for ; len(hidden) > 0 && hidden[0].First < leaf.Index; hidden = hidden[1:] {
			before := leaf.Kind == commitment.Metadata || leaf.Kind == commitment.Content && hidden[0].First == hidden[0].Last
			if begun || !before {
				out = append(out, mark...)
				begun = true
			}
		}
		if leaf.Kind == commitment.Content {
			out = append(out, leaf.Payload...)
			begun = true
		}
	}
	for range hidden {
		out = append(out, mark...)
	}
	return out
}

func fileName(r report) string {
	for _, f := range r.Content.Fields {
		if f.Key == commitment.FieldFileName && harmless(f.Value) {
			return f.Value
		}
	}
	return r.CID + ".content"
}

// harmless tells whether a disclosed file name can be used as it is: on any
// system one visible file of the directory, and no flag of a program.
func harmless(name string) bool {
	return len(name) <= 200 && name == printable(name) && !strings.ContainsAny(name, `\/:*?"<>|`) &&
		filepath.IsLocal(name) && !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".") &&
		!strings.HasPrefix(name, "-") && name == strings.TrimSpace(name) && !device.MatchString(name)
}

// device matches what Windows takes for a device, with any suffix.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³]) *(\..*)?$`)
