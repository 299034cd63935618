package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// lockers are the roles of those who may make a disposition final.
var lockers = [...]record.Role{record.RoleIT, record.RoleOperator}

// demand is what the records of a disposition ask for, all together.
type demand struct {
	roles   []record.Role // whose approval is needed, ascending
	days    uint32        // between the last approval and the lock
	heights uint32        // likewise
	notices []Notice      // to the persons concerned
	offices []record.Code // that placed, extended or released a hold on a record since the proposal
	express bool          // the administrator's own approval, for the age of a record
}

// lock judges the step that makes a disposition final. Everything is judged
// again, by the facts of this very moment.
func (a *act) lock(m *record.LockDisposition) (Code, error) {
	d, code, err := a.openDisposition(m.Disposition)
	switch {
	case err != nil || code != OK:
		return code, err
	case !a.hasRole(lockers[:]...):
		return CodeWrongRole, nil
	case m.Hash != d.Hash:
		return CodeWrongHash, nil
	case a.office.Code == d.Office, a.office.Code == d.To:
		return CodeSameOffice, nil
	}
	if code, err := a.canTakeOver(d.To); err != nil || code != OK {
		return code, err
	}
	if code, err := a.freeze(); err != nil || code != OK {
		return code, err
	}
	items, need, code, err := a.judgeItems(m.Disposition, d)
	if err != nil || code != OK {
		return code, err
	}
	approvals, code, err := a.judgeApprovals(d, need)
	if err != nil || code != OK {
		return code, err
	}
	if code := a.judgeNotices(d, need); code != OK {
		return code, nil
	}
	return OK, a.makeFinal(m.Disposition, d, items, approvals, len(need.notices) > 0)
}

// judgeItems judges every record of a disposition again.
func (a *act) judgeItems(at record.Index, d Disposition) ([]Item, demand, Code, error) {
	records, err := RecordsOf(a.view, d)
	if err != nil {
		return nil, demand{}, 0, err
	}
	if err := a.readAhead(records); err != nil {
		return nil, demand{}, 0, err
	}
	reader := newItemReader(a.view, a.today)
	items, need := make([]Item, len(records)), demand{}
	for n, i := range records {
		it, _, err := reader.item(i)
		if err != nil {
			return nil, demand{}, 0, err
		}
		if code := disposable(it, d.Action, len(records)); code != OK {
			return nil, demand{}, a.refuseRecord(code, n, i, it), nil
		}
		touched, err := reader.touchedSince(it, at)
		if err != nil {
			return nil, demand{}, 0, err
		}
		need.add(it, d.Action, touched)
		items[n] = it
	}
	return items, need, OK, nil
}

// add joins what one record asks for.
func (n *demand) add(it Item, action record.Action, touched []Touch) {
	for _, role := range it.Approvals(action) {
		if i, known := slices.BinarySearch(n.roles, role); !known {
			n.roles = slices.Insert(n.roles, i, role)
		}
	}
	for _, rule := range it.Rules {
		n.days, n.heights = max(n.days, rule.NoticeDays), max(n.heights, rule.NoticeHeights)
	}
	for _, notice := range it.Notices {
		if !slices.Contains(n.notices, notice) {
			n.notices = append(n.notices, notice)
		}
	}
	n.express = n.express || it.OneByOne
	for _, t := range touched {
		if !slices.Contains(n.offices, t.Office) {
			n.offices = append(n.offices, t.Office)
		}
	}
}

// Touch is an office that placed, extended or released a hold.
type Touch struct {
	Office record.Code
	Hold   record.Index
}

// touchedSince lists who placed, extended or released a hold on a record after
// an entry: they have no other part in the disposition that it opened.
func (r *itemReader) touchedSince(it Item, at record.Index) ([]Touch, error) {
	holds, err := r.holds.on(it.Index, it.Anchor, it.Lifecycle)
	if err != nil {
		return nil, err
	}
	var touched []Touch
	for _, h := range holds.all {
		if h.Since > at {
			touched = append(touched, Touch{h.Brought, h.Hold})
		}
		if h.Released > at {
			touched = append(touched, Touch{h.By, h.Hold})
		}
	}
	return touched, nil
}

// judgeApprovals finds the approvals that count, and tells whether they suffice
// and are old enough.
func (a *act) judgeApprovals(d Disposition, need demand) ([]Authorization, Code, error) {
	for _, part := range [...]record.Code{d.Office, d.To, a.office.Code} {
		if slices.Contains(need.offices, part) {
			return nil, CodeSameOffice, nil
		}
	}
	var good []Authorization
	var offices []record.Office
	for _, x := range d.Approvals {
		counts, err := a.counts(x)
		if err != nil {
			return nil, 0, err
		}
		if !counts {
			continue
		}
		if x.Office == a.office.Code || slices.Contains(need.offices, x.Office) {
			return nil, CodeSameOffice, nil
		}
		office, _, err := OfficeOf(a.view, x.Office)
		if err != nil {
			return nil, 0, err
		}
		good, offices = append(good, x), append(offices, office)
	}
	roles, err := a.rolesFor(d, need)
	if err != nil {
		return nil, 0, err
	}
	headed, err := a.headed(d)
	if err != nil {
		return nil, 0, err
	}
	if !headed || !covered(roles, offices) {
		return nil, CodeMissingApproval, nil
	}
	day, height := d.Day, d.Height
	for _, x := range good {
		day, height = max(day, x.Day), max(height, x.Height)
	}
	if a.today < Noticed(day, need.days) || a.header.Height-height < int64(need.heights) {
		return nil, CodeNoticePeriod, nil
	}
	return good, OK, nil
}

// Noticed gives the first ledger day on which a disposition can be locked, with
// that many days of notice after the day of the last approval. A day of notice
// is a whole one: that of the approval does not count, nor that of the lock.
func Noticed(approved record.Day, days uint32) record.Day {
	if days == 0 {
		return approved
	}
	return approved + record.Day(days) + 1
}

// headed tells whether the proposal still is the approval of the head of a
// department: its office is active and keeps records, and it was not voided.
func (a *act) headed(d Disposition) (bool, error) {
	office, known, err := OfficeOf(a.view, d.Office)
	if err != nil || !known || office.Status != record.StatusActive || !isDepartment(office) {
		return false, err
	}
	e, err := entryOf(a.view, d.Tx)
	if err != nil {
		return false, err
	}
	tx, ok := e.(record.TxEntry)
	if !ok {
		return false, fmt.Errorf("read who signed a disposition: entry %d is no transaction: %w", d.Tx, errDamaged)
	}
	void, err := voided(a.view, Approval{Office: d.Office, KeyID: tx.KeyID, Height: d.Height})
	return !void, err
}

// rolesFor gives the roles whose approval a disposition needs today. A standing
// authorization stands for all but what the age of a record asks for.
func (a *act) rolesFor(d Disposition, need demand) ([]record.Role, error) {
	if d.Standing == 0 {
		return need.roles, nil
	}
	covers, err := a.standingCovers(d.Standing, d.Office, d.Series)
	switch {
	case err != nil:
		return nil, err
	case !covers:
		return need.roles, nil
	case need.express:
		return []record.Role{record.RoleStateRecords}, nil
	}
	return nil, nil
}

// judgeNotices tells whether the persons concerned were told long enough ago.
func (a *act) judgeNotices(d Disposition, need demand) Code {
	for _, n := range need.notices {
		if d.Notice == 0 || retention.Add(d.NoticeDay, n.Count, n.Unit) >= a.today {
			return CodeNoticeMissing
		}
	}
	return OK
}

// makeFinal writes the lock: an entry, one for each record that says why it
// could be locked, and who has to report.
func (a *act) makeFinal(at record.Index, d Disposition, items []Item, approvals []Authorization, noticed bool) error {
	e := record.LockEntry{Office: a.office.Code, Disposition: at, Day: a.today, Standing: d.Standing, Count: int64(len(items))}
	for _, x := range approvals {
		e.Authorizations = append(e.Authorizations, x.Entry)
	}
	e.Authorizations = citable(e.Authorizations)
	if noticed {
		e.Notice = d.Notice
	}
	d.Lock, d.Status = a.add(e), DispositionLocked
	reader := newItemReader(a.view, a.today)
	for _, it := range items {
		entry, err := reader.itemEntry(at, d.Action, it)
		if err != nil {
			return err
		}
		a.add(entry)
		it.Lifecycle.Disposition = at
		a.set(StateKeyLifecycle(it.Index), lifecycleValue(it.Lifecycle))
	}
	var err error
	if d.erases() {
		if d.Before, err = lastErasure(a.view); err != nil {
			return err
		}
		a.set(StateKeyErasures(), erasuresValue(at))
	}
	if d.Reports, err = a.reportsDue(d, items); err != nil {
		return err
	}
	if len(d.Reports) == 0 {
		d.Status = DispositionComplete
	} else if err := a.setLocks(func(locks []record.Index) []record.Index { return append(locks, at) }); err != nil {
		return err
	}
	a.setDisposition(at, d)
	return nil
}

// itemEntry says by which entries a record could be locked.
func (r *itemReader) itemEntry(at record.Index, action record.Action, it Item) (record.ItemEntry, error) {
	e := record.ItemEntry{Disposition: at, Record: it.Index, Audit: it.Audit.Entry}
	if action == record.ActionDestroy || action == record.ActionRedact && it.destroyable() {
		e.Due = it.Verdict.Due
	}
	rules := slices.Clone(it.Followed)
	for _, rule := range it.Rules {
		rules = append(rules, rule.Stated)
	}
	e.Rules = citable(rules)
	facts, err := r.cited(it.Lifecycle)
	e.Facts = citable(facts)
	return e, err
}

// citable sorts what an entry cites, and leaves out what it has no room for:
// who checks the lock finds that something is missing.
func citable(entries []record.Index) []record.Index {
	slices.Sort(entries)
	entries = slices.Compact(entries)
	return entries[:min(len(entries), record.MaxCited)]
}

// reportsDue lists who has to report on the records of a disposition: the
// custodians of each, the department where it keeps them itself, and the office
// that takes custody over. A designation as permanent leaves nothing to report.
func (a *act) reportsDue(d Disposition, items []Item) ([]Report, error) {
	if d.Action == record.ActionPermanent {
		return nil, nil
	}
	var offices []record.Code
	var sets []record.Code
	for _, it := range items {
		if it.Anchor.Custody == "" {
			offices = append(offices, d.Office)
		} else if !slices.Contains(sets, it.Anchor.Custody) {
			sets = append(sets, it.Anchor.Custody)
		}
	}
	if d.To != "" {
		offices = append(offices, d.To)
	}
	slices.Sort(offices)
	var due []Report
	for _, office := range slices.Compact(offices) {
		due = append(due, Report{Office: office})
	}
	var custodians []record.KeyID
	for _, code := range sets {
		set, _, err := CustodianSetOf(a.view, code)
		if err != nil {
			return nil, err
		}
		for _, id := range set.Custodians {
			custodians = withKeyID(custodians, id)
		}
	}
	for _, id := range custodians {
		due = append(due, Report{Custodian: id})
	}
	return due, nil
}

// setLocks changes the list of locked dispositions that wait for reports.
func (a *act) setLocks(change func([]record.Index) []record.Index) error {
	locks, err := LocksOf(a.view)
	if err != nil {
		return err
	}
	locks = change(slices.Clone(locks))
	slices.Sort(locks)
	a.set(StateKeyLocks(), locksValue(locks))
	return nil
}
