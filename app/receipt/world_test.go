package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// second is the block time step of the test log; start its genesis time.
const (
	second = int64(1e9)
	start  = int64(1_893_456_000) * second // 2030-01-01
)

// world is a small ledger with all its keys, made without package ledger.
type world struct {
	t       testing.TB
	network Network
	entries [][]byte
	hashes  []tlog.Hash // stored hashes of the log tree
	blocks  []int64     // indexes of block entries
	first   int64       // first entry of the block in the making
	state   statetree.Memory
	root    statetree.Hash
	height  int64
	nonce   byte
	days    int64                  // that have passed besides the seconds
	values  map[string][]byte      // of the state, that put set
	keys    map[record.KeyID]int64 // key id -> index of the fact that registers it
}

func testKey(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("receipt test key " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// testNetwork has the given numbers of nodes, all validators, and witnesses.
func testNetwork(nodes, witnesses, threshold int) Network {
	n := Network{ID: sha256.Sum256([]byte("genesis")), ChainID: "muniment-demo-1", Origin: "records.example.org/demo", Eras: []Era{{WitnessThreshold: threshold}}}
	for i := range nodes {
		key := testKey(fmt.Sprint("node ", i))
		id := NodeID(key.Public().(ed25519.PublicKey))
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: ServerName(id)}, DNSNames: []string{ServerName(id)},
			NotBefore: time.Unix(0, start).UTC(), NotAfter: time.Unix(0, start).AddDate(50, 0, 0).UTC()}
		der := must1(x509.CreateCertificate(nil, template, template, key.Public(), key))
		n.Nodes = append(n.Nodes, Node{ID: id, Address: fmt.Sprintf("127.0.0.1:%d", 7450+i), Certificate: der})
		n.Eras[0].Logs = append(n.Eras[0].Logs, publicOf(testKey(fmt.Sprint("log ", i))))
		n.Eras[0].Validators = append(n.Eras[0].Validators, Validator{NodeID: id, Cosigner: publicOf(testKey(fmt.Sprint("cosigner ", i)))})
	}
	for i := range witnesses {
		n.Eras[0].Witnesses = append(n.Eras[0].Witnesses, Witness{Label: fmt.Sprintf("witness-%d", i), Name: fmt.Sprintf("witness.example.org/%d", i), Key: publicOf(testKey(fmt.Sprint("witness ", i)))})
	}
	return must1(ParseNetwork(n.Marshal()))
}

func (w *world) add(e record.Entry) int64 {
	index := int64(len(w.entries))
	raw := must1(record.MarshalEntry(e))
	w.hashes = append(w.hashes, must1(tlog.StoredHashes(index, raw, w))...)
	w.entries = append(w.entries, raw)
	return index
}

// ReadHashes serves the tree functions of tlog.
func (w *world) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = w.hashes[at]
	}
	return out, nil
}

// now is the time of the block in the making.
func (w *world) now() int64 { return start + w.height*second + w.days*86400*second }

// endBlock writes a state value for the height and closes the block.
func (w *world) endBlock() int64 {
	writes := []statetree.Write{{Key: statetree.KeyOf(fmt.Appendf(nil, "height/%d", w.height)), Value: fmt.Appendf(nil, "at %d", w.height)}}
	root, nodes, err := statetree.Update(w.state, w.root, writes)
	if err != nil {
		w.t.Fatal(err)
	}
	w.state.Apply(nodes)
	w.root = root
	at := w.add(record.BlockEntry{Height: w.height, Time: w.now(), First: record.Index(w.first), StateRoot: root})
	w.blocks, w.first = append(w.blocks, at), at+1
	w.height++
	return at
}

// tx appends a transaction entry of an office and its items.
func (w *world) tx(office record.Code, m record.Message, items ...record.Entry) int64 {
	return w.signed(testKey("office "+string(office)), m, items...)
}

// signed appends a transaction entry of a key and its items.
func (w *world) signed(key ed25519.PrivateKey, m record.Message, items ...record.Entry) int64 {
	w.nonce++
	nonce, notAfter := record.Nonce{w.nonce}, record.LedgerDay(w.now())+7
	body := must1(record.NewBody(w.network.ID, nonce, notAfter, m))
	e := record.TxEntry{KeyID: record.KeyIDOf(key.Public().(ed25519.PublicKey)), BodyHash: sha256.Sum256(body), Nonce: nonce, NotAfter: notAfter, Count: int64(len(items)), Body: body}
	e.Signature = [64]byte(ed25519.Sign(key, record.SignedMessage(e.BodyHash)))
	if _, anchors := m.(*record.AnchorRecords); anchors {
		e.Body = nil
	}
	at := w.add(e)
	for _, item := range items {
		w.add(item)
	}
	return at
}

// anchor appends a transaction with count records of an office, the dates one apart.
func (w *world) anchor(office record.Code, count int) int64 {
	return w.anchorIn("DEMO-MINUTES", office, count)
}

func (w *world) anchorIn(series, office record.Code, count int) int64 {
	m := &record.AnchorRecords{Series: series, Custody: "CITY"}
	var items []record.Entry
	for i := range count {
		it := record.AnchorItem{Commitment: sha256.Sum256(fmt.Append(nil, len(w.entries), i)), Day: record.Day(20000 + i)}
		m.Items = append(m.Items, it)
		items = append(items, record.AnchorEntry{Office: office, Series: m.Series, Custody: m.Custody, Commitment: it.Commitment, Day: it.Day})
	}
	return w.tx(office, m, items...)
}

// Indexes of the log that newWorld makes.
const (
	atGenesis     = 0
	atOffice      = 1
	atKeyHR       = 2
	atBlock0      = 4
	atSingleTx    = 5
	atSingle      = 6 // the anchor of a transaction of one, alone in its block
	atBlock1      = 7
	atBatchTx     = 8
	atBatch       = 10 // second of three anchors, with another transaction behind it in the block
	atSupersedeTx = 12
	atSupersede   = 13
	atBlock2      = 14
	atProposal    = 16
	atApproveTx   = 18
	atApproval    = 19
	atFact        = 20 // the executed change
	atSuspension  = 23
	atLast        = 24
)

// newLog makes a log that has nothing but its first entry.
func newLog(t testing.TB, n Network) *world {
	w := &world{t: t, network: n, state: statetree.Memory{}, keys: map[record.KeyID]int64{}}
	w.add(record.GenesisEntry{Network: n.ID, ChainID: n.ChainID, Origin: n.Origin, Time: start})
	return w
}

// newWorld makes a log with records and changes of offices and keys.
func newWorld(t testing.TB, n Network) *world {
	w := newLog(t, n)
	w.fact(&record.Office{Code: "HR", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive})
	w.registerKey("HR")
	w.registerKey("CLERK")
	w.endBlock()
	w.anchor("HR", 1)
	w.endBlock()
	w.anchor("HR", 3)
	w.tx("HR", &record.SupersedeRecord{Record: atSingle, By: atBatch}, record.SupersedeEntry{Office: "HR", Record: atSingle, By: atBatch})
	w.endBlock()
	fact := &record.Office{Code: "PARKS", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}
	hash := must1(record.FactHash(fact))
	w.tx("HR", &record.ProposeChange{Fact: fact}, record.ProposalEntry{Office: "HR", FactHash: hash})
	w.endBlock()
	w.tx("CLERK", &record.ApproveChange{Proposal: atProposal, FactHash: hash},
		record.ApprovalEntry{Office: "CLERK", Proposal: atProposal, FactHash: hash}, record.FactEntry{Fact: must1(record.MarshalFact(fact))})
	w.endBlock()
	id := record.KeyIDOf(testKey("office HR").Public().(ed25519.PublicKey))
	w.tx("CLERK", &record.SuspendKey{KeyID: id, SinceHeight: 2}, record.SuspensionEntry{Office: "CLERK", KeyID: id, SinceHeight: 2})
	w.endBlock()
	if len(w.entries) != atLast+1 {
		t.Fatalf("the log has %d entries, want %d", len(w.entries), atLast+1)
	}
	return w
}

// registerKey states the signing key of an office.
func (w *world) registerKey(office record.Code) int64 {
	key := &record.Key{Office: office, Use: record.UseSigning, PublicKey: publicOf(testKey("office " + string(office))), Status: record.StatusActive}
	w.keys[key.ID()] = w.fact(key)
	return w.keys[key.ID()]
}

func (w *world) fact(f record.Fact) int64 {
	return w.add(record.FactEntry{Fact: must1(record.MarshalFact(f))})
}

func (w *world) body(size int64) []byte {
	return record.CheckpointBody(w.network.Origin, size, must1(tlog.TreeHash(size, w)))
}

// cosigned signs the tree of a size by node 0's log key, all validators at
// start + 100 s + their number, and all witnesses 1,000 s later.
func (w *world) cosigned(size int64) []byte {
	body := w.body(size)
	lines := []string{must1(SignCheckpoint(body, testKey("log 0")))}
	for i := range w.network.Nodes {
		lines = append(lines, w.cosignature(body, i, start/second+w.days*86400+100+int64(i)))
	}
	for i := range w.network.Eras[0].Witnesses {
		name := fmt.Sprintf("witness.example.org/%d", i)
		lines = append(lines, must1(Cosign(body, name, testKey(fmt.Sprint("witness ", i)), start/second+w.days*86400+1100+int64(i))))
	}
	return must1(Assemble(body, lines...))
}

func (w *world) cosignature(body []byte, node int, at int64) string {
	id := NodeID(testKey(fmt.Sprint("node ", node)).Public().(ed25519.PublicKey))
	return must1(Cosign(body, CosignerName(w.network.Origin, id), testKey(fmt.Sprint("cosigner ", node)), at))
}

func (w *world) leaf(size, index int64) Leaf {
	return Leaf{Index: index, Entry: w.entries[index], Proof: must1(tlog.ProveRecord(size, index, w))}
}

// receipt makes the receipt of an entry in the tree of a size, with the parts
// that an honest node gives it.
func (w *world) receipt(size, index int64) []byte {
	var leaves []Leaf
	switch e := must1(record.ParseEntry(w.entries[index])).(type) {
	case record.TxEntry:
		leaves = append(leaves, w.leaf(size, w.keyOf(e)))
	default:
		if at, e, ok := w.txOf(index); ok {
			leaves = append(leaves, w.leaf(size, at), w.leaf(size, w.keyOf(e)))
		}
	}
	if !slices.Contains(w.blocks, index) {
		next := w.blocks[slices.IndexFunc(w.blocks, func(b int64) bool { return b > index })]
		leaves = append(leaves, w.leaf(size, next))
	}
	return must1(New(w.entries[index], index, w.leaf(size, index).Proof, leaves, w.cosigned(size)))
}

func (w *world) txOf(index int64) (int64, record.TxEntry, bool) {
	for at := index - 1; at >= 0; at-- {
		if e, ok := must1(record.ParseEntry(w.entries[at])).(record.TxEntry); ok {
			return at, e, index-at <= e.Count
		}
	}
	return 0, record.TxEntry{}, false
}

func (w *world) keyOf(e record.TxEntry) int64 {
	at, ok := w.keys[e.KeyID]
	if !ok {
		w.t.Fatal("no such key")
	}
	return at
}

// stateReceipt is the receipt of a state key under the last block, present or not.
func (w *world) stateReceipt(key string) []byte {
	proof := must1(statetree.Prove(w.state, w.root, statetree.KeyOf([]byte(key))))
	var value []byte
	var height int64
	if _, err := fmt.Sscanf(key, "height/%d", &height); err == nil && height < w.height {
		value = fmt.Appendf(nil, "at %d", height)
	}
	last := int64(len(w.entries)) - 1
	return must1(NewState(w.entries[last], last, w.leaf(last+1, last).Proof, []byte(key), value, proof, w.cosigned(last+1)))
}

// text writes a receipt as it is, without the checks of New.
func (r Receipt) text() []byte {
	extra := must1(encoding.Marshal(receiptExtra{Form: formReceipt, Entry: r.Entry, Leaves: r.Leaves}))
	return proofText{extra: extra, index: r.Index, proof: r.Proof, signed: r.Checkpoint.Marshal()}.marshal()
}
