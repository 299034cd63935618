package state

import (
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// BenchmarkList carries out transactions that list as many records as one may, in blocks of their own, on a store on disk with
// a million records: a fact about records that nothing befell yet, another about the same ones, and a hold on them.
func BenchmarkList(b *testing.B) {
	const records, listed = 1_000_000, 200_000
	db := openDisk(b)
	s, err := Open(db)
	if err != nil {
		b.Fatal(err)
	}
	genesis := testGenesis(b)
	if err := s.Commit(genesis, ledger.Changes{Height: 1, Time: noon, FirstIndex: genesis.Size, Size: genesis.Size, AppHash: genesis.AppHash}); err != nil {
		b.Fatal(err)
	}
	m := &many{b: b, state: s}
	all := m.anchor(records)
	var lists [][]record.Index // each goes through a quarter of all records
	for n := range listed / record.MaxRecords {
		some := make([]record.Index, record.MaxRecords)
		for i := range some {
			some[i] = all[n/4+n%4*records/4+i*records/4/record.MaxRecords]
		}
		lists = append(lists, some)
	}
	run := func(name, office string, message func([]record.Index) record.Message) {
		b.Run(name, func(b *testing.B) {
			m.applied = 0
			before, longest := cpuTime(b), time.Duration(0)
			for n := 0; n < b.N; n++ {
				began := time.Now()
				m.apply(office, message(lists[n%len(lists)]))
				longest = max(longest, time.Since(began))
			}
			b.ReportMetric(float64((cpuTime(b)-before).Milliseconds())/float64(b.N), "cpu-ms/tx")
			b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
			b.ReportMetric(float64(m.applied.Milliseconds())/float64(b.N), "apply-ms/tx")
		})
	}
	day := -record.Day(10_000)
	event := func(list []record.Index) record.Message {
		day++
		return &record.RecordEvents{Event: retention.Closed, Day: day, Records: list}
	}
	run("first fact", "DPW", event)
	run("next fact", "DPW", event)
	run("hold", "CLERK", func(list []record.Index) record.Message {
		return &record.PlaceHold{Kind: record.HoldLitigation, Matter: [32]byte{1}, Scope: record.Scope{Records: list}}
	})
}
