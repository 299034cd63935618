package keyfile

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrMalformed: the text is not a sealed key file.
var ErrMalformed = errors.New("malformed key file")

const (
	magic   = "muniment sealed key v1"
	pbkdf2  = "pbkdf2-hmac-sha256"
	maxText = 8192 // bytes of a file

	maxLabel = 64
	saltSize = 16
	overhead = 12 + 16 // nonce and tag
)

// Info is what a key file says without being opened. It is authenticated only
// by opening the file.
type Info struct {
	Label      string
	Iterations int // of PBKDF2; 0: sealed under a key
}

// Parse reads what stands outside the seal.
func Parse(text []byte) (Info, error) {
	f, err := parse(text)
	if err != nil {
		return Info{}, err
	}
	return f.Info, nil
}

// file is a key file, taken apart.
type file struct {
	Info
	salt   [saltSize]byte // zero where Iterations is 0
	sealed []byte         // nonce, ciphertext, tag
}

func parse(text []byte) (file, error) {
	if len(text) > maxText {
		return file{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, maxText)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) != 5 || lines[0] != magic {
		return file{}, fmt.Errorf("%w: it does not have four lines of which the first is %q", ErrMalformed, magic)
	}
	var f file
	var err error
	f.Label, _ = strings.CutPrefix(lines[1], "label ")
	if words := strings.Fields(lines[2]); len(words) == 4 {
		f.Iterations, err = strconv.Atoi(words[2])
		salt, hexErr := hex.DecodeString(words[3])
		if err != nil || hexErr != nil || len(salt) != saltSize {
			return file{}, fmt.Errorf("%w: line 3", ErrMalformed)
		}
		f.salt = [saltSize]byte(salt)
		if err := checkIterations(f.Iterations); err != nil {
			return file{}, err
		}
	}
	sealed, _ := strings.CutPrefix(lines[3], "sealed ")
	if f.sealed, err = base64.StdEncoding.Strict().DecodeString(sealed); err != nil {
		return file{}, fmt.Errorf("%w: line 4", ErrMalformed)
	}
	if err := checkLabel(f.Label); err != nil {
		return file{}, err
	}
	if n := len(f.sealed) - overhead; n < 1 || n > MaxSecret {
		return file{}, fmt.Errorf("%w: %d sealed bytes", ErrMalformed, len(f.sealed))
	}
	if string(f.text()) != string(text) {
		return file{}, fmt.Errorf("%w: not canonical", ErrMalformed)
	}
	return f, nil
}

// header is the three lines before the sealed one: the additional data.
func (f file) header() []byte {
	kdf := "none"
	if f.Iterations != 0 {
		kdf = fmt.Sprintf("%s %d %x", pbkdf2, f.Iterations, f.salt)
	}
	return fmt.Appendf(nil, "%s\nlabel %s\nkdf %s\n", magic, f.Label, kdf)
}

func (f file) text() []byte {
	return fmt.Appendf(f.header(), "sealed %s\n", base64.StdEncoding.EncodeToString(f.sealed))
}

func checkLabel(label string) error {
	if len(label) == 0 || len(label) > maxLabel {
		return fmt.Errorf("%w: label of %d characters", ErrMalformed, len(label))
	}
	for _, c := range []byte(label) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '.' && c != '-' {
			return fmt.Errorf("%w: label %.80q", ErrMalformed, label)
		}
	}
	return nil
}

func checkIterations(n int) error {
	if n < MinIterations || n > MaxIterations {
		return fmt.Errorf("%w: %d iterations, not %d to %d", ErrMalformed, n, MinIterations, MaxIterations)
	}
	return nil
}
