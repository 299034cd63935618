package commitment

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// ErrField: a metadata leaf does not have the form of a Field.
var ErrField = errors.New("malformed metadata field")

// Keys of the fields that Muniment's own programs write.
const (
	FieldMediaType   = "media-type"
	FieldFileName    = "file-name"
	FieldTitle       = "title"
	FieldDerivedFrom = "derived-from" // CID of the record of which this one is a rendition
)

const (
	maxFieldKey   = 64
	maxFieldValue = 4096
	maxFields     = 64
)

// Field is one descriptive fact about a record: a metadata leaf.
// Key is 1 to 64 characters of [a-z0-9-]; Value is UTF-8 of at most 4,096 bytes.
type Field struct{ Key, Value string }

// Marshal returns the leaf's payload: the CBOR array [key, value].
func (f Field) Marshal() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return appendText(appendText(appendHead(nil, cborArray, 2), f.Key), f.Value), nil
}

// ParseField reads a metadata leaf's payload. It accepts what Marshal writes.
func ParseField(payload []byte) (Field, error) {
	r := cborReader{rest: payload}
	if n := r.count(cborArray, 2); r.err == nil && n != 2 {
		r.fail("array of %d", n)
	}
	f := Field{Key: r.text(), Value: r.text()}
	if err := r.end(); err != nil {
		return Field{}, fmt.Errorf("%w: %w", ErrField, err)
	}
	if err := f.check(); err != nil {
		return Field{}, err
	}
	return f, nil
}

func (f Field) check() error {
	if len(f.Key) == 0 || len(f.Key) > maxFieldKey {
		return fmt.Errorf("%w: key of %d bytes", ErrField, len(f.Key))
	}
	for _, c := range []byte(f.Key) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%w: key %q", ErrField, f.Key)
		}
	}
	if len(f.Value) > maxFieldValue || !utf8.ValidString(f.Value) {
		return fmt.Errorf("%w: value of %q, %d bytes", ErrField, f.Key, len(f.Value))
	}
	return nil
}
