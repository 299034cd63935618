package ledger

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// ApprovalDays is how long an approval of a disposition is good, in ledger days.
const ApprovalDays = 180

// DispositionStatus is how far a disposition has come.
type DispositionStatus uint8

// The statuses.
const (
	DispositionOpen DispositionStatus = iota + 1
	DispositionWithdrawn
	DispositionLocked   // final; reports are due
	DispositionComplete // every report is in
)

var dispositionStatusNames = [...]string{"", "OPEN", "WITHDRAWN", "LOCKED", "COMPLETE"}

// String gives the name of the status, as "OPEN".
func (s DispositionStatus) String() string {
	if s < DispositionOpen || s > DispositionComplete {
		return fmt.Sprintf("DISPOSITION_%d", uint8(s))
	}
	return dispositionStatusNames[s]
}

// Disposition is the final action on records of one series of a department, on
// its way from the proposal to the last report.
type Disposition struct {
	Office    record.Code // that proposed it
	Series    record.Code
	Action    record.Action
	To        record.Code  // office that takes custody over; empty unless it is a transfer
	Standing  record.Index // fact entry of the standing authorization; 0: approvals are asked for
	Hash      [32]byte     // of the signed body of the proposal
	Tx        record.Index // its transaction entry, whose body lists the records
	Count     int64
	Day       record.Day // ledger day of the proposal
	Height    int64
	Status    DispositionStatus
	Approvals []Authorization // ascending by entry
	Notice    record.Index    // notice entry; 0: none
	NoticeDay record.Day      // of the notice
	Lock      record.Index    // lock entry; 0: not locked
	Reports   []Report        // due or given, offices before custodians, ascending
	Redaction [32]byte        // hash of what is erased, with the action REDACT; zero with any other
	Before    record.Index    // the disposition with the action DESTROY or REDACT that was locked before this one; 0: none, or not locked
}

// Authorization is one office's approval of a disposition.
type Authorization struct {
	Office record.Code
	KeyID  record.KeyID
	Day    record.Day // ledger day
	Height int64
	Entry  record.Index
}

// Report is what one of those who must report owes or gave.
type Report struct {
	Office    record.Code  // empty: a custodian
	Custodian record.KeyID // zero: an office
	Entry     record.Index // report entry; 0: it is due
}

// DispositionOf gives the disposition whose entry is entry i.
func DispositionOf(v View, i record.Index) (Disposition, bool, error) {
	key := StateKeyDisposition(i)
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return Disposition{}, false, err
	}
	d, err := parseDisposition(Value{key, value})
	return d, err == nil, err
}

// ParseDisposition reads the value of [StateKeyDisposition], so that whoever has
// a state receipt of it needs no view.
func ParseDisposition(i record.Index, value []byte) (Disposition, error) {
	return parseDisposition(Value{StateKeyDisposition(i), value})
}

func parseDisposition(v Value) (Disposition, error) {
	r := open(v.Value, 18)
	d := Disposition{
		Office: r.code(), Series: r.code(), Action: record.Action(r.number()), To: r.code(), Standing: r.index(), Hash: r.hash(),
		Tx: r.index(), Count: r.number(), Day: r.day(), Height: r.number(), Status: DispositionStatus(r.number()),
	}
	if n := r.list(5); n > 0 {
		d.Approvals = make([]Authorization, n)
	}
	for i := range d.Approvals {
		r.array(5)
		d.Approvals[i] = Authorization{Office: r.code(), KeyID: r.keyID(), Day: r.day(), Height: r.number(), Entry: r.index()}
	}
	d.Notice, d.NoticeDay, d.Lock = r.index(), r.day(), r.index()
	if n := r.list(3); n > 0 {
		d.Reports = make([]Report, n)
	}
	for i := range d.Reports {
		r.array(3)
		d.Reports[i] = Report{Office: r.code(), Custodian: r.keyID(), Entry: r.index()}
	}
	if d.Action == record.ActionRedact {
		r.fixed(d.Redaction[:])
	} else {
		r.fixed(nil)
	}
	d.Before = r.index()
	if err := r.end(v.Key); err != nil {
		return Disposition{}, err
	}
	return d, nil
}

// dispositionValue is [1, office, series, action, office that takes over, index
// of the standing authorization, hash of the proposal, its transaction entry,
// number of records, ledger day, height, status, [[office, key id, day, height,
// entry], ...], notice entry, day of the notice, lock entry, [[office,
// custodian, report entry], ...], hash of the redaction or nothing, the
// disposition before].
func dispositionValue(d Disposition) []byte {
	b := appendCode(appendCode(newValue(18), d.Office), d.Series)
	b = appendHead(b, majorUint, uint64(d.Action))
	b = appendBytes(appendNumber(appendCode(b, d.To), d.Standing), d.Hash[:])
	b = appendNumber(appendNumber(b, d.Tx), d.Count)
	b = appendNumber(appendDay(b, d.Day), d.Height)
	b = appendHead(b, majorUint, uint64(d.Status))
	b = appendHead(b, majorArray, uint64(len(d.Approvals)))
	for _, a := range d.Approvals {
		b = appendBytes(appendCode(appendHead(b, majorArray, 5), a.Office), a.KeyID[:])
		b = appendNumber(appendNumber(appendDay(b, a.Day), a.Height), a.Entry)
	}
	b = appendNumber(appendDay(appendNumber(b, d.Notice), d.NoticeDay), d.Lock)
	b = appendHead(b, majorArray, uint64(len(d.Reports)))
	for _, r := range d.Reports {
		b = appendBytes(appendCode(appendHead(b, majorArray, 3), r.Office), r.Custodian[:])
		b = appendNumber(b, r.Entry)
	}
	if d.Action == record.ActionRedact {
		b = appendBytes(b, d.Redaction[:])
	} else {
		b = appendBytes(b, nil)
	}
	return appendNumber(b, d.Before)
}

// RecordsOf lists the records of a disposition, ascending, from the log.
func RecordsOf(v View, d Disposition) ([]record.Index, error) {
	e, err := entryOf(v, d.Tx)
	if err != nil {
		return nil, err
	}
	tx, ok := e.(record.TxEntry)
	if !ok {
		return nil, fmt.Errorf("read records of a disposition: entry %d is no transaction: %w", d.Tx, errDamaged)
	}
	m, err := record.ParseBody(tx.Body)
	proposal, ok := m.(*record.ProposeDisposition)
	if err != nil || !ok {
		return nil, fmt.Errorf("read records of a disposition: transaction %d proposes none: %w", d.Tx, errDamaged)
	}
	return proposal.Records, nil
}

// LocksOf lists the locked dispositions that wait for reports, ascending.
func LocksOf(v View) ([]record.Index, error) {
	key := StateKeyLocks()
	value, ok, err := v.Value(key)
	if err != nil || !ok {
		return nil, err
	}
	r := open(value, 1)
	locks := r.indexes()
	return locks, r.end(key)
}

// locksValue is [1, [index of the disposition, ...]].
func locksValue(locks []record.Index) []byte { return appendIndexes(newValue(1), locks) }

// openDisposition finds a disposition that is neither withdrawn nor locked.
func (a *act) openDisposition(i record.Index) (Disposition, Code, error) {
	d, known, err := DispositionOf(a.view, i)
	switch {
	case err != nil:
		return Disposition{}, 0, err
	case !known:
		return Disposition{}, CodeUnknownDisposition, nil
	case d.Status != DispositionOpen:
		return Disposition{}, CodeDispositionClosed, nil
	}
	a.refused.Disposition = i
	return d, OK, nil
}

// freeze refuses a step of a disposition while the clock is in doubt.
func (a *act) freeze() (Code, error) {
	is, err := frozen(a.view, a.header)
	if err != nil || !is {
		return OK, err
	}
	return CodeFrozen, nil
}

func (a *act) setDisposition(i record.Index, d Disposition) {
	a.set(StateKeyDisposition(i), dispositionValue(d))
}
