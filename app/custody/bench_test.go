package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
)

const (
	benchSize    = 1 << 20 // bytes of a document
	benchClients = 8
)

// BenchmarkDeposit is the deposit of 1 MiB documents by eight clients, and beside
// it two baselines: plain Pebble that is given the same bytes and syncs, in three
// stores as a custodian has them (content, ring, access log); and the same in one
// store, where the three syncs of all clients share one log.
func BenchmarkDeposit(b *testing.B) {
	content := make([]byte, benchSize)
	rand.Read(content)
	b.Run("custody", func(b *testing.B) {
		c := &clock{}
		c.set(today)
		h := openHouse(b, vfs.Default, b.TempDir(), newCity(b), c)
		defer h.close()
		clients(b, func() error {
			header, _ := offer("", "title")
			header.Size, header.Profile = benchSize, commitment.Raw
			_, err := h.Deposit(context.Background(), clerk, header, bytes.NewReader(content))
			return err
		})
	})
	b.Run("pebble-3", func(b *testing.B) {
		bulk, ring, log := plainPebble(b), plainPebble(b), plainPebble(b)
		clients(b, func() error { return plainDeposit(bulk, ring, log, content) })
	})
	b.Run("pebble-1", func(b *testing.B) {
		one := plainPebble(b)
		clients(b, func() error { return plainDeposit(one, one, one, content) })
	})
}

func plainPebble(b *testing.B) *pebble.DB {
	options := &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20, MemTableStopWritesThreshold: 4, CacheSize: 32 << 20, BytesPerSync: 1 << 20,
		Logger: quiet{},
	}
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	db, err := pebble.Open(b.TempDir(), options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	return db
}

// plainDeposit writes what a deposit writes: content in four packs, 200 bytes each
// of log and ring; the log's sync runs beside the content's.
func plainDeposit(bulk, ring, log *pebble.DB, content []byte) error {
	var id [16]byte
	rand.Read(id[:])
	small := make([]byte, 200)
	logged := make(chan error, 1)
	go func() { logged <- log.Set(append(id[:], 'a'), small, pebble.Sync) }()
	batch := bulk.NewBatchWithSize(benchSize + 64<<10)
	for i := range byte(4) {
		if err := batch.Set(append(id[:], 'b', i), content[int(i)*benchSize/4:][:benchSize/4], nil); err != nil {
			return err
		}
	}
	err := errors.Join(<-logged, batch.Commit(pebble.Sync), batch.Close())
	if err == nil {
		err = ring.Set(append(id[:], 's'), small, pebble.Sync)
	}
	return err
}

// clients lets eight clients share b.N operations. Beside the time it reports the
// CPU time of the process, which other programs on the machine disturb less.
func clients(b *testing.B, do func() error) {
	b.SetBytes(benchSize)
	work := make(chan struct{}, benchClients)
	var wg sync.WaitGroup
	before := cpuTime(b)
	b.ResetTimer()
	for range benchClients {
		wg.Go(func() {
			for range work {
				if err := do(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric((cpuTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
}

// cpuTime is what the process has used so far, in user and system mode.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(format) }

// BenchmarkRead is Read of a 1 MiB document.
func BenchmarkRead(b *testing.B) {
	c := &clock{}
	c.set(today)
	h := openHouse(b, vfs.Default, b.TempDir(), newCity(b), c)
	defer h.close()
	header, content := offer(string(make([]byte, benchSize)), "title")
	header.Profile = commitment.Raw
	ref := Ref{"CLERK", mustDeposit(b, h.Custody, clerk, header, content)}
	b.SetBytes(benchSize)
	for b.Loop() {
		if _, err := read(h.Custody, clerk, ref, CaseWork); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRedactedCopy is a table of 100,000 rows of which 100 are hidden: by a
// filed redaction, and after their erasure. An operation makes the copy, from the
// vault to the file; the metrics are its verification and its overhead.
func BenchmarkRedactedCopy(b *testing.B) {
	const rows = 100_000
	content := []byte("permit,place,zone,fee,decision,day\n")
	for i := 1; i < rows; i++ {
		content = fmt.Appendf(content, "B-2031-%06d,%d Example Street,zone R-%d,fee %d.00,approved with the usual conditions,2031-02-%02d\n",
			i, i%999, i%7, 40+i%400, 1+i%28)
	}
	c := &clock{}
	c.set(today)
	ledger := newCity(b)
	h := openHouse(b, vfs.Default, b.TempDir(), ledger, c)
	h.config.MaxContent = int64(len(content))
	h.Custody.memory = newMemory(512 << 20)
	header, _ := offer("", "title")
	header.Size, header.Profile = int64(len(content)), "csv/1;d=,"
	ref := h.kept(b, clerk, header, content)
	marks := []commitment.Mark{mark(3, 3, "-")}
	for i := uint32(500); i < rows; i += 1000 {
		marks = append(marks, mark(4+i, 4+i, "CT-1-210-b-2"))
	}
	hash := mustFile(b, h.Custody, clerk, ref, redactionText(b, marks...))
	run := func(b *testing.B, e Extent) {
		var car []byte
		var err error
		before := cpuTime(b)
		for b.Loop() {
			if car, err = h.Copy(context.Background(), clerk, ref, CaseWork, e); err != nil {
				b.Fatal(err)
			}
		}
		made, begin := cpuTime(b), time.Now()
		opened := verifyOpened(b, car, ref)
		b.ReportMetric(time.Since(begin).Seconds()*1e3, "verify-ms")
		b.ReportMetric((cpuTime(b)-made).Seconds()*1e3, "verify-cpu-ms")
		b.ReportMetric((made-before).Seconds()*1e3/float64(b.N), "cpu-ms/op")
		var gone uint32
		for _, r := range opened.Hidden {
			gone += r.Last - r.First + 1
		}
		if gone < 101 || gone > 103 {
			b.Fatalf("%d leaves are hidden", gone)
		}
		b.ReportMetric(float64(len(car)-len(opened.Content()))/rows, "overhead-B/row")
	}
	b.Run("filed", func(b *testing.B) { run(b, Extent{Redactions: [][32]byte{hash}}) })
	ranges := make([]commitment.Range, len(marks))
	for i, m := range marks {
		ranges[i] = m.Range
	}
	h.punctures(b, ref, ranges...)
	b.Run("erased", func(b *testing.B) { run(b, Extent{}) })
}

func verifyOpened(b *testing.B, car []byte, ref Ref) commitment.Opened {
	b.Helper()
	made, err := commitment.ParseCopy(car)
	if err != nil {
		b.Fatal(err)
	}
	opened, err := made.Verify(commitment.Commitment(ref.Commitment))
	if err != nil {
		b.Fatal(err)
	}
	return opened
}
