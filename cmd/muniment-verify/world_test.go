package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/statetree"
)

// start is the genesis time of the test log, 2030-01-01, in Unix seconds.
const start = int64(1_893_456_000)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// key gives the key of a label: the same one at every run.
func key(label string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("muniment-verify test key " + label))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) [32]byte { return [32]byte(k[32:]) }

// network gives the network of one validator whose keys grow from a name.
func network(name, origin string) receipt.Network {
	node := key(name + " node")
	id := receipt.NodeID(node.Public().(ed25519.PublicKey))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: receipt.ServerName(id)}, DNSNames: []string{receipt.ServerName(id)},
		NotBefore: time.Unix(start, 0).UTC(), NotAfter: time.Unix(start, 0).AddDate(50, 0, 0).UTC(),
	}
	der := must(x509.CreateCertificate(nil, template, template, node.Public(), node))
	n := receipt.Network{
		ID: sha256.Sum256([]byte(name)), ChainID: "muniment-demo-1", Origin: origin,
		Nodes: []receipt.Node{{ID: id, Address: "127.0.0.1:7450", Certificate: der}},
		Eras: []receipt.Era{{
			Logs: [][32]byte{public(key(name + " log"))}, Validators: []receipt.Validator{{NodeID: id, Cosigner: public(key(name + " cosigner"))}},
		}},
	}
	return must(receipt.ParseNetwork(n.Marshal()))
}

const origin = "records.example.org/demo"

// ledger is a small log that is made without package ledger.
type ledger struct {
	network receipt.Network
	entries [][]byte
	hashes  []tlog.Hash
	first   int64 // first entry of the block in the making
	height  int64
	keyAt   int64           // where the office's key was registered
	blockOf map[int64]int64 // the block entry of an entry
	state   statetree.Memory
	root    statetree.Hash
}

// ReadHashes serves the tree functions of tlog.
func (l *ledger) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		out[i] = l.hashes[at]
	}
	return out, nil
}

func (l *ledger) add(e record.Entry) int64 {
	index := int64(len(l.entries))
	raw := must(record.MarshalEntry(e))
	l.hashes = append(l.hashes, must(tlog.StoredHashes(index, raw, l))...)
	l.entries = append(l.entries, raw)
	return index
}

func (l *ledger) endBlock() {
	writes := []statetree.Write{{Key: statetree.KeyOf([]byte("head")), Value: fmt.Append(nil, l.height)}}
	root, nodes, err := statetree.Update(l.state, l.root, writes)
	if err != nil {
		panic(err)
	}
	l.state.Apply(nodes)
	l.root = root
	at := l.add(record.BlockEntry{Height: l.height, Time: (start + l.height) * 1e9, First: record.Index(l.first), StateRoot: root})
	for i := l.first; i < at; i++ {
		l.blockOf[i] = at
	}
	l.first, l.height = at+1, l.height+1
}

// newLedger begins a log with the office CLERK and its signing key.
func newLedger(n receipt.Network) *ledger {
	l := &ledger{network: n, blockOf: map[int64]int64{}, state: statetree.Memory{}}
	l.add(record.GenesisEntry{Network: n.ID, ChainID: n.ChainID, Origin: n.Origin, Time: start * 1e9})
	fact := func(f record.Fact) int64 { return l.add(record.FactEntry{Fact: must(record.MarshalFact(f))}) }
	fact(&record.Office{Code: "CLERK", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive})
	l.keyAt = fact(&record.Key{Office: "CLERK", Use: record.UseSigning, PublicKey: public(key("CLERK")), Status: record.StatusActive})
	l.endBlock()
	return l
}

// act has the office sign a message, logs the item that follows from it in a
// block of its own, and gives the item's index.
func (l *ledger) act(m record.Message, item record.Entry) int64 {
	signing, nonce, notAfter := key("CLERK"), record.Nonce{byte(l.height)}, record.LedgerDay(start*1e9)+7
	body := must(record.NewBody(l.network.ID, nonce, notAfter, m))
	e := record.TxEntry{KeyID: record.KeyIDOf(signing.Public().(ed25519.PublicKey)), BodyHash: sha256.Sum256(body), Nonce: nonce, NotAfter: notAfter, Count: 1}
	if _, anchors := m.(*record.AnchorRecords); !anchors {
		e.Body = body
	}
	e.Signature = [64]byte(ed25519.Sign(signing, record.SignedMessage(e.BodyHash)))
	l.add(e)
	at := l.add(item)
	l.endBlock()
	return at
}

func (l *ledger) anchor(c commitment.Commitment) int64 {
	item := record.AnchorItem{Commitment: record.Commitment(c), Day: 20_000}
	m := &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{item}}
	return l.act(m, record.AnchorEntry{Office: "CLERK", Series: m.Series, Custody: m.Custody, Commitment: item.Commitment, Day: item.Day})
}

func (l *ledger) supersede(old, by int64) int64 {
	return l.act(&record.SupersedeRecord{Record: record.Index(old), By: record.Index(by)},
		record.SupersedeEntry{Office: "CLERK", Record: record.Index(old), By: record.Index(by)})
}

// checkpoint is the whole tree, signed by the log key, and by the validator's
// cosigner 10 s after the last block where that is wanted.
func (l *ledger) checkpoint(cosigned bool) []byte {
	size := int64(len(l.entries))
	body := record.CheckpointBody(l.network.Origin, size, must(tlog.TreeHash(size, l)))
	name := l.name()
	lines := []string{must(receipt.SignCheckpoint(body, key(name+" log")))}
	if cosigned {
		cosigner := receipt.CosignerName(l.network.Origin, l.network.Nodes[0].ID)
		lines = append(lines, must(receipt.Cosign(body, cosigner, key(name+" cosigner"), start+l.height+10)))
	}
	return must(receipt.Assemble(body, lines...))
}

// name finds the name that the network's keys grow from.
func (l *ledger) name() string {
	for _, name := range []string{"city", "town"} {
		if sha256.Sum256([]byte(name)) == l.network.ID {
			return name
		}
	}
	panic("a network of another name")
}

func (l *ledger) leaf(index int64) receipt.Leaf {
	return receipt.Leaf{Index: index, Entry: l.entries[index], Proof: must(tlog.ProveRecord(int64(len(l.entries)), index, l))}
}

// receipt makes the receipt of an act's item.
func (l *ledger) receipt(index int64, cosigned bool) []byte {
	own := l.leaf(index)
	parts := []receipt.Leaf{l.leaf(index - 1), l.leaf(l.keyAt), l.leaf(l.blockOf[index])}
	return must(receipt.New(own.Entry, index, own.Proof, parts, l.checkpoint(cosigned)))
}

// stateReceipt proves what the state held under "head" after the last block.
func (l *ledger) stateReceipt() []byte {
	last := l.leaf(int64(len(l.entries)) - 1)
	proof := must(statetree.Prove(l.state, l.root, statetree.KeyOf([]byte("head"))))
	return must(receipt.NewState(last.Entry, last.Index, last.Proof, []byte("head"), fmt.Append(nil, l.height-1), proof, l.checkpoint(true)))
}

// document is a record before it is anchored.
type document struct {
	layout   commitment.Layout
	state    commitment.State
	manifest commitment.Manifest
	leaves   [][32]byte
}

func newDocument(content string, fields ...commitment.Field) document {
	d := document{layout: must(commitment.Arrange(commitment.Text, []byte(content), fields))}
	d.state = commitment.NewState(sha256.Sum256([]byte(content)), d.layout.N())
	var err error
	if d.manifest, d.leaves, err = commitment.Commit(d.state, d.layout); err != nil {
		panic(err)
	}
	return d
}

func (d document) id() commitment.Commitment { return d.manifest.Commitment() }

// copy discloses all but the leaves that are named.
func (d document) copy(hide ...uint32) commitment.Copy {
	var ranges []commitment.Range
	for _, i := range hide {
		ranges = append(ranges, commitment.Range{First: i, Last: i})
	}
	return must(commitment.NewCopy(d.manifest, d.leaves, d.state, d.layout.Segments, ranges))
}

func bundle(c commitment.Copy, receipts ...[]byte) []byte {
	return must(commitment.MarshalBundle(c, receipts))
}

// spliced puts something else in the place of some bytes in a CAR file and
// gives every block the CID that it has now, as a forger would.
func spliced(t testing.TB, car, old, now []byte) []byte {
	t.Helper()
	type section struct{ cid, data []byte }
	const cidBytes = 36
	var sections []section
	cut := func(b []byte) (section, rest []byte) {
		length, width := binary.Uvarint(b)
		return b[width : width+int(length)], b[width+int(length):]
	}
	header, rest := cut(car)
	for len(rest) > 0 {
		var s []byte
		s, rest = cut(rest)
		sections = append(sections, section{cid: bytes.Clone(s[:cidBytes]), data: bytes.Replace(s[cidBytes:], old, now, 1)})
	}
	header = bytes.Clone(header)
	for i := len(sections) - 1; i >= 0; i-- { // links point forwards
		sum := sha256.Sum256(sections[i].data)
		id := append(bytes.Clone(sections[i].cid[:4]), sum[:]...)
		for j := range i {
			sections[j].data = bytes.ReplaceAll(sections[j].data, sections[i].cid, id)
		}
		header = bytes.ReplaceAll(header, sections[i].cid, id)
		sections[i].cid = id
	}
	out := append(binary.AppendUvarint(nil, uint64(len(header))), header...)
	for _, s := range sections {
		out = binary.AppendUvarint(out, uint64(cidBytes+len(s.data)))
		out = append(append(out, s.cid...), s.data...)
	}
	if bytes.Equal(out, car) {
		t.Fatalf("%.40q is not in the file", old)
	}
	return out
}
