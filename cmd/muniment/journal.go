package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/muniment/muniment/app/record"
)

// errJournal: the journal is damaged. Nothing is anchored then, since what was
// begun is not known.
var errJournal = errors.New("damaged journal")

const (
	maxJournalBytes = 1 << 30
	compactBytes    = 64 << 10 // dead bytes that are never worth a compaction
)

// fingerprint32 is a content without saying which: HMAC-SHA256 under the
// journal's random key.
type fingerprint32 [32]byte

// slot is what is anchored at most once unless asked otherwise: a content in a
// record series.
type slot struct {
	series  record.Code
	content fingerprint32
}

// kept is a record that is anchored and whose receipt was verified.
type kept struct {
	commitment record.Commitment
	index      uint64
}

// pending is a signed transaction whose records are not all kept yet.
type pending struct {
	raw      []byte
	message  *record.AnchorRecords
	contents []fingerprint32            // of the items, in their order
	open     map[record.Commitment]bool // items without a verified receipt
}

func (b *pending) id() [32]byte     { return sha256.Sum256(b.raw) }
func (b *pending) slot(i int) slot  { return slot{b.message.Series, b.contents[i]} }
func (b *pending) keep(i int) *kept { return &kept{commitment: b.message.Items[i].Commitment} }

// journal remembers what an office anchored on a network: for each slot the
// signed transaction until the receipts are there, afterwards where the record
// stands. It holds no record key, no name and no content.
//
// The order of durable steps, each safe to lose with the process:
//  1. the custodian has the content        2. signed is in the journal, synced
//  3. the transaction is handed in         4. the receipts are verified
//  5. done is in the journal, synced
//
// A run that was cut off before 2 left nothing behind; after 2 the next run
// hands in the same transaction, which the ledger executes once.
type journal struct {
	path   string
	key    [32]byte
	file   *os.File
	unlock func()

	done    map[slot]kept
	pending []*pending // in the order in which they were signed
	dead    int64      // bytes of lines that are no longer needed
}

// openJournal opens or makes the journal of an office on a network, once at a
// time on this machine. Waiting is called when another run holds it.
func openJournal(ctx context.Context, dir string, network record.Network, waiting func()) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	path := filepath.Join(dir, "anchors.jsonl")
	unlock, err := lock(ctx, path+".lock", waiting)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	j := &journal{path: path, unlock: unlock, done: map[slot]kept{}}
	if err := j.load(network); err != nil {
		j.close()
		return nil, err
	}
	return j, nil
}

// lock waits until no other run holds the lock.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	const retryAfter = 200 * time.Millisecond
	for waited := false; ; waited = true {
		unlock, ok, err := tryLock(path)
		if ok || err != nil {
			return unlock, err
		}
		if !waited {
			waiting()
		}
		if err := sleep(ctx, retryAfter); err != nil {
			return nil, err
		}
	}
}

// load reads the file, or makes one, and opens it for appending.
func (j *journal) load(network record.Network) error {
	text, err := readBounded(j.path, maxJournalBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		rand.Read(j.key[:]) // never fails
		if err := createFile(j.path, j.header(network)); err != nil {
			return fmt.Errorf("make journal: %w", err)
		}
	case err != nil:
		return fmt.Errorf("read journal: %w", err)
	default:
		whole, err := j.read(network, text)
		if err != nil {
			return failed(exitError, "BAD_JOURNAL", "keep "+j.path+" and find out with muniment search what was anchored before you move it away", "%w", err)
		}
		if err := j.tidy(network, text, whole); err != nil {
			return fmt.Errorf("tidy journal: %w", err)
		}
	}
	if j.file, err = os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	return nil
}

// tidy cuts off a line that was cut off while it was written, and writes the
// file anew when a good part of it is dead. Whole is the length without the torn line.
func (j *journal) tidy(network record.Network, text []byte, whole int) error {
	if j.dead > compactBytes && j.dead > int64(whole)/4 {
		j.dead = 0
		return replaceFile(j.path, j.compacted(network))
	}
	if whole < len(text) {
		return replaceFile(j.path, text[:whole])
	}
	return nil
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close()
	}
	j.unlock()
}

// contentOf gives the fingerprint of a content.
func (j *journal) contentOf(content []byte) fingerprint32 {
	return fingerprint32(j.mac("muniment/v1/journal/content\n", content))
}

func (j *journal) mac(domain string, message []byte) []byte {
	h := hmac.New(sha256.New, j.key[:])
	h.Write([]byte(domain))
	h.Write(message)
	return h.Sum(nil)
}

// append writes lines durably. When it fails, nothing that they say may be done.
func (j *journal) append(lines ...[]byte) error {
	if _, err := j.file.Write(bytes.Join(lines, nil)); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// signed notes a transaction that is about to be handed in.
func (j *journal) signed(raw []byte, contents []fingerprint32) (*pending, error) {
	b, err := newPending(raw, contents)
	if err != nil {
		return nil, err
	}
	if err := j.append(j.signedLine(b)); err != nil {
		return nil, err
	}
	j.pending = append(j.pending, b)
	return b, nil
}

// newPending checks that a transaction anchors as many items as there are contents.
func newPending(raw []byte, contents []fingerprint32) (*pending, error) {
	tx, err := record.ParseTx(raw)
	if err != nil {
		return nil, err
	}
	m, ok := tx.Message.(*record.AnchorRecords)
	if !ok || len(m.Items) != len(contents) {
		return nil, errors.New("the transaction does not anchor these contents")
	}
	b := &pending{raw: raw, message: m, contents: contents, open: map[record.Commitment]bool{}}
	for _, item := range m.Items {
		b.open[item.Commitment] = true
	}
	return b, nil
}

// keep notes the records of a batch whose receipts are there: items gives where
// each stands. The transaction is forgotten once all of them are kept.
func (j *journal) keep(b *pending, items map[int]uint64) error {
	if len(items) == 0 {
		return nil
	}
	line := j.doneLine(b, items)
	if err := j.append(line); err != nil {
		return err
	}
	for i, index := range items {
		k := b.keep(i)
		k.index = index
		j.noteDone(b.slot(i), *k)
	}
	return nil
}

// noteDone takes in that a record is anchored and its receipt verified, and
// forgets transactions of which no record is open.
func (j *journal) noteDone(s slot, k kept) {
	j.done[s] = k
	for _, b := range slices.Clone(j.pending) {
		if delete(b.open, k.commitment); len(b.open) == 0 {
			j.forget(b)
		}
	}
}

// drop notes that a transaction will never be executed.
func (j *journal) drop(b *pending) error {
	if err := j.append(j.droppedLine(b.id())); err != nil {
		return err
	}
	j.forget(b)
	return nil
}

func (j *journal) forget(b *pending) {
	j.dead += int64(len(j.signedLine(b)))
	j.pending = slices.DeleteFunc(j.pending, func(other *pending) bool { return other == b })
}
