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
	key        *record.Key  // that an office registered
	node       *record.Node // whose custodian key it is, where no office signed
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
			known, p.keyIndex = !p.hasKey(), l.Index
			if p.key, p.node, err = keyOf(e); err != nil {
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

// keyOf reads the fact that registered the key of a signature.
func keyOf(e record.FactEntry) (*record.Key, *record.Node, error) {
	fact, err := record.ParseFact(e.Fact)
	key, isKey := fact.(*record.Key)
	node, isNode := fact.(*record.Node)
	if err != nil || !isKey && !isNode {
		return nil, nil, refuse(KeyMismatch, "the fact of the receipt registers no key")
	}
	return key, node, nil
}

func (p parts) hasKey() bool { return p.key != nil || p.node != nil }

// complete compares the parts with what the kind of the entry needs.
func (p parts) complete(entry record.Entry) error {
	var needsTx, mayTx, isTx, isBlock bool
	switch entry.(type) {
	case record.FactEntry:
		mayTx = true // a fact of the genesis has none
		needsTx = p.block != nil && p.block.Height != 0
	case record.TxEntry:
		isTx = true
	case record.BlockEntry:
		isBlock = true
	case record.GenesisEntry, record.JumpEntry, record.MisbehaviorEntry:
	default: // an item of a transaction
		needsTx, mayTx = true, true
	}
	needsKey := p.tx != nil || needsTx || isTx
	switch {
	case p.tx != nil && !mayTx, p.hasKey() && !needsKey, p.block != nil && isBlock:
		return refuse(PartUnexpected, "the receipt has a part that its entry does not need")
	case p.tx == nil && needsTx:
		return refuse(PartMissing, "the entry of the transaction is missing")
	case !p.hasKey() && needsKey:
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
	public, err := p.signer(entry)
	if err != nil {
		return err
	}
	if !ed25519.Verify(public[:], record.SignedMessage(p.tx.BodyHash), p.tx.Signature[:]) {
		return refuse(BadTxSignature, "the signature of the transaction at %d is not good", p.txIndex)
	}
	return nil
}

// signer gives the public key of the transaction, if it is that of whoever acts.
func (p parts) signer(entry record.Entry) ([32]byte, error) {
	if p.node != nil {
		return p.custodian(entry)
	}
	if p.key.ID() != p.tx.KeyID || p.key.Use != record.UseSigning || p.key.Status != record.StatusActive {
		return [32]byte{}, refuse(KeyMismatch, "entry %d does not register the signing key of the transaction", p.keyIndex)
	}
	if _, ok := custodianOf(entry); ok {
		return [32]byte{}, refuse(KeyMismatch, "the entry is an act of a custodian, the key belongs to %s", p.key.Office)
	}
	if office := officeOf(entry); office != "" && office != p.key.Office {
		return [32]byte{}, refuse(KeyMismatch, "the entry is an act of %s, the key belongs to %s", office, p.key.Office)
	}
	return p.key.PublicKey, nil
}

// custodianOf names the custodian whose act an entry is; false for every other.
func custodianOf(e record.Entry) (record.KeyID, bool) {
	switch e := e.(type) {
	case record.ReportEntry:
		return e.Custodian, e.Office == ""
	case record.DepartureEntry:
		return e.Custodian, true
	}
	return record.KeyID{}, false
}

// custodian does so for the acts that no office signs: reports by custodians, and
// their departures.
func (p parts) custodian(entry record.Entry) ([32]byte, error) {
	public := p.node.CustodianKey
	if public == [32]byte{} || record.KeyIDOf(public[:]) != p.tx.KeyID {
		return [32]byte{}, refuse(KeyMismatch, "the node of entry %d does not have the custodian key of the transaction", p.keyIndex)
	}
	m, err := record.ParseBody(p.tx.Body)
	_, reports := m.(*record.ReportErasure)
	_, leaves := m.(*record.LeaveCustody)
	by, isAct := custodianOf(entry)
	_, isTx := entry.(record.TxEntry)
	if err != nil || !reports && !leaves || !isTx && (!isAct || by != p.tx.KeyID) {
		return [32]byte{}, refuse(KeyMismatch, "a custodian key signs reports and departures of that custodian, and this is none")
	}
	return public, nil
}

// checkBody takes step 15. It gives the message of the signed body where that is
// known, and so the entry shown to be what was signed; otherwise nil.
func (p parts) checkBody(network record.Network, entry record.Entry, index int64) (m record.Message, err error) {
	if p.tx == nil {
		return nil, nil
	}
	body := p.tx.Body
	anchor, isAnchor := entry.(record.AnchorEntry)
	isAnchor = isAnchor && anchor.Flags&record.FlagBatch == 0 // the body of a batch is in the log
	_, isTx := entry.(record.TxEntry)
	switch {
	case isAnchor && len(body) > 0, !isAnchor && !isTx && len(body) == 0:
		return nil, refuse(TxContradicted, "the transaction at %d is of another kind than the entry", p.txIndex)
	case isAnchor && p.tx.Count == 1:
		if body, err = record.RebuildAnchorBody(network, *p.tx, []record.AnchorEntry{anchor}); err != nil {
			return nil, refuse(TxContradicted, "the body of the transaction cannot be rebuilt")
		}
	case len(body) == 0:
		return nil, nil // a batch: a replay rebuilds its body from all items
	}
	if sha256.Sum256(body) != p.tx.BodyHash {
		return nil, refuse(TxContradicted, "the body of the transaction at %d is not the signed one", p.txIndex)
	}
	raw, err := record.AssembleTx(body, p.tx.KeyID, p.tx.Signature[:])
	if err != nil {
		return nil, refuse(TxContradicted, "the body of the transaction is malformed")
	}
	tx, err := record.ParseTx(raw)
	if err != nil || tx.Nonce != p.tx.Nonce || tx.NotAfter != p.tx.NotAfter {
		return nil, refuse(TxContradicted, "the body of the transaction at %d does not say what its entry says", p.txIndex)
	}
	if tx.Network != network {
		return nil, refuse(TxContradicted, "the transaction at %d was signed for another network", p.txIndex)
	}
	if !p.states(tx.Message, entry, index) {
		return nil, refuse(TxContradicted, "the signed body does not state this entry")
	}
	return tx.Message, nil
}

// states tells whether the message of the transaction states what the entry at
// an index says.
func (p parts) states(m record.Message, entry record.Entry, index int64) bool {
	switch e := entry.(type) {
	case record.TxEntry:
		_, anchors := m.(*record.AnchorRecords)
		return !anchors // their body is left out
	case record.AnchorEntry:
		if b, ok := m.(*record.AnchorBatch); ok {
			return e.Flags == record.FlagBatch && b.Series == e.Series && b.Custody == e.Custody && b.Commitment == e.Commitment
		}
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
	return p.statesOfRecords(m, entry, index)
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
