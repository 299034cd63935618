package keyring

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// fill puts n states of the size that custody keeps into a ring, past Put.
func fill(b *testing.B, r *ring, n int) {
	b.Helper()
	state := make([]byte, 80)
	batch := r.db.NewBatch()
	for i := range n {
		rand.Read(state)
		rid := benchRID(i)
		sealed := r.aead.Seal(nil, nil, append([]byte{byte(kindLive)}, state...), r.context(rid))
		if err := batch.Set(stateKey(rid), sealed, nil); err != nil {
			b.Fatal(err)
		}
		if batch.Len() < 1<<20 && i < n-1 {
			continue
		}
		if err := batch.Commit(pebble.Sync); err != nil {
			b.Fatal(err)
		}
		batch.Reset()
	}
}

func benchRID(i int) (rid RID) {
	binary.BigEndian.PutUint64(rid[:], uint64(i)*0x9e3779b97f4a7c15)
	return rid
}

// BenchmarkRotate rotates a ring on the disk with a plan that destroys records, scan
// included.
func BenchmarkRotate(b *testing.B) {
	for _, c := range []struct{ records, destroyed int }{{10_000, 1}, {100_000, 1}, {100_000, 1000}, {1_000_000, 1}, {1_000_000, 1000}} {
		b.Run(fmt.Sprintf("%d/%d", c.records, c.destroyed), func(b *testing.B) {
			k := benchKeyring(b)
			r, err := k.makeRing(minutes)
			if err != nil {
				b.Fatal(err)
			}
			fill(b, r, c.records)
			next := 0
			var report Report
			for b.Loop() {
				var plan Plan
				for range c.destroyed {
					plan.Changes = append(plan.Changes, Change{RID: benchRID(next)})
					next++
				}
				if report, err = k.Rotate(minutes, plan); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(report.Bytes), "bytes-scanned")
		})
	}
}

// BenchmarkPutBesideRotation puts 50 states per second, on the disk, while rings
// of 100,000 records are at rest or rotate without a pause.
func BenchmarkPutBesideRotation(b *testing.B) {
	for _, rotating := range []bool{false, true} {
		b.Run(fmt.Sprintf("rotating=%v", rotating), func(b *testing.B) {
			k := benchKeyring(b)
			r, err := k.makeRing(minutes)
			if err != nil {
				b.Fatal(err)
			}
			fill(b, r, 100_000)
			stop, rotations := make(chan struct{}), 0
			var wg sync.WaitGroup
			wg.Go(func() {
				for rotating {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := k.Rotate(minutes, Plan{}); err != nil {
						b.Error(err)
						return
					}
					rotations++
				}
			})
			var took []time.Duration
			tick := time.NewTicker(time.Second / 50)
			for i := 0; b.Loop(); i++ {
				<-tick.C
				var rid RID
				rand.Read(rid[:])
				start := time.Now()
				if err := k.Put(minutes, rid, rid[:]); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			tick.Stop()
			close(stop)
			wg.Wait()
			slices.Sort(took)
			for name, at := range map[string]int{"p50-us": len(took) / 2, "p99-us": len(took) * 99 / 100, "max-us": len(took) - 1} {
				b.ReportMetric(float64(took[at].Microseconds()), name)
			}
			b.ReportMetric(float64(rotations), "rotations")
		})
	}
}

func benchKeyring(b *testing.B) *Keyring {
	b.Helper()
	text, err := NewRootFile(rand.Reader, []byte("root passphrase"), 1000)
	if err != nil {
		b.Fatal(err)
	}
	root, err := OpenRootFile([]byte("root passphrase"), text)
	if err != nil {
		b.Fatal(err)
	}
	k, err := Open(b.TempDir(), root, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := k.Close(); err != nil {
			b.Error(err)
		}
	})
	return k
}
