package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"

	"github.com/muniment/muniment/app/record"
)

// parts are the leaves of a receipt by what they are for. An entry is nil
// where the receipt has none.
type parts struct {
	block      *record.BlockEntry
	blockIndex int64
	tx         *record.TxEntry
	txIndex    int64
	key        *record.Key
	keyIndex   int64
}

// sortParts takes steps 8 and 9 of docs/spec/receipt.md.
func sortParts(entry record.Entry, index int64, leaves []Leaf) (parts, error) {
	var p parts
	for _, l := range leaves {
		e, err := record.ParseEntry(l.Entry)
		if err != nil {
			return parts{}, refuse(UnknownEntry, "entry %d is of no kind that this program knows", l.Index)
		}
		known := false
		switch e := e.(type) {
		case record.BlockEntry:
			known, p.block, p.blockIndex = p.block == nil, &e, l.Index
		case record.TxEntry:
			known, p.tx, p.txIndex = p.tx == nil, &e, l.Index
		case record.FactEntry:
			known, p.keyIndex = p.key == nil, l.Index
			if p.key, err = keyOf(e); err != nil {
				return parts{}, err
			}
		}
		if !known {
			return parts{}, refuse(PartUnexpected, "entry %d has no place in this receipt", l.Index)
		}
	}
	if err := p.complete(entry); err != nil {
		return parts{}, err
	}
	if tx, ok := entry.(record.TxEntry); ok {
		p.tx, p.txIndex = &tx, index
	}
	if b, ok := entry.(record.BlockEntry); ok {
		p.block, p.blockIndex = &b, index
	}
	return p, nil
}

func keyOf(e record.FactEntry) (*record.Key, error) {
	fact, err := record.ParseFact(e.Fact)
	key, ok := fact.(*record.Key)
	if err != nil || !ok {
		return nil, refuse(KeyMismatch, "the fact of the receipt registers no key")
	}
	return key, nil
}

// complete compares the parts with what the kind of the entry needs.
func (p parts) complete(entry record.Entry) error {
	var needsTx, mayTx, isTx, isBlock bool
	switch entry.(type) {
	case record.AnchorEntry, record.SupersedeEntry, record.ProposalEntry, record.ApprovalEntry, record.SuspensionEntry:
		needsTx, mayTx = true, true
	case record.FactEntry:
		mayTx = true // a fact of the genesis has none
		needsTx = p.block != nil && p.block.Height != 0
	case record.TxEntry:
		isTx = true
	case record.BlockEntry:
		isBlock = true
	}
	needsKey := p.tx != nil || needsTx || isTx
	switch {
	case p.tx != nil && !mayTx, p.key != nil && !needsKey, p.block != nil && isBlock:
		return refuse(PartUnexpected, "the receipt has a part that its entry does not need")
	case p.tx == nil && needsTx:
		return refuse(PartMissing, "the entry of the transaction is missing")
	case p.key == nil && needsKey:
		return refuse(PartMissing, "the entry that registered the signing key is missing")
	case p.block == nil && !isBlock:
		return refuse(PartMissing, "the entry that ends the block is missing")
	}
	return nil
}

// inBlock tells whether an entry and the more entries behind it are among those
// that the block entry closes.
func (p parts) inBlock(index, more int64) bool {
	return int64(p.block.First) <= index && more < p.blockIndex-index
}

// checkPlaces takes steps 11 and 12: where the parts stand in the log.
func (p parts) checkPlaces(index int64) error {
	inside := index
	if index == p.blockIndex {
		inside-- // a block entry closes the one before it, at least
	}
	if !p.inBlock(inside, 0) {
		return refuse(BlockElsewhere, "entry %d is not in the block from entry %d to %d", index, p.block.First, p.blockIndex)
	}
	if p.tx != nil && p.txIndex != index && (index <= p.txIndex || index-p.txIndex > p.tx.Count) {
		return refuse(TxElsewhere, "entry %d is not among the %d items of the transaction at %d", index, p.tx.Count, p.txIndex)
	}
	if p.tx != nil && !p.inBlock(p.txIndex, p.tx.Count) {
		return refuse(BlockElsewhere, "the transaction at %d is not in the block from entry %d to %d", p.txIndex, p.block.First, p.blockIndex)
	}
	return nil
}

// checkSignature takes steps 13 and 14: whose key it is, and that it signed.
func (p parts) checkSignature(entry record.Entry) error {
	if p.tx == nil {
		return nil
	}
	if p.keyIndex >= p.txIndex {
		return refuse(KeyMismatch, "the key of entry %d was registered after the transaction at %d", p.keyIndex, p.txIndex)
	}
	if p.key.ID() != p.tx.KeyID || p.key.Use != record.UseSigning || p.key.Status != record.StatusActive {
		return refuse(KeyMismatch, "entry %d does not register the signing key of the transaction", p.keyIndex)
	}
	if office := officeOf(entry); office != "" && office != p.key.Office {
		return refuse(KeyMismatch, "the entry is an act of %s, the key belongs to %s", office, p.key.Office)
	}
	if !ed25519.Verify(p.key.PublicKey[:], record.SignedMessage(p.tx.BodyHash), p.tx.Signature[:]) {
		return refuse(BadTxSignature, "the signature of the transaction at %d is not good", p.txIndex)
	}
	return nil
}

func officeOf(e record.Entry) record.Code {
	switch e := e.(type) {
	case record.AnchorEntry:
		return e.Office
	case record.SupersedeEntry:
		return e.Office
	case record.ProposalEntry:
		return e.Office
	case record.ApprovalEntry:
		return e.Office
	case record.SuspensionEntry:
		return e.Office
	}
	return ""
}

// checkBody takes step 15. It tells whether the body is known, and so the
// entry shown to be what was signed.
func (p parts) checkBody(network record.Network, entry record.Entry) (known bool, err error) {
	if p.tx == nil {
		return false, nil
	}
	body := p.tx.Body
	anchor, isAnchor := entry.(record.AnchorEntry)
	_, isTx := entry.(record.TxEntry)
	switch {
	case isAnchor && len(body) > 0, !isAnchor && !isTx && len(body) == 0:
		return false, refuse(TxContradicted, "the transaction at %d is of another kind than the entry", p.txIndex)
	case isAnchor && p.tx.Count == 1:
		if body, err = record.RebuildAnchorBody(network, *p.tx, []record.AnchorEntry{anchor}); err != nil {
			return false, refuse(TxContradicted, "the body of the transaction cannot be rebuilt")
		}
	case len(body) == 0:
		return false, nil // a batch: a replay rebuilds its body from all items
	}
	if sha256.Sum256(body) != p.tx.BodyHash {
		return false, refuse(TxContradicted, "the body of the transaction at %d is not the signed one", p.txIndex)
	}
	raw, err := record.AssembleTx(body, p.tx.KeyID, p.tx.Signature[:])
	if err != nil {
		return false, refuse(TxContradicted, "the body of the transaction is malformed")
	}
	tx, err := record.ParseTx(raw)
	if err != nil || tx.Nonce != p.tx.Nonce || tx.NotAfter != p.tx.NotAfter {
		return false, refuse(TxContradicted, "the body of the transaction at %d does not say what its entry says", p.txIndex)
	}
	if tx.Network != network {
		return false, refuse(TxContradicted, "the transaction at %d was signed for another network", p.txIndex)
	}
	if !states(tx.Message, entry) {
		return false, refuse(TxContradicted, "the signed body does not state this entry")
	}
	return true, nil
}

// states tells whether a message states what the entry says.
func states(m record.Message, entry record.Entry) bool {
	switch e := entry.(type) {
	case record.TxEntry:
		_, anchors := m.(*record.AnchorRecords)
		return !anchors // their body is left out
	case record.AnchorEntry:
		_, ok := m.(*record.AnchorRecords)
		return ok // rebuilt from the entry
	case record.SupersedeEntry:
		s, ok := m.(*record.SupersedeRecord)
		return ok && s.Record == e.Record && s.By == e.By
	case record.ProposalEntry:
		hash, ok := factHash(m)
		_, isProposal := m.(*record.ProposeChange)
		return ok && isProposal && hash == e.FactHash
	case record.ApprovalEntry:
		a, ok := m.(*record.ApproveChange)
		return ok && a.Proposal == e.Proposal && a.FactHash == e.FactHash
	case record.SuspensionEntry:
		s, ok := m.(*record.SuspendKey)
		return ok && s.KeyID == e.KeyID && s.SinceHeight == e.SinceHeight
	case record.FactEntry:
		hash, ok := factHash(m)
		return ok && hash == sha256.Sum256(e.Fact)
	}
	return false
}

// factHash gives the hash of the fact that a proposal or approval is about.
func factHash(m record.Message) ([32]byte, bool) {
	switch m := m.(type) {
	case *record.ProposeChange:
		hash, err := record.FactHash(m.Fact)
		return hash, err == nil
	case *record.ApproveChange:
		return m.FactHash, true
	}
	return [32]byte{}, false
}
