package state

import (
	"encoding/binary"
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/record"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

const benchBatch = 1000

func openDisk(b *testing.B) *pebble.DB {
	db, err := pebble.Open(b.TempDir(), NewOptions(Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return db
}

func reportRate(b *testing.B, db *pebble.DB) {
	b.StopTimer()
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "anchors/s")
	b.ReportMetric(float64(db.Metrics().DiskSpaceUsage())/float64(b.N*benchBatch), "disk-B/anchor")
}

// BenchmarkCommit commits blocks of 1,000 anchors to a store on disk; hashing of leaves, the root and the checkpoint are in the
// figure, as they are in that of the plain writer below.
func BenchmarkCommit(b *testing.B) {
	db := openDisk(b)
	s, err := Open(db)
	if err != nil {
		b.Fatal(err)
	}
	c := newChain(1)
	if err := s.Commit(c.next()); err != nil {
		b.Fatal(err)
	}
	size := c.head.Size
	contents := make([]content, b.N)
	for i := range contents {
		contents[i] = c.randomContent(benchBatch, 2, 2) // the transaction's entry and the block's
		for j := range contents[i].anchors {
			contents[i].anchors[j].Index = record.Index(size + int64(j))
		}
		size += int64(len(contents[i].entries))
	}
	b.ResetTimer()
	for _, k := range contents {
		if err := s.Commit(c.block(k)); err != nil {
			b.Fatal(err)
		}
	}
	reportRate(b, db)
}

// BenchmarkLogAndIndexWriter is the plain baseline: a compact range, tiles, entries and an index of keys, in one synced batch,
// written as simply as can be and with nothing else.
func BenchmarkLogAndIndexWriter(b *testing.B) {
	db := openDisk(b)
	c := newChain(2)
	contents := make([]content, b.N)
	for i := range contents {
		contents[i] = c.randomContent(benchBatch, 0, 0)
	}
	log := logTree.NewEmptyRange(0)
	var levels [8][]byte
	var size uint64
	b.ResetTimer()
	for _, k := range contents {
		batch := db.NewBatch()
		set := func(key, value []byte) {
			if err := batch.Set(key, value, nil); err != nil {
				b.Fatal(err)
			}
		}
		dirty := 0
		for i, entry := range k.entries {
			position := binary.BigEndian.AppendUint64(nil, size)
			set(append([]byte{'e'}, position...), entry)
			set(append([]byte{'x'}, k.anchors[i].Commitment[:]...), position)
			visit := func(id compact.NodeID, hash []byte) {
				if id.Level%8 != 0 {
					return
				}
				level := id.Level / 8
				dirty = max(dirty, int(level))
				if levels[level] = append(levels[level], hash...); len(levels[level]) == 256*32 {
					set(binary.BigEndian.AppendUint64([]byte{'t', byte(level)}, id.Index/256), levels[level])
					levels[level] = levels[level][:0]
				}
			}
			if err := log.Append(rfc6962.DefaultHasher.HashLeaf(entry), visit); err != nil {
				b.Fatal(err)
			}
			size++
		}
		for level := range dirty + 1 { // the partial tiles; one that is empty is written all the same
			set(binary.BigEndian.AppendUint64([]byte{'t', byte(level)}, size>>(8*level)/256), levels[level])
		}
		root, err := log.GetRootHash(nil)
		if err != nil {
			b.Fatal(err)
		}
		set([]byte{'h'}, root)
		if err := batch.Commit(pebble.Sync); err != nil {
			b.Fatal(err)
		}
	}
	reportRate(b, db)
}
