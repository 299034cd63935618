package ledger

import (
	"errors"
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// Check judges a transaction by the state after the last block, the header of
// the block in which it would execute, and its bytes. OK does not promise that
// Apply accepts it: a transaction before it in the block may stand against it,
// and a refusal that becomes an entry has to get into a block first.
func (m Machine) Check(v View, h Header, raw []byte) Code {
	code, _ := m.Examine(v, h, raw)
	return code
}

// Examine is Check that tells besides whether the transaction was carried out
// before: then a block has no use for it.
func (m Machine) Examine(v View, h Header, raw []byte) (code Code, before bool) {
	h.first = record.Index(v.Head().Size)
	a, result, err := m.judge(v, h, raw)
	switch {
	case err != nil:
		return CodeInternal, false
	case a != nil || result.Entered():
		return OK, a == nil
	}
	return result.Code, false
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
	size := 0
	for _, raw := range b.Txs {
		size += len(raw)
	}
	d := newDraft(v, size)
	if err := d.recordStep(b); err != nil {
		return Changes{}, nil, err
	}
	if err := d.recordMisbehavior(b.Misbehavior); err != nil {
		return Changes{}, nil, fmt.Errorf("apply the evidence in block %d: %w", b.Height, err)
	}
	results := make([]Result, len(b.Txs))
	h := Header{Height: b.Height, Time: b.Time, Live: b.Live, first: record.Index(d.first), spent: spent{}}
	for _, i := range holdsFirst(b.Txs) {
		a, result, err := m.judge(d, h, b.Txs[i])
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

// holdsFirst gives the order in which the transactions of a block are carried
// out: those that place or extend a hold before all others. Whoever makes a
// block cannot put a lock before a hold.
func holdsFirst(txs [][]byte) []int {
	order, rest := make([]int, 0, len(txs)), make([]int, 0, len(txs))
	for i, raw := range txs {
		if record.PlacesHold(raw) {
			order = append(order, i)
		} else {
			rest = append(rest, i)
		}
	}
	return append(order, rest...)
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

	items   []record.Entry // what follows the transaction entry; unused for AnchorRecords
	values  []Value        // state that it sets
	anchors []Anchor       // lines of the index of records; unused for AnchorRecords

	custodian record.KeyID        // that reports, with its own key; zero for an office
	refused   record.RefusalEntry // what is known of a refusal that becomes an entry
	bad       int                 // position of the record that stands against it; -1: none
	inTheWay  record.Index        // anchor entry that a batch would repeat
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
		tx: tx, bodyHash: tx.BodyHash(), first: record.Index(head.Size), bad: -1,
	}
	known := false
	if a.key, known, err = KeyOf(v, tx.KeyID); err != nil {
		return nil, Result{}, err
	}
	if !known {
		if known, err = a.signedByCustodian(); err != nil {
			return nil, Result{}, err
		}
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
	if h.spent.over(a) {
		return nil, refusal(CodeOfficeQuota), nil
	}
	if code, err := a.standing(); err != nil || code != OK {
		return nil, refusal(code), err
	}
	result, err := a.judgeMessage()
	if err != nil || result.Code != OK && !result.Entered() {
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
		result, err := a.firstAnswer(first, stored.Count)
		return result, true, err
	case anchors:
		return Result{}, false, nil // ALREADY_ANCHORED, in its turn
	}
	return refusal(CodeNonceReused), true, nil
}

// firstAnswer rebuilds the answer to the transaction whose entry is entry at.
func (a *act) firstAnswer(at record.Index, count int64) (Result, error) {
	result := Result{TxIndex: at, Count: count, Bad: -1}
	if count != 1 {
		return result, nil
	}
	e, err := entryOf(a.view, at+1)
	if refusal, ok := e.(record.RefusalEntry); ok {
		result.Code = Code(refusal.Code)
	}
	return result, err
}

// standing tells whether the signer may act at all now, and the transaction may still execute.
func (a *act) standing() (Code, error) {
	if a.key.Status != record.StatusActive {
		return CodeKeySuspended, nil
	}
	if a.custodian == (record.KeyID{}) {
		if code, err := a.standingOfOffice(); err != nil || code != OK {
			return code, err
		}
	}
	p, err := ParametersOf(a.view)
	if err != nil {
		return 0, err
	}
	ahead := p.OtherDays
	switch a.tx.Message.(type) {
	case *record.AnchorRecords, *record.AnchorBatch:
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

// standingOfOffice finds the signer's office and tells whether it may act.
func (a *act) standingOfOffice() (Code, error) {
	office, known, err := OfficeOf(a.view, a.key.Office)
	switch {
	case err != nil:
		return 0, err
	case !known:
		return 0, fmt.Errorf("read office %s of a registered key: it is not there: %w", a.key.Office, errDamaged)
	case office.Status != record.StatusActive:
		return CodeOfficeSuspended, nil
	}
	a.office = office
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
	case *record.AcknowledgeJump:
		code, err = a.acknowledge(m)
	default:
		code, err = a.judgeRetention()
	}
	switch {
	case err != nil:
		return Result{}, err
	case code != OK && !recorded(code):
		return Result{Code: code, TxIndex: a.inTheWay, Bad: a.bad}, nil
	case code != OK:
		return a.recordRefusal(code)
	}
	a.set(StateKeyNonce(a.tx.KeyID, a.tx.Nonce), nonceValue(a.first))
	return Result{TxIndex: a.first, Count: int64(len(a.items)), Bad: -1}, nil
}

// judgeRetention does so for facts about records, holds and dispositions.
func (a *act) judgeRetention() (Code, error) {
	switch m := a.tx.Message.(type) {
	case *record.AnchorBatch:
		return a.anchorBatch(m)
	case *record.RecordEvents:
		return a.recordEvents(m)
	case *record.FileRecords:
		return a.fileRecords(m)
	case *record.PostAuditedThrough:
		return a.postAudited(m)
	case *record.PlaceHold:
		return a.placeHold(m)
	case *record.ExtendHold:
		return a.extendHold(m)
	case *record.ResolveIssue:
		return a.resolveIssue(m)
	case *record.ReleaseHold:
		return a.releaseHold(m)
	case *record.ProposeDisposition:
		return a.proposeDisposition(m)
	case *record.ApproveDisposition:
		return a.approveDisposition(m)
	case *record.WithdrawDisposition:
		return a.withdraw(m)
	case *record.RecordNotice:
		return a.recordNotice(m)
	case *record.LockDisposition:
		return a.lock(m)
	case *record.ReportErasure:
		return a.report(m)
	case *record.Withhold:
		return a.withhold(m)
	case *record.LeaveCustody:
		return a.leave(m)
	}
	return 0, fmt.Errorf("judge a message of type %T: no rules for it", a.tx.Message)
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
