package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
)

// BenchmarkAnchorToCheckpoint is one record after the other: from the signed
// transaction to the cosigned checkpoint that proves it.
func BenchmarkAnchorToCheckpoint(b *testing.B) {
	n := run(b, newHome(b), time.Hour)
	i := 0
	for b.Loop() {
		i++
		result, _ := submit(b, n, anchor(b, n, fmt.Sprint("record ", i)))
		if _, err := n.CosignedCheckpoint(b.Context(), int64(result.TxIndex)+2); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBatches is batches of 1,000 records from 16 callers at once.
func BenchmarkBatches(b *testing.B) {
	const batch, callers = 1000, 16
	n := run(b, newHome(b), time.Hour)
	txs := make([][]byte, 0, b.N)
	names := make([]string, batch)
	for i := range b.N {
		for j := range names {
			names[j] = fmt.Sprint("record ", i, " ", j)
		}
		txs = append(txs, anchor(b, n, names...))
	}
	work := make(chan []byte)
	done := make(chan error, callers)
	b.ResetTimer()
	for range callers {
		go func() {
			for raw := range work {
				if result, _, err := n.Submit(b.Context(), raw); err != nil || result.Code != ledger.OK {
					b.Errorf("got %+v, %v", result, err)
				}
			}
			done <- nil
		}()
	}
	for _, raw := range txs {
		work <- raw
	}
	close(work)
	for range callers {
		<-done
	}
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "anchors/s")
}

// BenchmarkFourValidators is BenchmarkAnchorToCheckpoint on four validators of
// one machine, to the checkpoint that three of them have cosigned.
func BenchmarkFourValidators(b *testing.B) {
	c := newCity(b, 4)
	for i := range 4 {
		c.open(i)
	}
	for _, n := range c.nodes[:4] {
		if err := n.Start(); err != nil {
			b.Fatal(err)
		}
	}
	n := c.nodes[0]
	submit(b, n, anchor(b, n, "first"))
	for _, n := range c.nodes[:4] {
		eventually(b, "all validators take part", func() bool { return !n.Status().CatchingUp })
	}
	i := 0
	for b.Loop() {
		i++
		result, _ := submit(b, n, anchor(b, n, fmt.Sprint("record ", i)))
		if _, err := n.CosignedCheckpoint(b.Context(), int64(result.TxIndex)+2); err != nil {
			b.Fatal(err)
		}
	}
}
