package ledger

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/muniment/muniment/app/record"
)

// compareJump wants a jump entry in the log exactly if the rules make one.
func (r *replay) compareJump(c Changes) error {
	rules := len(c.Entries) > 0 && record.KindOf(c.Entries[0]) == record.KindJump
	log := record.KindOf(r.logged[0]) == record.KindJump
	switch {
	case rules && !log:
		return r.differs(0, "the time of its block leaps, and no jump entry says so")
	case log && !rules:
		return r.differs(0, "it states a jump, and the time of its block does not leap")
	}
	return nil
}

// compareResult wants the log to have made of a transaction what the rules do.
func (r *replay) compareResult(tx replayedTx, result Result) error {
	here := record.Index(r.first + int64(tx.at))
	switch {
	case result.Code == CodeUnknownKey:
		return r.differs(tx.at, "no key %x is registered", tx.entry.KeyID)
	case result.Code == CodeBadSignature:
		return r.differs(tx.at, "the signature is not by key %x", tx.entry.KeyID)
	case !result.Entered():
		return r.differs(tx.at, "the log has the transaction %s, the rules refuse it without an entry: %s", tx.fate(), blamed(result))
	case int64(result.TxIndex) < r.first:
		return r.differs(tx.at, "the transaction was answered before, at entry %d, and has entries again", result.TxIndex)
	case result.Code != tx.refusal && result.Code == OK:
		return r.differs(tx.at, "the log has the transaction %s, the rules accept it", tx.fate())
	case result.Code != tx.refusal:
		return r.differs(tx.at, "the log has the transaction %s, the rules refuse it: %s", tx.fate(), blamed(result))
	case result.TxIndex != here:
		return r.differs(tx.at, "by the rules the transaction stands at entry %d: it is there twice, or a hold should have come before it", result.TxIndex)
	case result.Count != tx.entry.Count:
		return r.differs(tx.at, "the transaction has %d items, the rules give %d", tx.entry.Count, result.Count)
	}
	return nil
}

// fate says what the log made of a transaction.
func (tx replayedTx) fate() string {
	if tx.refusal == OK {
		return "accepted"
	}
	return fmt.Sprintf("refused (%s)", tx.refusal)
}

// blamed gives the reason of a refusal, and the item that is to blame.
func blamed(r Result) string {
	if r.Bad < 0 {
		return r.Code.String()
	}
	return fmt.Sprintf("%s, item %d", r.Code, r.Bad)
}

// close wants the entries of the block to be those that the rules give, counts
// them, and moves on to the view after it.
func (r *replay) close(c Changes) error {
	for i, raw := range r.logged {
		if i >= len(c.Entries) {
			return r.differs(i, "the rules give no such entry")
		}
		if !bytes.Equal(c.Entries[i], raw) {
			return r.differs(i, "%s", contrast(raw, c.Entries[i]))
		}
	}
	if len(c.Entries) > len(r.logged) {
		return r.differs(len(r.logged)-1, "the rules give %d entries more before it", len(c.Entries)-len(r.logged))
	}
	for i, raw := range r.logged {
		switch record.KindOf(raw) {
		case record.KindAnchor:
			r.out.Anchors++
		case record.KindRefusal:
			r.out.Refusals++
		case record.KindJump:
			r.out.Jumps++
		case record.KindMisbehavior:
			r.out.Misbehavior++
		case record.KindLock:
			e, err := r.parse(i)
			if err != nil {
				return err
			}
			lock := e.(record.LockEntry)
			r.out.Locks = append(r.out.Locks, ReplayedLock{record.Index(r.first + int64(i)), lock.Disposition, lock.Count})
		}
	}
	r.out.Blocks++
	r.out.Root = c.Root
	r.view = Overlay(r.view, c)
	if r.after != nil {
		r.after(c)
	}
	return nil
}

// contrast says in what two entries differ.
func contrast(log, rules []byte) string {
	was, err := record.ParseEntry(log)
	if err != nil {
		return fmt.Sprintf("it is no entry: %v", err)
	}
	want, err := record.ParseEntry(rules)
	if err != nil || was.Kind() != want.Kind() {
		return fmt.Sprintf("it is of kind %d, the rules give one of kind %d", record.KindOf(log), record.KindOf(rules))
	}
	a, b := reflect.ValueOf(was), reflect.ValueOf(want)
	for i := range a.NumField() {
		if x, y := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(x, y) {
			return fmt.Sprintf("%s is %s, the rules give %s", a.Type().Field(i).Name, spelled(x), spelled(y))
		}
	}
	return "it has other bytes than the rules give"
}

// spelled writes bytes in hex, and all else as it is.
func spelled(v any) string {
	if t := reflect.TypeOf(v); (t.Kind() == reflect.Array || t.Kind() == reflect.Slice) && t.Elem().Kind() == reflect.Uint8 {
		return fmt.Sprintf("%x", v)
	}
	return fmt.Sprint(v)
}
