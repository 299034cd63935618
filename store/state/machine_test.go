package state

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// noon is that of day 1.
const noon = 36 * 3600 * 1e9

var testNetwork = record.Network{7}

func privateKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicKey(name string) [32]byte { return [32]byte(privateKey(name).Public().(ed25519.PublicKey)) }

func signed(t *testing.T, name string, nonce byte, m record.Message) []byte {
	t.Helper()
	body, err := record.NewBody(testNetwork, record.Nonce{nonce, 1}, 1, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(privateKey(name), body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func testGenesis(t testing.TB) ledger.Changes {
	t.Helper()
	active := record.StatusActive
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, code := range []record.Code{"CLERK", "DPW", "IT"} {
		role := record.RoleGovernor
		if code == "DPW" {
			role = record.RoleDepartment
		}
		facts = append(facts, &record.Office{Code: code, Roles: []record.Role{role}, Status: active},
			&record.Key{Office: code, Use: record.UseSigning, PublicKey: publicKey(string(code)), Status: active})
	}
	custodian := publicKey("custodian")
	facts = append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"CLERK", "IT"}, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: []record.Code{"CLERK", "IT"}, Threshold: 2},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{record.KeyIDOf(custodian[:])}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: active},
		&record.Node{NodeKey: publicKey("node"), ValidatorKey: publicKey("validator"), CosignerKey: publicKey("cosigner"),
			LogKey: publicKey("log"), CustodianKey: custodian, Power: 10})
	c, err := ledger.Genesis(ledger.GenesisFacts{Network: testNetwork, ChainID: "test-1", Origin: "records.example.org/test", Time: noon, Facts: facts})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The state machine must not be able to tell the store from a ledger in memory.
func TestMachineOnStore(t *testing.T) {
	fs := vfs.NewMem()
	db := openDB(t, testOptions(fs))
	s := openState(t, db)
	machine := ledger.Machine{Verify: ed25519.Verify}
	genesis := testGenesis(t)
	memory := ledger.Overlay(ledger.Blank(), genesis)
	random := rand.New(rand.NewPCG(60, 0))
	var pending, past []ledger.Changes
	pending = append(pending, genesis)
	codes := map[ledger.Code]int{}
	for height := int64(1); height <= 25; height++ {
		var txs [][]byte
		for range random.IntN(3) {
			m := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY"}
			for range 1 + random.IntN(30) {
				m.Items = append(m.Items, record.AnchorItem{Commitment: sha256.Sum256([]byte{byte(random.IntN(200)), byte(random.IntN(40))})})
			}
			txs = append(txs, signed(t, "DPW", byte(height), m))
		}
		if height > 5 {
			later := 1 + random.IntN(int(memory.Head().Size)-1)
			txs = append(txs, signed(t, "DPW", byte(height), &record.SupersedeRecord{Record: record.Index(random.IntN(later)), By: record.Index(later)}))
			txs = append(txs, signed(t, "CLERK", byte(height), &record.ProposeChange{
				Fact: &record.Series{Code: record.Code(fmt.Sprintf("DEMO-%d", height)), Granularity: record.GranularityDay, Status: record.StatusActive}}))
		}
		block := ledger.Block{Height: height, Time: noon + height*1e9, Txs: txs}
		before := s.View()
		if height == 1 {
			before = ledger.Overlay(before, genesis) // genesis is not on disk yet
		}
		got, gotResults, err := machine.Apply(before, block)
		if err != nil {
			t.Fatal(err)
		}
		want, wantResults, err := machine.Apply(memory, block)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gotResults, wantResults) {
			t.Fatalf("height %d: the store gives %v and AppHash %x, memory %v and %x", height, gotResults, got.AppHash, wantResults, want.AppHash)
		}
		for _, r := range gotResults {
			codes[r.Code]++
		}
		memory = ledger.Overlay(memory, want)
		past = append(past, got)
		commit(t, s, append(pending, got)...)
		pending = nil
		if height%8 == 0 {
			closeDB(t, db)
			db = openDB(t, testOptions(fs))
			s = openState(t, db)
		}
	}
	defer closeDB(t, db)
	if codes[ledger.OK] < 20 || codes[ledger.CodeAlreadyAnchored] == 0 {
		t.Errorf("results %v: too few accepted, or no record anchored twice", codes)
	}
	checkPlaces(t, s, past)
	checkListing(t, s, append([]ledger.Changes{genesis}, past...))
	checkInquiry(t, s)
}

// checkPlaces compares what a receipt asks for with the blocks.
func checkPlaces(t *testing.T, s *State, blocks []ledger.Changes) {
	t.Helper()
	for _, c := range blocks {
		tx, ok := record.Index(0), false
		left := int64(0)
		for i, raw := range c.Entries {
			at := record.Index(c.FirstIndex + int64(i))
			if got, err := s.BlockEntryAfter(at); err != nil || int64(got) != c.Size-1 {
				t.Fatalf("block entry of entry %d: %d, %v, want %d", at, got, err, c.Size-1)
			}
			entry, err := record.ParseEntry(raw)
			if err != nil {
				t.Fatal(err)
			}
			if e, is := entry.(record.TxEntry); is {
				tx, ok, left = at, true, e.Count
				continue
			}
			if ok = ok && left > 0; !ok {
				tx = 0
			}
			left--
			got, found, err := s.TxEntryOf(at)
			if err != nil || found != ok || found && got != tx {
				t.Fatalf("transaction of entry %d (%v): %d %t, %v, want %d %t", at, entry.Kind(), got, found, err, tx, ok)
			}
		}
	}
}

// checkListing compares the listing of state values with what the blocks set.
func checkListing(t *testing.T, s *State, blocks []ledger.Changes) {
	t.Helper()
	want := map[string][]byte{}
	for _, c := range blocks {
		for _, v := range c.Values {
			want[string(v.Key)] = v.Value
		}
	}
	var keys []string
	for prefix := range want {
		keys = keys[:0]
		for v, err := range s.Values([]byte(prefix[:1])) {
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(v.Value, want[string(v.Key)]) {
				t.Fatalf("value of %q: %x, want %x", v.Key, v.Value, want[string(v.Key)])
			}
			keys = append(keys, string(v.Key))
		}
		expected := 0
		for key := range want {
			if key[0] == prefix[0] {
				expected++
			}
		}
		if len(keys) != expected || !slices.IsSorted(keys) {
			t.Fatalf("keys with prefix %q: %d, sorted %t, want %d", prefix[:1], len(keys), slices.IsSorted(keys), expected)
		}
	}
}
