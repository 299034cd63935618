package ledger

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// owners are the roles of those who may dispose of their own records.
var owners = [...]record.Role{record.RoleDepartment, record.RoleLibraryCEO}

// proposeDisposition judges a proposal. Its signature is that of the head of
// the department that owns the records.
func (a *act) proposeDisposition(m *record.ProposeDisposition) (Code, error) {
	if !a.hasRole(owners[:]...) {
		return CodeWrongRole, nil
	}
	if code, err := a.proposalFits(m); err != nil || code != OK {
		return code, err
	}
	if err := a.readAhead(m.Records); err != nil {
		return 0, err
	}
	items, code, err := a.ownItems(m)
	if err != nil || code != OK {
		return code, err
	}
	// A refusal from here on is an entry, and keeps the proposal for good.
	if code, err := a.freeze(); err != nil || code != OK {
		return code, err
	}
	for n, it := range items {
		if code := disposable(it, m.Action, len(m.Records)); code != OK {
			return a.refuseRecord(code, n, it.Index, it), nil
		}
	}
	at := a.add(record.DispositionEntry{
		Office: a.office.Code, Series: m.Series, Action: m.Action, Count: int64(len(m.Records)), Hash: a.bodyHash,
	})
	a.setDisposition(at, Disposition{
		Office: a.office.Code, Series: m.Series, Action: m.Action, To: m.To, Standing: m.Standing, Hash: a.bodyHash,
		Tx: a.first, Count: int64(len(m.Records)), Day: a.today, Height: a.header.Height, Status: DispositionOpen, Redaction: m.Redaction,
	})
	return OK, nil
}

// proposalFits checks what a proposal names besides its records.
func (a *act) proposalFits(m *record.ProposeDisposition) (Code, error) {
	if m.To == a.office.Code {
		return CodeUnknownOffice, nil
	}
	if code, err := a.canTakeOver(m.To); err != nil || code != OK {
		return code, err
	}
	if m.Standing == 0 {
		return OK, nil
	}
	covers, err := a.standingCovers(m.Standing, a.office.Code, m.Series)
	if err != nil || covers {
		return OK, err
	}
	return CodeNotAuthorized, nil
}

// canTakeOver tells whether the office that is to take records over, if there is
// to be one, is active.
func (a *act) canTakeOver(to record.Code) (Code, error) {
	if to == "" {
		return OK, nil
	}
	office, known, err := OfficeOf(a.view, to)
	if err == nil && (!known || office.Status != record.StatusActive) {
		return CodeUnknownOffice, nil
	}
	return OK, err
}

// standingCovers tells whether a standing authorization holds today for a
// series of an office.
func (a *act) standingCovers(i record.Index, office, series record.Code) (bool, error) {
	s, known, err := StandingOf(a.view, i)
	if err != nil || !known {
		return false, err
	}
	_, named := slices.BinarySearch(s.Series, series)
	return s.Office == office && named && s.From <= a.today && a.today <= s.Until, nil
}

// ownItems judges the records of a proposal, which have to be the signer's.
func (a *act) ownItems(m *record.ProposeDisposition) ([]Item, Code, error) {
	reader := newItemReader(a.view, a.today)
	items := make([]Item, len(m.Records))
	for n, i := range m.Records {
		it, code, err := a.ownItem(reader, i, m.Series)
		if err != nil || code != OK {
			return nil, a.refuseRecord(code, n, i, it), err
		}
		items[n] = it
	}
	return items, OK, nil
}

// ownItem judges a record that has to be one of the signer's, of a series.
func (a *act) ownItem(items *itemReader, i record.Index, series record.Code) (Item, Code, error) {
	it, ok, err := items.item(i)
	switch {
	case err != nil:
		return Item{}, 0, err
	case !ok:
		return Item{}, CodeUnknownRecord, nil
	case it.Anchor.Office != a.office.Code:
		return it, CodeWrongOffice, nil
	case it.Anchor.Series != series:
		return it, CodeWrongSeries, nil
	}
	return it, OK, nil
}

// disposable tells whether nothing stands against an action on a record, of the
// count that are disposed of together. Only the destruction of a whole record
// waits for the period; moving a record that is under hold could put it out of
// reach.
func disposable(it Item, action record.Action, count int) Code {
	switch {
	case it.Lifecycle.Disposition != 0:
		return CodeAlreadyLocked
	case it.OneByOne && count > 1:
		return CodeOneByOne
	case len(it.Holds) > 0:
		return CodeHeld
	case len(it.Rules) == 0:
		return CodeNoRule
	case action == record.ActionDestroy && !it.destroyable():
		return CodeNotDue
	}
	return OK
}

// refuseRecord notes the record that stands against a disposition, by its
// position and index, and gives the code.
func (a *act) refuseRecord(code Code, position int, i record.Index, it Item) Code {
	a.bad, a.refused.Record = position, i
	if code == CodeHeld {
		a.refused.Hold = it.Holds[0].Hold
	}
	return code
}

// approveDisposition judges an office's approval of a proposed disposition.
func (a *act) approveDisposition(m *record.ApproveDisposition) (Code, error) {
	d, code, err := a.openDisposition(m.Disposition)
	switch {
	case err != nil || code != OK:
		return code, err
	case m.Hash != d.Hash:
		return CodeWrongHash, nil
	case a.office.Code == d.Office, a.office.Code == d.To:
		return CodeSameOffice, nil
	}
	needed, err := a.mayApprove(d)
	if err != nil {
		return 0, err
	}
	if !a.hasRole(needed...) {
		return CodeWrongRole, nil
	}
	if code, err := a.freeze(); err != nil || code != OK {
		return code, err
	}
	for n, earlier := range d.Approvals {
		if earlier.Office != a.office.Code {
			continue
		}
		good, err := a.counts(earlier)
		if err != nil {
			return 0, err
		}
		if good {
			return CodeAlreadyApproved, nil
		}
		d.Approvals = slices.Delete(slices.Clone(d.Approvals), n, n+1)
		break
	}
	at := a.add(record.AuthorizationEntry{Office: a.office.Code, Disposition: m.Disposition, Hash: d.Hash})
	d.Approvals = append(slices.Clip(d.Approvals), Authorization{
		Office: a.office.Code, KeyID: a.tx.KeyID, Day: a.today, Height: a.header.Height, Entry: at,
	})
	a.setDisposition(m.Disposition, d)
	return OK, nil
}

// mayApprove lists the roles that can be asked to approve a disposition: those
// that the first of its records needs, and the administrators of the state,
// whose approval a record's age or worth may ask for.
func (a *act) mayApprove(d Disposition) ([]record.Role, error) {
	records, err := RecordsOf(a.view, d)
	if err != nil {
		return nil, err
	}
	it, _, err := newItemReader(a.view, a.today).item(records[0])
	if err != nil {
		return nil, err
	}
	return append(it.Approvals(d.Action), record.RoleStateRecords, record.RoleStateArchivist), nil
}

// counts tells whether an approval is good today: not too old, not voided, and
// by an office that is active.
func (a *act) counts(x Authorization) (bool, error) {
	if int64(a.today)-int64(x.Day) > ApprovalDays {
		return false, nil
	}
	void, err := voided(a.view, Approval{Office: x.Office, KeyID: x.KeyID, Height: x.Height})
	if err != nil || void {
		return false, err
	}
	office, known, err := OfficeOf(a.view, x.Office)
	return known && office.Status == record.StatusActive, err
}

// withdraw judges the end of a disposition before its lock.
func (a *act) withdraw(m *record.WithdrawDisposition) (Code, error) {
	d, code, err := a.openDisposition(m.Disposition)
	if err != nil || code != OK {
		return code, err
	}
	if a.office.Code != d.Office && !a.hasRole(record.RoleClerk) {
		return CodeWrongOffice, nil
	}
	d.Status = DispositionWithdrawn
	a.add(record.WithdrawalEntry{Office: a.office.Code, Disposition: m.Disposition})
	a.setDisposition(m.Disposition, d)
	return OK, nil
}

// recordNotice judges the statement that the persons concerned were notified.
// The last statement counts.
func (a *act) recordNotice(m *record.RecordNotice) (Code, error) {
	d, code, err := a.openDisposition(m.Disposition)
	switch {
	case err != nil || code != OK:
		return code, err
	case a.office.Code != d.Office:
		return CodeWrongOffice, nil
	case m.Day > a.today || m.Day < minDay:
		return CodeBadDay, nil
	}
	if code, err := a.freeze(); err != nil || code != OK {
		return code, err
	}
	d.NoticeDay = m.Day
	d.Notice = a.add(record.NoticeEntry{Office: a.office.Code, Disposition: m.Disposition, Day: m.Day})
	a.setDisposition(m.Disposition, d)
	return OK, nil
}
