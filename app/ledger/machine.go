package ledger

import (
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// Check judges a transaction by the state after the last block, the header of
// the block in which it would execute, and its bytes. OK does not promise that
// Apply accepts it: a transaction before it in the block may stand against it.
func (m Machine) Check(v View, h Header, raw []byte) Code {
	_, result, err := m.judge(v, h, raw)
	if err != nil {
		return CodeInternal
	}
	return result.Code
}

// Apply carries out a block: one result per transaction, in order. An error
// means that nothing can be trusted to go on: the store is damaged or the
// block does not follow the last one.
func (m Machine) Apply(v View, b Block) (Changes, []Result, error) {
	head := v.Head()
	if b.Height != head.Height+1 {
		return Changes{}, nil, fmt.Errorf("apply block %d: the last block is %d", b.Height, head.Height)
	}
	if b.Time < head.Time {
		return Changes{}, nil, fmt.Errorf("apply block %d: its time %d is before %d of the last block", b.Height, b.Time, head.Time)
	}
	d := newDraft(v)
	if err := d.recordJump(b); err != nil {
		return Changes{}, nil, err
	}
	results := make([]Result, len(b.Txs))
	for i, raw := range b.Txs {
		a, result, err := m.judge(d, Header{Height: b.Height, Time: b.Time}, raw)
		if err == nil && a != nil {
			err = d.carryOut(a)
		}
		if err != nil {
			return Changes{}, nil, fmt.Errorf("apply transaction %d of block %d: %w", i, b.Height, err)
		}
		results[i] = result
	}
	c, err := d.close(b.Height, b.Time)
	if err != nil {
		return Changes{}, nil, err
	}
	return c, results, nil
}

// recordJump puts a jump entry first in a block whose time is further from the
// last block's than the parameters allow. Block 1 carries the genesis time, and
// the network may have begun to run long after it: the first step between two
// clocks is that to block 3.
func (d *draft) recordJump(b Block) error {
	p, err := ParametersOf(d)
	if err != nil {
		return err
	}
	before := d.head.Time
	if b.Height <= 2 || b.Time-before <= int64(p.JumpSeconds)*1e9 {
		return nil
	}
	return d.add(record.JumpEntry{Height: b.Height, Before: before, After: b.Time})
}

// act is an accepted transaction that is yet to be carried out.
type act struct {
	view     View
	header   Header
	today    record.Day
	tx       record.Tx
	bodyHash [32]byte
	key      KeyState
	office   record.Office
	first    record.Index // where its transaction entry will be

	items  []record.Entry // what follows the transaction entry; unused for AnchorRecords
	values []Value        // state that it sets
}

// judge applies every rule. The act is nil when there is nothing to carry out:
// the transaction is refused, or was accepted before and gets its first answer.
func (m Machine) judge(v View, h Header, raw []byte) (*act, Result, error) {
	tx, err := record.ParseTx(raw)
	switch {
	case errors.Is(err, record.ErrTooLarge):
		return nil, refusal(CodeTooLarge), nil
	case err != nil:
		return nil, refusal(CodeMalformed), nil
	}
	head := v.Head()
	if tx.Network != head.Network {
		return nil, refusal(CodeWrongNetwork), nil
	}
	a := &act{
		view: v, header: h, today: record.LedgerDay(max(h.Time, head.Time)),
		tx: tx, bodyHash: tx.BodyHash(), first: record.Index(head.Size),
	}
	known := false
	if a.key, known, err = KeyOf(v, tx.KeyID); err != nil {
		return nil, Result{}, err
	}
	if !known {
		return nil, refusal(CodeUnknownKey), nil
	}
	if !m.Verify(a.key.PublicKey[:], record.SignedMessage(a.bodyHash), tx.Signature[:]) {
		return nil, refusal(CodeBadSignature), nil
	}
	if a.key.Use != record.UseSigning {
		return nil, refusal(CodeWrongKeyUse), nil
	}
	if result, answered, err := a.answered(); err != nil || answered {
		return nil, result, err
	}
	if code, err := a.standing(); err != nil || code != OK {
		return nil, refusal(code), err
	}
	result, err := a.judgeMessage()
	if err != nil || result.Code != OK {
		return nil, result, err
	}
	return a, result, nil
}

// answered finds the first answer to a transaction that was accepted before,
// and a nonce that another body has used.
func (a *act) answered() (Result, bool, error) {
	var first record.Index
	m, anchors := a.tx.Message.(*record.AnchorRecords)
	if anchors {
		// A batch is anchored whole and in order: where its first item stands,
		// the transaction entry stands right before it.
		at, ok, err := a.view.AnchorIndex(a.key.Office, m.Items[0].Commitment)
		if err != nil || !ok {
			return Result{}, false, err
		}
		first = at - 1
	} else {
		at, ok, err := nonceOf(a.view, a.tx.KeyID, a.tx.Nonce)
		if err != nil || !ok {
			return Result{}, false, err
		}
		first = at
	}
	e, err := entryOf(a.view, first)
	if err != nil {
		return Result{}, false, err
	}
	stored, ok := e.(record.TxEntry)
	switch {
	case ok && stored.BodyHash == a.bodyHash:
		return Result{TxIndex: first, Count: stored.Count, Bad: -1}, true, nil
	case anchors:
		return Result{}, false, nil // ALREADY_ANCHORED, in its turn
	}
	return refusal(CodeNonceReused), true, nil
}

// standing tells whether the signer may act at all now, and the transaction may still execute.
func (a *act) standing() (Code, error) {
	if a.key.Status != record.StatusActive {
		return CodeKeySuspended, nil
	}
	var known bool
	var err error
	if a.office, known, err = OfficeOf(a.view, a.key.Office); err != nil {
		return 0, err
	}
	if !known {
		return 0, fmt.Errorf("read office %s of a registered key: it is not there: %w", a.key.Office, errDamaged)
	}
	if a.office.Status != record.StatusActive {
		return CodeOfficeSuspended, nil
	}
	p, err := ParametersOf(a.view)
	if err != nil {
		return 0, err
	}
	ahead := p.OtherDays
	if _, ok := a.tx.Message.(*record.AnchorRecords); ok {
		ahead = p.AnchorDays
	}
	switch days := int64(a.tx.NotAfter) - int64(a.today); {
	case days < 0:
		return CodeExpired, nil
	case days > int64(ahead):
		return CodeTooFarAhead, nil
	}
	return OK, nil
}

// judgeMessage applies the rules of the message and notes what it does.
func (a *act) judgeMessage() (Result, error) {
	var code Code
	var err error
	switch m := a.tx.Message.(type) {
	case *record.AnchorRecords:
		return a.anchor(m)
	case *record.SupersedeRecord:
		code, err = a.supersede(m)
	case *record.ProposeChange:
		code, err = a.propose(m)
	case *record.ApproveChange:
		code, err = a.approve(m)
	case *record.SuspendKey:
		code, err = a.suspend(m)
	default:
		return Result{}, fmt.Errorf("judge a message of type %T: no rules for it", m)
	}
	if err != nil || code != OK {
		return refusal(code), err
	}
	a.set(StateKeyNonce(a.tx.KeyID, a.tx.Nonce), nonceValue(a.first))
	return Result{TxIndex: a.first, Count: int64(len(a.items)), Bad: -1}, nil
}

// add notes an entry and gives its index.
func (a *act) add(e record.Entry) record.Index {
	a.items = append(a.items, e)
	return a.first + record.Index(len(a.items))
}

func (a *act) set(key, value []byte) {
	a.values = append(a.values, Value{Key: key, Value: value})
}

func refusal(code Code) Result { return Result{Code: code, Bad: -1} }
