package state

import (
	"encoding/binary"
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
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

// meter starts the timer, and reports the rate, the processor time of all threads and the disk used when it is called.
func meter(b *testing.B, db *pebble.DB) (report func()) {
	before := cpuTime(b)
	b.ResetTimer()
	return func() { reportRate(b, db, cpuTime(b)-before) }
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportRate(b *testing.B, db *pebble.DB, cpu time.Duration) {
	b.StopTimer()
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*benchBatch), "cpu-ns/anchor")
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
	report := meter(b, db)
	for _, k := range contents {
		if err := s.Commit(c.block(k)); err != nil {
			b.Fatal(err)
		}
	}
	report()
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
	report := meter(b, db)
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
	report()
}

// BenchmarkRead reads from a store with a million anchors, and opens it, which scans the record index.
func BenchmarkRead(b *testing.B) {
	db := openDisk(b)
	s, err := Open(db)
	if err != nil {
		b.Fatal(err)
	}
	c := newChain(3)
	for range 1000 {
		k := c.randomContent(benchBatch, 2, 2)
		if err := s.Commit(c.block(k)); err != nil {
			b.Fatal(err)
		}
		c.lines = append(c.lines, k.anchors...)
	}
	v := s.View()
	any := func() ledger.Anchor { return c.lines[c.random.IntN(len(c.lines))] }
	fatal := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("anchor that is there", func(b *testing.B) {
		for b.Loop() {
			a := any()
			_, ok, err := v.AnchorIndex(a.Office, a.Commitment)
			if fatal(err); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("anchor that is not there", func(b *testing.B) {
		for b.Loop() {
			a := any()
			a.Commitment[9] ^= 1
			_, _, err := v.AnchorIndex(a.Office, a.Commitment)
			fatal(err)
		}
	})
	b.Run("entry", func(b *testing.B) {
		for b.Loop() {
			_, err := v.Entry(any().Index)
			fatal(err)
		}
	})
	b.Run("inclusion proof", func(b *testing.B) {
		for b.Loop() {
			_, err := tlog.ProveRecord(v.Head().Size, int64(any().Index), s)
			fatal(err)
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			_, err := Open(db)
			fatal(err)
		}
	})
	// What a view would cost if it were a snapshot of Pebble's: beside this, one atomic load.
	b.Run("snapshot of Pebble's", func(b *testing.B) {
		for b.Loop() {
			fatal(db.NewSnapshot().Close())
		}
	})
}
