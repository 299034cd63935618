package custody

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

const today record.Day = 22280 // 2031-01-01

// noon of a day, twelve hours later, is when the ledger day begins.
func startOf(d record.Day) int64 { return (int64(d)*86400 + 43200) * 1e9 }

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) [32]byte { return [32]byte(key(name).Public().(ed25519.PublicKey)) }

func keyID(name string) record.KeyID { p := public(name); return record.KeyIDOf(p[:]) }

var network = record.Network(sha256.Sum256([]byte("genesis of the tests")))

// city is a ledger in memory.
type city struct {
	mu     sync.Mutex
	view   ledger.View
	nonces int
}

// newCity makes one whose set CITY has these custodians; without any, one.
func newCity(t testing.TB, custodians ...string) *city {
	t.Helper()
	if len(custodians) == 0 {
		custodians = []string{"custodian"}
	}
	active := record.StatusActive
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for code, roles := range map[record.Code][]record.Role{
		"CLERK": {record.RoleDepartment, record.RoleClerk, record.RoleGovernor}, "DPW": {record.RoleDepartment},
		"IT": {record.RoleIT, record.RoleGovernor}, "COUNSEL": {record.RoleCounsel, record.RoleGovernor}, "AUDIT": {record.RoleAuditor},
	} {
		facts = append(facts, &record.Office{Code: code, Roles: roles, Status: active},
			&record.Key{Office: code, Use: record.UseSigning, PublicKey: public(string(code)), Status: active})
	}
	facts = append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"CLERK", "COUNSEL"}, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: []record.Code{"CLERK", "COUNSEL", "IT"}, Threshold: 2},
		setOf(custodians...),
		&record.CustodianSet{Code: "OTHERS", Custodians: []record.KeyID{keyID("other custodian")}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: active},
		&record.Series{Code: "DEMO-PERMITS", Granularity: record.GranularityDay, Status: active, Departments: []record.Code{"DPW"}},
		&record.Series{Code: "DEMO-OLD", Granularity: record.GranularityDay, Status: record.StatusInactive},
		&record.Node{NodeKey: public("node"), ValidatorKey: public("validator"), CosignerKey: public("cosigner"), LogKey: public("log"),
			CustodianKey: public("custodian"), Power: 10},
		&record.Node{NodeKey: public("node2"), ValidatorKey: public("validator2"), CosignerKey: public("cosigner2"), LogKey: public("log2"),
			CustodianKey: public("other custodian"), Power: 10},
	)
	for _, name := range custodians[1:] {
		facts = append(facts, &record.Node{NodeKey: public(name + "'s node"), ValidatorKey: public(name + "'s validator"),
			CosignerKey: public(name + "'s cosigner"), LogKey: public(name + "'s log"), CustodianKey: public(name), Power: 10})
	}
	changes, err := ledger.Genesis(ledger.GenesisFacts{
		Network: network, ChainID: "test-1", Origin: "records.example.org/test", Time: startOf(today), Facts: facts,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &city{view: ledger.Overlay(ledger.Blank(), changes)}
}

// setOf is the set CITY with these custodians.
func setOf(custodians ...string) *record.CustodianSet {
	s := &record.CustodianSet{Code: "CITY"}
	for _, name := range custodians {
		s.Custodians = append(s.Custodians, keyID(name))
	}
	slices.SortFunc(s.Custodians, func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) })
	return s
}

func (c *city) View() ledger.View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// block commits a block at a time with anchors of an office, one transaction.
func (c *city) block(t testing.TB, unixNanos int64, office record.Code, series, custody record.Code, items ...record.Commitment) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var txs [][]byte
	if len(items) > 0 {
		m := &record.AnchorRecords{Series: series, Custody: custody}
		day := record.LedgerDay(unixNanos)
		for _, item := range items {
			m.Items = append(m.Items, record.AnchorItem{Commitment: item, Day: day})
		}
		c.nonces++
		nonce := sha256.Sum256([]byte{byte(c.nonces), byte(c.nonces >> 8)})
		body, err := record.NewBody(network, record.Nonce(nonce[:16]), day+1, m)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := record.Sign(key(string(office)), body)
		if err != nil {
			t.Fatal(err)
		}
		txs = append(txs, raw)
	}
	changes, results, err := ledger.Machine{Verify: ed25519.Verify}.Apply(c.view, ledger.Block{Height: c.view.Head().Height + 1, Time: unixNanos, Txs: txs})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Code != ledger.OK {
			t.Fatalf("anchor: %v", r.Code)
		}
	}
	c.view = ledger.Overlay(c.view, changes)
}

// pass lets the ledger come to a time in steps that are no jumps.
func (c *city) pass(t testing.TB, unixNanos int64) {
	t.Helper()
	for c.View().Head().Time+60e9 < unixNanos {
		c.block(t, c.View().Head().Time+60e9, "CLERK", "DEMO-MINUTES", "CITY")
	}
	c.block(t, unixNanos, "CLERK", "DEMO-MINUTES", "CITY")
}

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now int64 // Unix nanoseconds
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(0, c.now)
}

func (c *clock) set(day record.Day) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = startOf(day)
}

// house is a custodian with its stores below "house" of a file system.
type house struct {
	*Custody
	fs    vfs.FS
	city  *city
	clock *clock
	name  string // of the custodian's key
	vault *vault.Vault
	rings *keyring.Keyring
	log   *vault.AccessLog
}

// testRoot is one root for all tests: deriving it takes time.
var testRoot = sync.OnceValues(func() (keyring.Root, error) {
	text, err := keyring.NewRootFile(rand.Reader, []byte("root of the tests"), 1000)
	if err != nil {
		return nil, err
	}
	return keyring.OpenRootFile([]byte("root of the tests"), text)
})

func openHouse(t testing.TB, fs vfs.FS, dir string, ledger *city, clock *clock) *house {
	t.Helper()
	return openHouseOf(t, "custodian", fs, dir, ledger, clock)
}

// openHouseOf opens the house of the custodian with a key.
func openHouseOf(t testing.TB, name string, fs vfs.FS, dir string, ledger *city, clock *clock) *house {
	t.Helper()
	h, err := tryHouseOf(name, fs, dir, ledger, clock, func(err error) { t.Errorf("fatal: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

func tryHouseOf(name string, fs vfs.FS, dir string, ledger *city, clock *clock, fatal func(error)) (*house, error) {
	root, err := testRoot()
	if err != nil {
		return nil, err
	}
	h := &house{fs: fs, city: ledger, clock: clock, name: name}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if parent, err := fs.OpenDir(fs.PathDir(dir)); err != nil { // what init does for a home
		return nil, err
	} else if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return nil, err
	}
	var errs [4]error
	h.vault, errs[0] = vault.Open(fs.PathJoin(dir, "vault"), vault.Options{FS: fs, Fatal: fatal})
	h.rings, errs[1] = keyring.Open(fs.PathJoin(dir, "rings"), root, keyring.Options{FS: fs, Fatal: fatal})
	h.log, errs[2] = vault.OpenLog(fs.PathJoin(dir, "access-log"), vault.Options{FS: fs, Fatal: fatal})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	h.Custody, err = New(h.vault, h.rings, h.log, Config{
		View: ledger.View, Now: clock.Now, Custodian: keyID(name), MaxContent: 4 << 20, MaxMemory: 32 << 20,
		Submit: func(_ context.Context, m *record.ReportErasure) error { return ledger.submit(name, m) },
		Depart: func(_ context.Context, m *record.LeaveCustody) error { return ledger.submit(name, m) },
	})
	return h, err
}

func (h *house) close() {
	if h.vault != nil {
		h.log.Close()
		h.rings.Close()
		h.vault.Close()
		h.vault = nil
	}
}

// punctures takes leaves of a record away as an erasure does, in a rotation; with
// none the record is destroyed.
func (h *house) punctures(t testing.TB, ref Ref, gone ...commitment.Range) {
	t.Helper()
	r, _, err := h.vault.Find(ref.Office, ref.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	change := keyring.Change{RID: r.RID}
	if len(gone) > 0 {
		s, _, err := h.state(r)
		if err != nil {
			t.Fatal(err)
		}
		s.state.PunctureRanges(gone)
		change.State = s.marshal()
	}
	if _, err := h.rings.Rotate(ringOf(r), keyring.Plan{Changes: []keyring.Change{change}}); err != nil {
		t.Fatal(err)
	}
}

var (
	clerk   = Caller{Office: "CLERK", Account: "00112233445566ff", Roles: []record.Role{record.RoleDepartment, record.RoleClerk}}
	works   = Caller{Office: "DPW", Account: "a0112233445566ff", Roles: []record.Role{record.RoleDepartment}}
	counsel = Caller{Office: "COUNSEL", Account: "b0112233445566ff", Roles: []record.Role{record.RoleCounsel}}
	auditor = Caller{Office: "AUDIT", Account: "c0112233445566ff", Roles: []record.Role{record.RoleAuditor}}
)

// offer is a document and the header it is deposited with.
func offer(content, title string) (Header, []byte) {
	var k commitment.RecordKey
	rand.Read(k[:])
	return Header{
		Series: "DEMO-MINUTES", Custody: "CITY", NotAfter: today + 2, Profile: commitment.Text, Size: int64(len(content)), Key: &k,
		Fields: []commitment.Field{
			{Key: commitment.FieldMediaType, Value: "text/plain"}, {Key: commitment.FieldFileName, Value: title + ".txt"}, {Key: commitment.FieldTitle, Value: title},
		},
	}, []byte(content)
}

func mustDeposit(t testing.TB, c *Custody, caller Caller, h Header, content []byte) record.Commitment {
	t.Helper()
	d, err := c.Deposit(context.Background(), caller, h, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return d.Commitment
}

func read(c *Custody, caller Caller, ref Ref, p Purpose) (string, error) {
	var b bytes.Buffer
	err := c.Read(context.Background(), caller, ref, p, &b)
	return b.String(), err
}

// receipts are what Evidence is given to put into a bundle.
func receipts(texts ...string) func([][32]byte) ([][]byte, error) {
	return func([][32]byte) (all [][]byte, err error) {
		for _, text := range texts {
			all = append(all, []byte(text))
		}
		return all, nil
	}
}

func wantReason(t testing.TB, what string, err error, want Reason) {
	t.Helper()
	if got, ok := ReasonOf(err); !ok || got != want {
		t.Errorf("%s: %v (%s), want %s", what, err, got, want)
	}
}
