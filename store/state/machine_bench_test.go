package state

import (
	"crypto/ed25519"
	"encoding/binary"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

const benchBlock = 100 // transactions

// singles gives signed transactions of one new record each. The signatures are left out: see BenchmarkCheck.
func singles(b *testing.B, n int) [][]byte {
	b.Helper()
	public := publicKey("DPW")
	txs := make([][]byte, n)
	for i := range txs {
		var nonce record.Nonce
		binary.BigEndian.PutUint64(nonce[:], uint64(i))
		item := record.AnchorItem{Commitment: record.Commitment{31: 1}}
		binary.BigEndian.PutUint64(item.Commitment[:], uint64(i)*0x9e3779b97f4a7c15)
		body, err := record.NewBody(testNetwork, nonce, 1, &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{item}})
		if err != nil {
			b.Fatal(err)
		}
		if txs[i], err = record.AssembleTx(body, record.KeyIDOf(public[:]), make([]byte, ed25519.SignatureSize)); err != nil {
			b.Fatal(err)
		}
	}
	return txs
}

// BenchmarkCheck judges single transactions on a store on disk, as a node does with each of them: by Check, then in a block.
// Signatures count nothing, as where they were verified before.
func BenchmarkCheck(b *testing.B) {
	db := openDisk(b)
	s, err := Open(db)
	if err != nil {
		b.Fatal(err)
	}
	genesis := testGenesis(b)
	if err := s.Commit(genesis, ledger.Changes{Height: 1, Time: noon, FirstIndex: genesis.Size, Size: genesis.Size, AppHash: genesis.AppHash}); err != nil {
		b.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		b.Fatal(err)
	}
	machine := ledger.Machine{Verify: func(ed25519.PublicKey, []byte, []byte) bool { return true }}
	b.Run("check", func(b *testing.B) {
		txs := singles(b, 1000)
		before := cpuTime(b)
		for i := 0; b.Loop(); i++ {
			if code := machine.Check(s.View(), ledger.Header{Height: 2, Time: noon}, txs[i%len(txs)]); code != ledger.OK {
				b.Fatal(code)
			}
		}
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/tx")
	})
	b.Run("apply", func(b *testing.B) {
		txs := singles(b, benchBlock)
		before := cpuTime(b)
		for b.Loop() {
			if _, _, err := machine.Apply(s.View(), ledger.Block{Height: 2, Time: noon, Txs: txs}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N*benchBlock), "cpu-ns/tx")
	})
}
