package abci

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/proto/tendermint/crypto"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// The clock of the tests: noon, UTC, so that the ledger day is the date.
var start = time.Date(2031, 1, 1, 12, 0, 0, 0, time.UTC)

const today = record.Day(22280) // 2031-01-01

func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(name string) [32]byte {
	return [32]byte(keyOf(name).Public().(ed25519.PublicKey))
}

// demoFacts is a small city: two departments that anchor, two governing
// offices, one node that validates and one that does not.
func demoFacts() ledger.GenesisFacts {
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range []struct {
		code record.Code
		role record.Role
	}{{"CLERK", record.RoleGovernor}, {"DPW", record.RoleDepartment}, {"IT", record.RoleGovernor}, {"PARKS", record.RoleDepartment}} {
		facts = append(facts,
			&record.Office{Code: o.code, Roles: []record.Role{o.role}, Status: record.StatusActive},
			&record.Key{Office: o.code, Use: record.UseSigning, PublicKey: publicOf(string(o.code)), Status: record.StatusActive})
	}
	governors := []record.Code{"CLERK", "IT"}
	facts = append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: governors, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: governors, Threshold: 2},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: record.StatusActive},
		nodeFact("node-1", 10), nodeFact("node-2", 0))
	return ledger.GenesisFacts{
		Network: record.Network{1}, ChainID: "muniment-test-1", Origin: "records.example.org/test", Time: start.UnixNano(), Facts: facts,
	}
}

// anchor gives a signed transaction that anchors records by name.
func anchor(t testing.TB, office string, notAfter record.Day, names ...string) []byte {
	t.Helper()
	m := &record.AnchorRecords{Series: "DEMO-MINUTES"}
	for _, name := range names {
		m.Items = append(m.Items, record.AnchorItem{Commitment: sha256.Sum256([]byte(name)), Day: today})
	}
	return sign(t, office, names[0], notAfter, m)
}

func sign(t testing.TB, office, nonce string, notAfter record.Day, m record.Message) []byte {
	t.Helper()
	n := sha256.Sum256([]byte(office + nonce))
	body, err := record.NewBody(record.Network{1}, record.Nonce(n[:16]), notAfter, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(keyOf(office), body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// proposeOffice gives a governance transaction.
func proposeOffice(t testing.TB, code record.Code) []byte {
	t.Helper()
	return sign(t, "CLERK", string(code), today+1, &record.ProposeChange{
		Fact: &record.Office{Code: code, Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive},
	})
}

// disk is a store in memory that counts its writes and can be broken.
type disk struct {
	view   ledger.View
	writes []int // blocks in each write
	broken error
}

func newDisk() *disk { return &disk{view: ledger.Blank()} }

func (d *disk) write(changes ...ledger.Changes) error {
	if d.broken != nil {
		return d.broken
	}
	for _, c := range changes {
		d.view = ledger.Overlay(d.view, c)
	}
	d.writes = append(d.writes, len(changes))
	return nil
}

// chain drives an App as the engine does.
type chain struct {
	t       testing.TB
	disk    *disk
	options Options
	app     *App
	fatal   []error
	time    time.Time
}

func newChain(t testing.TB, change func(*Options)) *chain {
	t.Helper()
	c := &chain{t: t, disk: newDisk(), time: start}
	c.options = Options{
		Genesis: demoFacts(), KnownRules: 1, MaxBlockBytes: 4 << 20,
		View: func() ledger.View { return c.disk.view }, Write: c.disk.write,
		Fatal: func(err error) { c.fatal = append(c.fatal, err) },
	}
	if change != nil {
		change(&c.options)
	}
	c.restart()
	return c
}

// restart gives the chain a new App on what is on disk.
func (c *chain) restart() { c.app = New(c.options) }

func validators(t testing.TB, powers map[string]int64) []types.ValidatorUpdate {
	t.Helper()
	var updates []types.ValidatorUpdate
	for name, power := range powers {
		public := publicOf(name)
		updates = append(updates, types.ValidatorUpdate{PubKey: crypto.PublicKey{Sum: &crypto.PublicKey_Ed25519{Ed25519: public[:]}}, Power: power})
	}
	return updates
}

func (c *chain) initRequest() *types.RequestInitChain {
	return &types.RequestInitChain{
		Time: start, ChainId: "muniment-test-1", InitialHeight: 1,
		Validators: validators(c.t, map[string]int64{"node-1/validator": 10}),
	}
}

// init does what the handshake does: it asks for the height, and starts the chain at 0.
func (c *chain) init() (appHash []byte) {
	c.t.Helper()
	info, err := c.app.Info(context.Background(), &types.RequestInfo{})
	if err != nil {
		c.t.Fatal(err)
	}
	if info.LastBlockHeight > 0 {
		return info.LastBlockAppHash
	}
	r, err := c.app.InitChain(context.Background(), c.initRequest())
	if err != nil {
		c.t.Fatal(err)
	}
	return r.AppHash
}

func (c *chain) finalize(txs ...[]byte) *types.ResponseFinalizeBlock {
	c.t.Helper()
	height := c.app.View().Head().Height + 1
	r, err := c.app.FinalizeBlock(context.Background(), &types.RequestFinalizeBlock{Height: height, Time: c.time, Txs: txs})
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func (c *chain) commit() {
	c.t.Helper()
	if _, err := c.app.Commit(context.Background(), &types.RequestCommit{}); err != nil {
		c.t.Fatal(err)
	}
}

// block finalizes and commits the next block, a second after the last.
func (c *chain) block(txs ...[]byte) *types.ResponseFinalizeBlock {
	c.t.Helper()
	if c.app.View().Head().Height > 0 {
		c.time = c.time.Add(time.Second)
	}
	r := c.finalize(txs...)
	c.commit()
	return r
}

func (c *chain) check(raw []byte) uint32 {
	c.t.Helper()
	r, err := c.app.CheckTx(context.Background(), &types.RequestCheckTx{Tx: raw})
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Code
}

func (c *chain) prepare(max int64, txs ...[]byte) [][]byte {
	c.t.Helper()
	r, err := c.app.PrepareProposal(context.Background(), &types.RequestPrepareProposal{MaxTxBytes: max, Txs: txs, Height: c.app.View().Head().Height + 1, Time: c.time})
	if err != nil {
		c.t.Fatal(err)
	}
	return r.Txs
}

func (c *chain) accepts(txs ...[]byte) bool {
	c.t.Helper()
	r, err := c.app.ProcessProposal(context.Background(), &types.RequestProcessProposal{Txs: txs, Height: c.app.View().Head().Height + 1, Time: c.time})
	if err != nil {
		c.t.Fatal(err)
	}
	if r.Status == types.ResponseProcessProposal_UNKNOWN {
		c.t.Fatal("the status is unknown, which ends the process")
	}
	return r.Status == types.ResponseProcessProposal_ACCEPT
}

func codes(r *types.ResponseFinalizeBlock) string {
	var s string
	for _, tx := range r.TxResults {
		s += fmt.Sprintf("%s ", ledger.Code(tx.Code))
	}
	return s
}

func nodeID(public [32]byte) string { return receipt.NodeID(public[:]) }
