package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/rpc"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/state"
)

// hall is a node in memory that keeps no content: the ledger's rules, its store
// and the services of a node as they are. It has a day of its own.
type hall struct {
	t       testing.TB
	network receipt.Network
	state   *state.State

	mu     sync.Mutex // guards all below
	signed []byte     // newest cosigned checkpoint
	size   int64      // of its tree
	now    int64      // time of the last block, Unix nanoseconds
}

// hallDesk is a desk with the keys of all offices, in a city hall on 2031-01-01
// in which schedule DEMO is in force: permits are kept a year, minutes for good,
// mail until audited.
type hallDesk struct {
	staffDesk
	hall *hall
}

var hallOffices = map[string]record.Role{
	"PERMITS": record.RoleDepartment, "CLERK": record.RoleClerk, "CHIEF": record.RoleChiefAdmin, "COUNSEL": record.RoleCounsel,
	"IT": record.RoleIT, "STATE": record.RoleStateRecords, "AUDIT": record.RoleAuditor,
}

func newHall(t testing.TB) *hallDesk {
	t.Helper()
	return newHallAt(newDesk(t), time.Date(2031, 1, 1, 13, 0, 0, 0, time.UTC))
}

func newHallAt(at *desk, now time.Time) *hallDesk {
	t := at.t
	t.Helper()
	h := &hall{t: t, now: now.UnixNano()}
	d := &hallDesk{staffDesk: staffDesk{desk: at}, hall: h}
	d.desk.now = h.clock
	for _, office := range slices.Sorted(maps.Keys(hallOffices)) {
		d.must("key", "new", "--office", office)
	}
	h.open(must(d.places.loadConfig()).Keys)
	if err := os.WriteFile(d.path("network.mun"), h.network.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("network", "add", d.path("network.mun"), "--fingerprint", fingerprint(h.network))
	d.adopt(record.LedgerDay(h.now), demoRule("DEMO-MAIL", "until audited"), demoRule("DEMO-MINUTES", "permanent"), demoRule("DEMO-PERMITS", "1 year after created"))
	return d
}

func day(text string) record.Day { return must(parseDay(text)) }

func (h *hall) key(label string) ed25519.PrivateKey { return (&city{}).key("hall " + label) }

func (h *hall) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Unix(0, h.now)
}

// open founds the ledger and serves it until the test ends.
func (h *hall) open(keys map[string]publicKeys) {
	h.t.Helper()
	db := must(pebble.Open("ledger", state.NewOptions(state.Options{FS: vfs.NewMem(), CacheBytes: 8 << 20, Log: slog.New(slog.DiscardHandler)})))
	h.t.Cleanup(func() { db.Close() })
	h.state = must(state.Open(db))
	node := h.key("node")
	id := receipt.NodeID(node.Public().(ed25519.PublicKey))
	certificate := must(identity.ServerCertificate(rand.Reader, node, receipt.ServerName(id), time.Unix(0, h.now)))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	network := receipt.Network{ID: sha256.Sum256([]byte("genesis of the hall")), ChainID: "muniment-hall-1", Origin: "records.example.org/hall",
		Nodes: []receipt.Node{{ID: id, Address: listener.Addr().String(), Certificate: certificate}},
		Eras:  []receipt.Era{{Logs: [][32]byte{publicOf(h.key("log"))}, Validators: []receipt.Validator{{NodeID: id, Cosigner: publicOf(h.key("cosigner"))}}}}}
	h.network = must(receipt.ParseNetwork(network.Marshal()))
	h.found(keys)
	server := rpc.New(rpc.Options{Node: h, State: h.state, Certificate: tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: node},
		Now: h.clock, Log: slog.New(slog.DiscardHandler)})
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Stop(ctx)
		if err := <-done; err != nil {
			h.t.Errorf("serve: %v", err)
		}
	})
}

// found commits the genesis with block 1.
func (h *hall) found(keys map[string]publicKeys) {
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, code := range slices.Sorted(maps.Keys(hallOffices)) {
		signing, access := &record.Key{Office: record.Code(code), Use: record.UseSigning, Status: record.StatusActive}, &record.Key{Office: record.Code(code), Use: record.UseAccess, Status: record.StatusActive}
		if err := errors.Join(unhex(signing.PublicKey[:], keys[code].Signing), unhex(access.PublicKey[:], keys[code].Access)); err != nil {
			h.t.Fatal(err)
		}
		facts = append(facts, &record.Office{Code: record.Code(code), Roles: []record.Role{hallOffices[code]}, Status: record.StatusActive}, signing, access)
	}
	for _, subject := range []record.Subject{record.SubjectRecords, record.SubjectSecurity} {
		facts = append(facts, &record.Governance{Subject: subject, Offices: []record.Code{"CLERK", "IT"}, Threshold: 2})
	}
	for _, series := range []record.Code{"DEMO-MAIL", "DEMO-MINUTES", "DEMO-OTHER", "DEMO-PERMITS"} {
		facts = append(facts, &record.Series{Code: series, Granularity: record.GranularityDay, Status: record.StatusActive})
	}
	facts = append(facts, &record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{record.KeyIDOf(h.key("custodian").Public().(ed25519.PublicKey))}})
	facts = append(facts, &record.Node{NodeKey: publicOf(h.key("node")), ValidatorKey: publicOf(h.key("validator")),
		CosignerKey: publicOf(h.key("cosigner")), LogKey: publicOf(h.key("log")), CustodianKey: publicOf(h.key("custodian")), Power: 10})
	genesis := must(ledger.Genesis(ledger.GenesisFacts{Network: h.network.ID, ChainID: h.network.ChainID, Origin: h.network.Origin, Time: h.now, Facts: facts}))
	first, _, err := ledger.Machine{Verify: verify}.Apply(ledger.Overlay(ledger.Blank(), genesis), ledger.Block{Height: 1, Time: genesis.Time})
	if err == nil {
		err = h.state.Commit(genesis, first)
	}
	if err == nil {
		err = h.cosign(genesis)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// View gives the state after the last block.
func (h *hall) View() ledger.View { return h.state.View() }

// Status tells nothing that a test asks for.
func (h *hall) Status() *apiv1.StatusResponse { return &apiv1.StatusResponse{} }

// Cosigned gives the newest tree; every block is cosigned as it is committed.
func (h *hall) Cosigned(ctx context.Context, size int64) ([]byte, int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.size < size {
		return nil, 0, fmt.Errorf("no tree of %d entries", size)
	}
	return h.signed, h.size, nil
}

// Submit executes a transaction as a block, a second after the last one.
func (h *hall) Submit(_ context.Context, raw []byte) (ledger.Result, int64, error) {
	results, err := h.block(time.Second, raw)
	if err != nil {
		return ledger.Result{}, 0, err
	}
	return results[0], h.View().Head().Height, nil
}

// block executes transactions as a block, some time after the last one.
func (h *hall) block(after time.Duration, txs ...[]byte) ([]ledger.Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now += int64(after)
	changes, results, err := ledger.Machine{Verify: verify}.Apply(h.View(), ledger.Block{Height: h.View().Head().Height + 1, Time: h.now, Txs: txs})
	if err != nil {
		return nil, err
	}
	if err := h.state.Commit(changes); err != nil {
		return nil, err
	}
	if len(changes.Entries) == 0 {
		return results, nil
	}
	return results, h.cosign(changes)
}

func (h *hall) cosign(c ledger.Changes) error {
	log, err := receipt.SignCheckpoint(c.Checkpoint, h.key("log"))
	if err != nil {
		return err
	}
	line, err := receipt.Cosign(c.Checkpoint, receipt.CosignerName(h.network.Origin, h.network.Nodes[0].ID), h.key("cosigner"), c.Time/1e9+1)
	if err != nil {
		return err
	}
	signed, err := receipt.Assemble(c.Checkpoint, log, line)
	h.signed, h.size = signed, c.Size
	return err
}

// keep anchors records of PERMITS, each dated or, without a date, undated, and
// gives their entries.
func (d *hallDesk) keep(series record.Code, dates ...string) []uint64 {
	d.t.Helper()
	m := &record.AnchorRecords{Series: series}
	for _, date := range dates {
		item := record.AnchorItem{Flags: record.FlagUndated}
		rand.Read(item.Commitment[:])
		if date != "" {
			item.Day, item.Flags = day(date), 0
		}
		m.Items = append(m.Items, item)
	}
	first := uint64(d.act("PERMITS", m).Index)
	var list []uint64
	for i := range dates {
		list = append(list, first+uint64(i))
	}
	return list
}

// hold has COUNSEL place a hold on records.
func (d *hallDesk) hold(records ...uint64) string {
	d.t.Helper()
	args := []string{"hold", "place", "--kind", "anticipated", "--matter", "a matter"}
	for _, r := range records {
		args = append(args, numeral(r))
	}
	return d.acted("COUNSEL", args...)
}
