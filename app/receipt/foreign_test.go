package receipt

import (
	"bytes"
	"errors"
	"testing"

	"filippo.io/torchwood"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/formats/proof"
	merkleproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// TestTorchwoodReads: torchwood verifies our receipts with the policy that we
// give to tools of others, and refuses them with another entry.
func TestTorchwoodReads(t *testing.T) {
	networks := goldenNetworks()
	for _, g := range goldens(t) {
		n := networks[g.network]
		policy, err := torchwood.ParsePolicy(n.PolicyFor(LogVKey(n.Origin, publicOf(testKey("log 0"))).Hash()))
		if err != nil {
			t.Fatalf("%s: %v", g.network, err)
		}
		var entry []byte
		if g.state {
			entry = must1(ParseState(g.text)).Entry
		} else {
			entry = must1(Parse(g.text)).Entry
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(entry), g.text); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
		err = torchwood.VerifyProof(policy, tlog.RecordHash([]byte("another")), g.text)
		if _, ok := errors.AsType[*torchwood.VerifyRecordError](err); !ok {
			t.Errorf("%s with another entry: got %v", g.name, err)
		}
	}
}

// TestPolicyNamesOneLog: why PolicyFor exists. The policy with all logs is
// refused by torchwood, which wants each of them to sign.
func TestPolicyNamesOneLog(t *testing.T) {
	n := testNetwork(4, 2, 1)
	w := newWorld(t, n)
	whole := n.Eras[0].policy(n.Origin, n.Eras[0].Logs, GradeCity)
	if got := bytes.Count(whole, []byte("log ")); got != 4 {
		t.Fatalf("got %d logs", got)
	}
	for i, want := range []bool{true, false, false, false} {
		key := LogVKey(n.Origin, publicOf(testKey("log "+string(rune('0'+i))))).Hash()
		policy := must1(torchwood.ParsePolicy(n.PolicyFor(key)))
		if _, _, err := torchwood.VerifyCheckpoint(w.cosigned(atLast+1), policy); (err == nil) != want {
			t.Errorf("log %d: got %v", i, err)
		}
	}
	if _, _, err := torchwood.VerifyCheckpoint(w.cosigned(atLast+1), must1(torchwood.ParsePolicy(whole))); err == nil {
		t.Error("torchwood takes any log of a policy: PolicyFor is needed no more")
	}
	if n.PolicyFor(1) != nil {
		t.Error("a policy for an unknown log key")
	}
}

// TestFormatsReads: transparency-dev's library reads checkpoint and proof, and
// its Merkle library checks the inclusion.
func TestFormatsReads(t *testing.T) {
	n := testNetwork(4, 2, 1)
	text := newWorld(t, n).receipt(atLast+1, atSingle)
	r := must1(Parse(text))
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		t.Fatal(err)
	}
	if p.Index != atSingle || len(p.Hashes) != len(r.Proof) || !bytes.Equal(p.Checkpoint, r.Checkpoint.Marshal()) {
		t.Errorf("proof: got %+v", p)
	}
	logKey := must1(note.NewVerifier(LogVKey(n.Origin, publicOf(testKey("log 0"))).String()))
	var others []note.Verifier
	for _, k := range n.Eras[0].keys(n.Origin)[4:] {
		others = append(others, must1(torchwood.NewCosignatureVerifier(k.String())))
	}
	c, rest, opened, err := log.ParseCheckpoint(p.Checkpoint, n.Origin, logKey, others...)
	if err != nil || len(rest) != 0 || len(opened.Sigs) != 7 || int64(c.Size) != r.Checkpoint.Size {
		t.Fatalf("checkpoint: got %+v, %d signatures, %q, %v", c, len(opened.Sigs), rest, err)
	}
	for _, s := range opened.Sigs[1:] {
		if at := must1(torchwood.CosignatureTimestamp(s)); at <= start/second {
			t.Errorf("%s: time %v", s.Name, at)
		}
	}
	var hashes [][]byte
	for _, h := range p.Hashes {
		hashes = append(hashes, h[:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(r.Entry)
	if err := merkleproof.VerifyInclusion(rfc6962.DefaultHasher, p.Index, c.Size, leaf, hashes, c.Hash); err != nil {
		t.Error(err)
	}
}

// TestKeysReadAlike: names and hashes of keys as others compute them.
func TestKeysReadAlike(t *testing.T) {
	l := LogVKey("records.example.org/demo", publicOf(testKey("log 0")))
	v := must1(note.NewVerifier(l.String()))
	if v.Name() != l.Name || v.KeyHash() != l.Hash() {
		t.Errorf("log key: got %s %08x", v.Name(), v.KeyHash())
	}
	k := CosignerVKey("witness.example.org", publicOf(testKey("witness 0")))
	cosigner := must1(torchwood.NewCosignatureVerifier(k.String()))
	if cosigner.String() != k.String() || cosigner.KeyHash() != k.Hash() {
		t.Errorf("cosigner: got %s", cosigner)
	}
	signer := must1(torchwood.NewCosignatureSigner(k.Name, testKey("witness 0")))
	body := newWorld(t, testNetwork(1, 0, 0)).body(atLast)
	line := signatureLine(k.Name, signedBy(signer, body))
	if _, err := CheckCosignature(body, k, line); err != nil {
		t.Errorf("torchwood's cosignature: %v", err)
	}
}

// signedBy gives the base64 of a signature by a signer that is not ours.
func signedBy(s note.Signer, body []byte) string {
	n := must1(note.Sign(&note.Note{Text: string(body)}, s))
	opened, err := note.Open(n, note.VerifierList())
	unverified, _ := errors.AsType[*note.UnverifiedNoteError](err)
	if opened != nil || unverified == nil {
		panic("the note has a verifier")
	}
	return unverified.Note.UnverifiedSigs[0].Base64
}
