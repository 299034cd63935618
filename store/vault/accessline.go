package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// ErrLine: an access cannot be logged as it is given, or a line of the log does
// not have its form.
var ErrLine = errors.New("malformed line of the access log")

// Line is one access: who asked for what, why, and with what outcome. It has no
// place for names or titles.
type Line struct {
	Time    int64  // Unix seconds
	Account string // OFFICE/16 hexadecimal digits: a pseudonym
	Action  string // 1 to 16 of [a-z-], as "read"
	RID     RID    // zero: no record, as of a search
	Purpose string // 1 to 32 of [A-Z_], as "CASE_WORK"; "-": none
	Outcome string // 1 to 16 of [a-z-], as "allowed"
}

// Head is where the log stands: the number of its lines, and the hash of the
// last, which stands for all of them. It is what gets anchored.
type Head struct {
	Size int64
	Root [32]byte // zero while the log is empty
}

const (
	lineDomain = "MUN1 access\n" // changed only with docs/spec/vault.md
	maxLine    = 256             // bytes, more than a line can have
)

// format gives the text of a line that follows head, and the head that follows it.
//
//	sequence unix-seconds account action rid purpose outcome previous-hash LF
func (l Line) format(head Head) ([]byte, Head, error) {
	if err := l.check(); err != nil {
		return nil, Head{}, err
	}
	rid := "-"
	if l.RID != (RID{}) {
		rid = hex.EncodeToString(l.RID[:])
	}
	text := fmt.Appendf(nil, "%d %d %s %s %s %s %s %x\n",
		head.Size, l.Time, l.Account, l.Action, rid, l.Purpose, l.Outcome, head.Root)
	return text, Head{head.Size + 1, sha256.Sum256(append([]byte(lineDomain), text...))}, nil
}

func (l Line) check() error {
	office, account, _ := strings.Cut(l.Account, "/")
	switch {
	case l.Time < 0:
		return fmt.Errorf("%w: time %d", ErrLine, l.Time)
	case !record.Code(office).Valid() || len(account) != 16 || !only(account, "0123456789abcdef"):
		return fmt.Errorf("%w: account", ErrLine)
	case len(l.Action) < 1 || len(l.Action) > 16 || !only(l.Action, lower):
		return fmt.Errorf("%w: action", ErrLine)
	case l.Purpose != "-" && (len(l.Purpose) < 1 || len(l.Purpose) > 32 || !only(l.Purpose, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")):
		return fmt.Errorf("%w: purpose", ErrLine)
	case len(l.Outcome) < 1 || len(l.Outcome) > 16 || !only(l.Outcome, lower):
		return fmt.Errorf("%w: outcome", ErrLine)
	}
	return nil
}

const lower = "abcdefghijklmnopqrstuvwxyz-"

func only(s, alphabet string) bool {
	for _, c := range []byte(s) {
		if strings.IndexByte(alphabet, c) < 0 {
			return false
		}
	}
	return true
}

// parseLine reads a line, without its LF, and checks that it follows head.
func parseLine(text string, head Head) (Line, Head, error) {
	fields := strings.Split(text, " ")
	if len(text) > maxLine || len(fields) != 8 {
		return Line{}, Head{}, fmt.Errorf("%w: %d bytes, %d fields", ErrLine, len(text), len(fields))
	}
	l := Line{Account: fields[2], Action: fields[3], Purpose: fields[5], Outcome: fields[6]}
	var err error
	if l.Time, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return Line{}, Head{}, fmt.Errorf("%w: time", ErrLine)
	}
	if fields[4] != "-" {
		rid, err := hex.DecodeString(fields[4])
		if err != nil || len(rid) != len(l.RID) {
			return Line{}, Head{}, fmt.Errorf("%w: rid", ErrLine)
		}
		l.RID = RID(rid)
	}
	want, next, err := l.format(head)
	if err != nil {
		return Line{}, Head{}, err
	}
	if string(want) != text+"\n" {
		return Line{}, Head{}, fmt.Errorf("%w: it does not follow from the line before it", ErrLine)
	}
	return l, next, nil
}
