package ledger_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// BenchmarkOneAct carries out a block with one transaction that concerns all
// records of a series, over a view in memory with ten of them and with a
// million. The figures should be equal.
func BenchmarkOneAct(b *testing.B) {
	for _, records := range []int{10, 1_000_000} {
		c := found(b, demoFacts())
		for done := 0; done < records; done += 4000 {
			m := &record.AnchorRecords{Series: "DEMO-MINUTES", Items: make([]record.AnchorItem, min(4000, records-done))}
			for i := range m.Items {
				binary.BigEndian.PutUint64(m.Items[i].Commitment[:], uint64(done+i+1)*0x9E3779B97F4A7C15)
				m.Items[i].Day = day("2028-12-31")
			}
			c.apply(b, at("2031-01-01"), c.sign(b, "DPW", day("2031-01-02"), m))
		}
		for _, act := range []struct {
			name, by string
			m        record.Message
		}{
			{"hold", "COUNSEL", placed(record.HoldLitigation, 1, record.Scope{Department: "DPW", Series: "DEMO-MINUTES"})},
			{"audit", "AUDIT", &record.PostAuditedThrough{Department: "DPW", Through: day("2030-06-30")}},
		} {
			b.Run(fmt.Sprintf("%s/records=%d", act.name, records), func(b *testing.B) {
				raw := c.sign(b, act.by, day("2031-01-02"), act.m)
				block := ledger.Block{Height: c.view.Head().Height + 1, Time: at("2031-01-01"), Txs: [][]byte{raw}}
				for b.Loop() {
					_, results, err := c.machine.Apply(c.view, block)
					if err != nil || results[0].Code != ledger.OK {
						b.Fatalf("apply: %v, %v", results, err)
					}
				}
			})
		}
	}
}

// BenchmarkClock applies empty blocks, the most frequent ones of all, during a
// freeze and without one.
func BenchmarkClock(b *testing.B) {
	for name, step := range map[string]int64{"calm": 30 * second, "frozen": 700 * second} {
		c := running(b)
		c.pass(b, 1, step)
		b.Run(name, func(b *testing.B) {
			block := ledger.Block{Height: c.view.Head().Height + 1, Time: c.view.Head().Time + 30*second}
			for b.Loop() {
				if _, _, err := c.machine.Apply(c.view, block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
