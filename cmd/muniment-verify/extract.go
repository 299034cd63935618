package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/muniment/muniment/app/commitment"
)

// extract writes the disclosed content of a report into dir and gives the
// file's name. The name comes from the record's own file name where that is
// disclosed and harmless, else from its CID. An existing file is never
// overwritten.
func extract(dir string, r report) (string, error) {
	if r.Content == nil {
		return "", nil // a receipt alone has no content
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	data := r.Content.opened.Content()
	if !r.Content.Complete {
		data = marked(r.Content.opened)
	}
	path := filepath.Join(dir, fileName(r))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", fmt.Errorf("extract: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return "", fmt.Errorf("extract: %w", err)
	}
	return path, f.Close()
}

// mark stands for each hidden run of segments, whatever its length was.
const mark = "[NOT DISCLOSED]"

// marked joins the disclosed content with one mark of fixed width per hidden run.
func marked(o commitment.Opened) []byte {
	var out []byte
	hidden := o.Hidden
	for _, leaf := range o.Leaves {
		for len(hidden) > 0 && hidden[0].First < leaf.Index {
			out = append(out, mark...)
			hidden = hidden[1:]
		}
		if leaf.Kind == commitment.Content {
			out = append(out, leaf.Payload...)
		}
	}
	for range hidden {
		out = append(out, mark...)
	}
	return out
}

func fileName(r report) string {
	for _, f := range r.Content.Fields {
		if f.Key == "file-name" && harmless(f.Value) {
			return f.Value
		}
	}
	return r.CID + ".content"
}

// harmless tells whether a disclosed file name can be used as it is.
func harmless(name string) bool {
	return name != "" && len(name) <= 200 && name == filepath.Base(name) && !strings.HasPrefix(name, ".") &&
		name == printable(name) && !strings.ContainsAny(name, `\/:`)
}
