package node

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// stalling is a signer that says nothing while the network is to stand still.
type stalling struct {
	types.PrivValidator
	stalled *atomic.Bool
	at      chan int64 // height at which it stands still
	goOn    chan struct{}
}

func (s stalling) SignProposal(chainID string, p *cmtproto.Proposal) error {
	if s.stalled.CompareAndSwap(true, false) {
		s.at <- p.Height
		<-s.goOn
	}
	return s.PrivValidator.SignProposal(chainID, p)
}

// crowdedCity has so many departments that together they fill a mempool.
func crowdedCity(custodian record.KeyID) []record.Fact {
	facts := cityFacts(custodian)
	office := func(code string, role record.Role) {
		facts = append(facts,
			&record.Office{Code: record.Code(code), Roles: []record.Role{role}, Status: record.StatusActive},
			&record.Key{Office: record.Code(code), Use: record.UseSigning, PublicKey: public(officeKey(code)), Status: record.StatusActive})
	}
	office("COUNSEL", record.RoleCounsel)
	for i := range 64 {
		office(fmt.Sprintf("DEPT%02d", i), record.RoleDepartment)
	}
	return facts
}

// TestHoldsGetThroughAFullMempool: no block is made while one department, and then
// all of them, hand in what the engine's mempool takes. Holds and decisions of
// governance are taken all the same, of whomever; they are the first in the next block.
func TestHoldsGetThroughAFullMempool(t *testing.T) {
	home := Home(t.TempDir())
	if _, err := Init(home, InitOptions{
		Keys: testKeyOptions(), ChainID: "muniment-test-1", Origin: "records.example.org/test", Address: "127.0.0.1:7450", Facts: crowdedCity,
	}); err != nil {
		t.Fatal(err)
	}
	s := stalling{stalled: new(atomic.Bool), at: make(chan int64, 1), goOn: make(chan struct{})}
	n := openWith(t, home, testConfig(), Options{Heartbeat: time.Hour, signing: func(p types.PrivValidator) types.PrivValidator {
		s.PrivValidator = p
		return s
	}})
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	submit(t, n, anchor(t, n, "first"))

	push := func(raw []byte) (code uint32) {
		if err := n.push(raw, func(c uint32) { code = c }); err != nil {
			t.Fatal(err)
		}
		return code
	}
	// fill has a department anchor until it is refused.
	fill := func(office string) (taken int, code uint32) {
		for code == 0 {
			m := &record.AnchorRecords{Series: "DEMO-MINUTES", Items: []record.AnchorItem{{Commitment: sha256.Sum256(fmt.Append(nil, office, taken)), Day: today()}}}
			if code = push(act(t, n, office, m)); code == 0 {
				taken++
			}
		}
		return taken, code
	}
	hold := func(matter byte) []byte {
		return act(t, n, "COUNSEL", &record.PlaceHold{Kind: record.HoldAnticipated, Matter: [32]byte{matter}, Scope: record.Scope{Department: "DPW"}})
	}

	s.stalled.Store(true)
	push(anchor(t, n, "the block that is not made"))
	height := <-s.at
	var urgent [][]byte
	passes := func(raw []byte) {
		t.Helper()
		if code := push(raw); code != 0 {
			t.Fatalf("code %d", code)
		}
		urgent = append(urgent, raw)
	}
	taken, code := fill("DPW")
	if code != abci.CodeShare || taken < 100 {
		t.Errorf("one department has %d transactions taken, and is refused with %d", taken, code)
	}
	passes(hold(1))
	all := taken
	for i := 0; code == abci.CodeShare && i < 64; i++ {
		taken, code = fill(fmt.Sprintf("DEPT%02d", i))
		all += taken
	}
	if code != abci.CodeBusy || !n.crowded() || float64(all) < mempoolFullPart*mempoolTxs-10 {
		t.Errorf("all departments have %d transactions taken, and are refused with %d", all, code)
	}
	passes(hold(2))
	passes(act(t, n, "CLERK", &record.ProposeChange{Fact: &record.Office{Code: "WATER", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}}))
	close(s.goOn)

	// The block at which the signer stood still may have timed out: then it is made anew.
	var next int64
	for _, raw := range urgent {
		result, at, err := n.Submit(waiting(t), raw)
		if err != nil || result.Code != ledger.OK || at > height+1 || next > 0 && at != next {
			t.Fatalf("%+v at height %d, %v; want all in block %d, or in the one after it", result, at, err, height)
		}
		next = at
	}
	block := n.engine.BlockStore().LoadBlock(next)
	if len(block.Txs) <= len(urgent) {
		t.Fatalf("block %d has %d transactions", next, len(block.Txs))
	}
	for i, raw := range block.Txs {
		is := slices.ContainsFunc(urgent, func(u []byte) bool { return bytes.Equal(u, raw) })
		if is != (i < len(urgent)) {
			t.Errorf("transaction %d of the block: urgent %v", i, is)
		}
	}
}
