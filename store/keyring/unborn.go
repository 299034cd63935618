package keyring

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// isNotExist tells whether a file is missing, whoever wrapped the error.
func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// isPebbleFile tells whether a name in a ring's directory means that Pebble got
// far enough to keep anything: its first manifest has a marker.
func isPebbleFile(name string) bool { return strings.HasPrefix(name, "marker.manifest.") }

// isStateless tells whether a store holds no state of any record.
func isStateless(o Options, dir string) (bool, error) {
	db, err := pebble.Open(dir, o.pebbleOptions())
	if err != nil {
		return false, err
	}
	iterator, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixState}, UpperBound: []byte{prefixState + 1}})
	if err != nil {
		return false, errors.Join(err, db.Close())
	}
	empty := !iterator.First()
	err = errors.Join(iterator.Error(), iterator.Close(), db.Close())
	return empty && err == nil, err
}
