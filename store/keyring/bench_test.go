package keyring

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"testing"

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

// BenchmarkRotate destroys records of a ring on the disk in one batch and rotates
// it, scan included.
func BenchmarkRotate(b *testing.B) {
	for _, c := range []struct{ records, destroyed int }{{10_000, 1}, {100_000, 1}, {100_000, 1000}, {1_000_000, 1}, {1_000_000, 1000}} {
		b.Run(fmt.Sprintf("%d/%d", c.records, c.destroyed), func(b *testing.B) {
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
			defer k.Close()
			r, err := k.makeRing(minutes)
			if err != nil {
				b.Fatal(err)
			}
			fill(b, r, c.records)
			next := 0
			var report Report
			for b.Loop() {
				rids := make([]RID, c.destroyed)
				for i := range rids {
					rids[i] = benchRID(next % c.records)
					next++
				}
				if err := k.Destroy(minutes, rids...); err != nil {
					b.Fatal(err)
				}
				if report, err = k.Rotate(minutes, Erasures{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(report.Bytes), "bytes-scanned")
		})
	}
}
