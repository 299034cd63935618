package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/state"
)

// quietLog drops what a store has to say.
var quietLog = slog.New(slog.NewTextHandler(io.Discard, nil))

// tileWidth is how many hashes a full tile holds.
const tileWidth = 256

// logWriter is the plainest log that could be an alternative to the ledger: a
// compact range, tiles, entries and an index of commitments, in one synced batch.
// It checks nothing and agrees with nobody.
type logWriter struct {
	db     *pebble.DB
	log    *compact.Range
	levels [8][]byte
	size   uint64
}

// measureLogWriter writes n entries, synced every `every` entries, into a new
// store, and gives entries per second, processor time per entry (microseconds)
// and bytes on disk per entry.
func (b *bench) measureLogWriter(n, every int) (rate, cpu, disk float64, err error) {
	dir, err := os.MkdirTemp(b.dir, "log-writer-")
	if err != nil {
		return 0, 0, 0, err
	}
	defer os.RemoveAll(dir)
	db, err := pebble.Open(filepath.Join(dir, "db"), state.NewOptions(state.Options{Log: quietLog}))
	if err != nil {
		return 0, 0, 0, err
	}
	entries, commitments := randomEntries(n)
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	w := &logWriter{db: db, log: factory.NewEmptyRange(0)}
	before, begin := usageNow(), time.Now()
	for first := 0; first < n; first += every {
		last := min(first+every, n)
		if err := w.commit(entries[first:last], commitments[first:last]); err != nil {
			return 0, 0, 0, fmt.Errorf("log writer: %w", err)
		}
	}
	took := time.Since(begin)
	used, _ := usageNow().since(before)
	disk = float64(diskBytes(dir)) / float64(n)
	return float64(n) / took.Seconds(), used.Seconds() * 1e6 / float64(n), disk, db.Close()
}

// randomEntries gives n anchor entries as they stand in the log.
func randomEntries(n int) ([][]byte, []record.Commitment) {
	random := newRandom()
	entries, commitments := make([][]byte, n), make([]record.Commitment, n)
	var flat []byte
	for i := range entries {
		_, _ = random.Read(commitments[i][:])
		from := len(flat)
		flat = record.AppendAnchorEntry(flat, record.AnchorEntry{Office: "DPW", Series: "DEMO-MINUTES", Custody: "CITY", Commitment: commitments[i], Day: 20_000})
		entries[i] = flat[from:len(flat):len(flat)]
	}
	return entries, commitments
}

func (w *logWriter) commit(entries [][]byte, commitments []record.Commitment) error {
	batch := w.db.NewBatch()
	dirty := 0
	for i, entry := range entries {
		position := binary.BigEndian.AppendUint64(nil, w.size)
		if err := batch.Set(append([]byte{'e'}, position...), entry, nil); err != nil {
			return err
		}
		if err := batch.Set(append([]byte{'x'}, commitments[i][:]...), position, nil); err != nil {
			return err
		}
		var failed error
		visit := func(id compact.NodeID, hash []byte) {
			if id.Level%8 != 0 {
				return
			}
			level := id.Level / 8
			dirty = max(dirty, int(level))
			if w.levels[level] = append(w.levels[level], hash...); len(w.levels[level]) == tileWidth*len(record.Hash{}) {
				failed = batch.Set(binary.BigEndian.AppendUint64([]byte{'t', byte(level)}, id.Index/tileWidth), w.levels[level], nil)
				w.levels[level] = w.levels[level][:0]
			}
		}
		if err := w.log.Append(rfc6962.DefaultHasher.HashLeaf(entry), visit); err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		w.size++
	}
	for level := range dirty + 1 { // the partial tiles
		if err := batch.Set(binary.BigEndian.AppendUint64([]byte{'t', byte(level)}, w.size>>(8*level)/tileWidth), w.levels[level], nil); err != nil {
			return err
		}
	}
	root, err := w.log.GetRootHash(nil)
	if err != nil {
		return err
	}
	if err := batch.Set([]byte{'h'}, root, nil); err != nil {
		return err
	}
	return batch.Commit(pebble.Sync)
}
