package state

import (
	"crypto/ed25519"
	"encoding/binary"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// many is a ledger on disk for benchmarks over many records. Signatures count
// nothing there.
type many struct {
	b      *testing.B
	state  *State
	nonces uint64

	applied time.Duration // time in Machine.Apply, without the commits
}

// apply carries out one transaction in a block of its own and gives its first item.
func (m *many) apply(office string, message record.Message) record.Index {
	m.b.Helper()
	m.nonces++
	public := publicKey(office)
	var nonce record.Nonce
	binary.BigEndian.PutUint64(nonce[:], m.nonces)
	body, err := record.NewBody(testNetwork, nonce, 1, message)
	if err != nil {
		m.b.Fatal(err)
	}
	raw, err := record.AssembleTx(body, record.KeyIDOf(public[:]), make([]byte, ed25519.SignatureSize))
	if err != nil {
		m.b.Fatal(err)
	}
	machine := ledger.Machine{Verify: func(ed25519.PublicKey, []byte, []byte) bool { return true }}
	began := time.Now()
	changes, results, err := machine.Apply(m.state.View(), ledger.Block{Height: m.state.View().Head().Height + 1, Time: noon, Txs: [][]byte{raw}})
	m.applied += time.Since(began)
	if err != nil || results[0].Code != ledger.OK {
		m.b.Fatalf("%T: %v, %v", message, results, err)
	}
	if err := m.state.Commit(changes); err != nil {
		m.b.Fatal(err)
	}
	return results[0].TxIndex + 1
}

// rule adopts a rule for DEMO-MINUTES.
func (m *many) rule(text string) {
	m.b.Helper()
	parsed, err := retention.Parse(text)
	if err != nil {
		m.b.Fatal(err)
	}
	rule := &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: "DEMO-MINUTES", Rule: parsed, Action: record.ActionDestroy,
		Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
	}
	m.apply("CLERK", &record.ProposeChange{Fact: rule})
	fact, err := record.MarshalFact(rule)
	if err != nil {
		m.b.Fatal(err)
	}
	root, err := record.ScheduleRoot([][]byte{fact})
	if err != nil {
		m.b.Fatal(err)
	}
	adoption := &record.Schedule{Code: "DEMO", Version: 1, Count: 1, Root: root, Effective: 1}
	hash, err := record.FactHash(adoption)
	if err != nil {
		m.b.Fatal(err)
	}
	proposal := m.apply("CLERK", &record.ProposeChange{Fact: adoption})
	m.apply("IT", &record.ApproveChange{Proposal: proposal, FactHash: hash})
}

// anchor anchors records, each dated on one of the 20,000 days before 1970.
func (m *many) anchor(n int) (all []record.Index) {
	m.b.Helper()
	for len(all) < n {
		message := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY"}
		for range min(record.MaxItems, n-len(all)) {
			item := record.AnchorItem{Day: -record.Day(m.nonces*7919%20_000 + uint64(len(message.Items))%50)}
			binary.BigEndian.PutUint64(item.Commitment[:], (m.nonces<<16|uint64(len(message.Items)))*0x9e3779b97f4a7c15)
			message.Items = append(message.Items, item)
		}
		first := m.apply("DPW", message)
		for i := range message.Items {
			all = append(all, first+record.Index(i))
		}
	}
	return all
}

// BenchmarkDueList judges a million records that nothing befell, and then
// 100,000 of them that were all closed on some day.
func BenchmarkDueList(b *testing.B) {
	const records, closed = 1_000_000, 100_000
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
	m.rule("later of (3 years after created, earlier of (2 years after closed, 30 years after created))")
	all := m.anchor(records)
	list := func(b *testing.B, want int) {
		before := cpuTime(b)
		for b.Loop() {
			n := s.Snapshot()
			q, listed := ledger.NewInquiry(n.View()), 0
			for it, err := range q.Items(n.Entries(0, all[want-1]+1), n.Values(ledger.LifecyclePrefix()), nil) {
				if err != nil || it.Standing() == 0 {
					b.Fatal(it, err)
				}
				listed++
			}
			if listed != want {
				b.Fatalf("%d records listed", listed)
			}
		}
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N*want), "cpu-ns/record")
	}
	b.Run("anchored", func(b *testing.B) { list(b, records) })
	for first := 0; first < closed; first += record.MaxRecords {
		some := all[first:min(first+record.MaxRecords, closed)]
		m.apply("DPW", &record.RecordEvents{Event: retention.Closed, Day: -record.Day(first % 9_000), Records: some})
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Run("closed", func(b *testing.B) { list(b, closed) })
}
