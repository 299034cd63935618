package custody

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// fill puts n states of deposits that the vault does not know into a ring.
func (h *house) fill(b *testing.B, id keyring.RingID, n int) {
	b.Helper()
	var wg sync.WaitGroup
	const writers = 128
	for range writers {
		wg.Go(func() {
			for range n / writers {
				var rid vault.RID
				var s secrets
				var k commitment.RecordKey
				rand.Read(rid[:])
				rand.Read(k[:])
				s.state = commitment.NewState(k, 16)
				if err := h.rings.Put(id, rid, s.marshal()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// keepMany deposits n small records and anchors them in one transaction.
func (h *house) keepMany(b *testing.B, n int) []kept {
	b.Helper()
	all := make([]kept, n)
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := w; i < n; i += 32 {
				header, content := offer(fmt.Sprint("content ", i), "title")
				all[i].Commitment = mustDeposit(b, h.Custody, works, header, content)
			}
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(x, y kept) int { return bytes.Compare(x.Commitment[:], y.Commitment[:]) })
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY"}
	for _, k := range all {
		m.Items = append(m.Items, record.AnchorItem{Commitment: k.Commitment, Day: today - 1000})
	}
	first := h.city.must(b, "DPW", m)
	for i := range all {
		all[i].Office, all[i].index = "DPW", first+record.Index(i)
	}
	if err := h.CatchUp(context.Background()); err != nil {
		b.Fatal(err)
	}
	return all
}

func benchHouse(b *testing.B) *house {
	c := &clock{}
	c.set(today)
	return openHouse(b, vfs.Default, b.TempDir(), newArchive(b), c)
}

// BenchmarkErase destroys 1,000 records of a ring of 100,000 in one round, from
// the committed lock to the report on the ledger.
func BenchmarkErase(b *testing.B) {
	h := benchHouse(b)
	h.keepMany(b, 1) // which makes the ring
	h.fill(b, keyring.RingID{Department: "DPW", Class: "DEMO-MINUTES"}, 100_000)
	for b.Loop() {
		b.StopTimer()
		all := h.keepMany(b, 1000)
		d := h.city.destroy(b, "DEMO-MINUTES", all...)
		b.StartTimer()
		h.erase(b, d)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/round")
}

// BenchmarkDepositBesideErasing makes 50 deposits per second, each anchored, with
// rings at rest and with one round of 100 destructions after the other in the ring
// that the deposits go to, which has 100,000 states.
func BenchmarkDepositBesideErasing(b *testing.B) {
	for _, erasing := range []bool{false, true} {
		b.Run(fmt.Sprintf("erasing=%v", erasing), func(b *testing.B) {
			h := benchHouse(b)
			all := h.keepMany(b, 4000)
			h.fill(b, keyring.RingID{Department: "DPW", Class: "DEMO-MINUTES"}, 100_000)
			stop, rounds := make(chan struct{}), 0
			var wg sync.WaitGroup
			wg.Go(func() {
				for ; erasing && len(all) > 0; all = all[100:] {
					select {
					case <-stop:
						return
					default:
					}
					h.erase(b, h.city.destroy(b, "DEMO-MINUTES", all[:100]...))
					rounds++
				}
			})
			var took []time.Duration
			tick := time.NewTicker(time.Second / 50)
			for i := 0; b.Loop(); i++ {
				<-tick.C
				start := time.Now()
				header, content := offer(fmt.Sprint("content beside ", i), "title")
				c := mustDeposit(b, h.Custody, works, header, content)
				h.city.must(b, "DPW", &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: c, Day: today}}})
				took = append(took, time.Since(start))
			}
			tick.Stop()
			close(stop)
			wg.Wait()
			slices.Sort(took)
			for name, at := range map[string]int{"p50-us": len(took) / 2, "p99-us": len(took) * 99 / 100, "max-us": len(took) - 1} {
				b.ReportMetric(float64(took[at].Microseconds()), name)
			}
			b.ReportMetric(float64(rounds), "rounds")
		})
	}
}
