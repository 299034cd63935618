package ledger_test

import (
	"encoding/binary"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// BenchmarkApply applies blocks of ten batches of 1,000 anchors over a view in
// memory. One operation is one anchor.
func BenchmarkApply(b *testing.B) { benchmarkApply(b, found(b, demoFacts()), "DEMO-MINUTES") }

// BenchmarkApplyScheduled does so under a schedule of the state and a local one.
func BenchmarkApplyScheduled(b *testing.B) {
	c := scheduled(b)
	c.schedule(b, "2031-01-01", false, "2031-01-01", ruleIn(b, "CITY", 1, "CT-PERMITS", "4 years after created"))
	benchmarkApply(b, c, "CT-PERMITS")
}

func benchmarkApply(b *testing.B, c *city, series record.Code) {
	b.Helper()
	const batch, perBlock = 1000, 10
	var number uint64
	block := func() [][]byte {
		txs := make([][]byte, perBlock)
		for i := range txs {
			m := &record.AnchorRecords{Series: series, Custody: "CITY", Items: make([]record.AnchorItem, batch)}
			for j := range m.Items {
				number++
				it := &m.Items[j]
				binary.BigEndian.PutUint64(it.Commitment[:], number*0x9E3779B97F4A7C15)
				it.Day = day("2030-12-31")
			}
			txs[i] = c.sign(b, "DPW", day("2031-01-03"), m)
		}
		return txs
	}
	txs := block()
	time := at("2031-01-01")
	for done := 0; done < b.N; done += batch * perBlock {
		changes, results, err := c.machine.Apply(c.view, ledger.Block{Height: c.view.Head().Height + 1, Time: time, Txs: txs})
		if err != nil || results[perBlock-1].Code != ledger.OK {
			b.Fatalf("apply: %v, %v", results, err)
		}
		b.StopTimer()
		if done%(batch*perBlock*10) == 0 { // an overlay now and then, so that the view is not just genesis
			c.view = ledger.Overlay(c.view, changes)
			txs = block()
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "anchors/s")
}
