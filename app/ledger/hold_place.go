package ledger

import (
	"fmt"

	"github.com/muniment/muniment/app/record"
)

// holders are the roles that may place and extend holds of any kind.
var holders = []record.Role{
	record.RoleClerk, record.RoleCounsel, record.RoleChiefAdmin, record.RoleStateRecords,
	record.RoleStateArchivist, record.RoleLibraryCEO, record.RoleAuditor, record.RoleGovernor,
}

// mayHold tells whether the signer's office may place or extend holds of a kind
// over a scope. A department may ask for advice about its own records, and
// nothing of them is destroyed meanwhile.
func (a *act) mayHold(kind record.HoldKind, s *record.Scope) (Code, error) {
	switch {
	case a.hasRole(holders...):
		return OK, nil
	case !a.hasRole(record.RoleDepartment) || kind != record.HoldAdviceRequested:
		return CodeWrongRole, nil
	case s.City || s.Department != "" && s.Department != a.office.Code:
		return CodeWrongOffice, nil
	}
	for n, i := range s.Records {
		anchor, ok, err := AnchorOf(a.view, i)
		if err != nil {
			return 0, err
		}
		if ok && anchor.Office != a.office.Code {
			a.bad = n
			return CodeWrongOffice, nil
		}
	}
	return OK, nil
}

// placeHold judges a hold. Who signs and whether what it names is there: no
// more is asked. No state of a record, a disposition or the clock refuses it.
func (a *act) placeHold(m *record.PlaceHold) (Code, error) {
	if code, err := a.mayHold(m.Kind, &m.Scope); err != nil || code != OK {
		return code, err
	}
	at := a.first + 1
	late, code, err := a.cover(at, at, &m.Scope)
	if err != nil || code != OK {
		return code, err
	}
	a.add(record.HoldEntry{Office: a.office.Code, HoldKind: m.Kind, Issues: m.Issues, Late: late})
	h := Hold{Office: a.office.Code, Kind: m.Kind, Matter: m.Matter, Day: a.today, Issues: m.Issues}
	h.Parts = []HoldPart{a.holdPart(at, m.Issues, &m.Scope)}
	a.set(StateKeyHold(at), h.value())
	return OK, nil
}

// extendHold judges further scope and further issues of a hold.
func (a *act) extendHold(m *record.ExtendHold) (Code, error) {
	h, code, err := a.standingHold(m.Hold)
	if err == nil && code == OK {
		code, err = a.mayHold(h.Kind, &m.Scope)
	}
	switch {
	case err != nil || code != OK:
		return code, err
	case int64(h.Issues)+int64(m.Issues) > record.MaxIssues:
		return CodeTooLarge, nil // further issues are another hold's
	}
	at := a.first + 1
	late, code, err := a.cover(m.Hold, at, &m.Scope)
	if err != nil || code != OK {
		return code, err
	}
	a.add(record.ExtensionEntry{Office: a.office.Code, Hold: m.Hold, Issues: m.Issues, Late: late})
	h.Issues += m.Issues
	h.Parts = append(h.Parts, a.holdPart(at, m.Issues, &m.Scope))
	a.set(StateKeyHold(m.Hold), h.value())
	return OK, nil
}

// standingHold gives a hold that has not been released.
func (a *act) standingHold(i record.Index) (Hold, Code, error) {
	h, known, err := HoldOf(a.view, i)
	switch {
	case err != nil:
		return Hold{}, 0, err
	case !known:
		return Hold{}, CodeUnknownHold, nil
	case h.Released != 0:
		return Hold{}, CodeHoldReleased, nil
	}
	return h, OK, nil
}

func (a *act) holdPart(at record.Index, issues uint32, s *record.Scope) HoldPart {
	p := HoldPart{Entry: at, Office: a.office.Code, Day: a.today, Issues: issues, Listed: int64(len(s.Records)), Scope: *s}
	p.Scope.Records = nil
	return p
}

// cover has a hold cover a scope from entry at on, and counts the locked
// dispositions without an end that it reaches.
func (a *act) cover(hold, at record.Index, s *record.Scope) (late int64, code Code, err error) {
	switch {
	case s.Empty():
		return 0, OK, nil
	case len(s.Records) > 0:
		code, err = a.coverRecords(Listing{Hold: hold, Entry: at}, s.Records)
	default:
		code, err = a.coverAll(mark{hold: hold, entry: at, dated: s.Dated, from: s.From, to: s.To}, s)
	}
	if err != nil || code != OK {
		return 0, code, err
	}
	late, err = a.lateFor(s)
	return late, OK, err
}

// coverRecords notes a hold at each record that it lists.
func (a *act) coverRecords(h Listing, records []record.Index) (Code, error) {
	if err := a.readAhead(records); err != nil {
		return 0, err
	}
	for n, i := range records {
		_, ok, err := AnchorOf(a.view, i)
		if err != nil {
			return 0, err
		}
		if !ok {
			a.bad = n
			return CodeUnknownRecord, nil
		}
		l, _, err := LifecycleOf(a.view, i)
		if err != nil {
			return 0, err
		}
		l.withHold(h)
		a.set(StateKeyLifecycle(i), lifecycleValue(l))
	}
	return OK, nil
}

// coverAll notes a hold on whatever a department, a series of it or the city
// has and will have: one line, however much that is.
func (a *act) coverAll(m mark, s *record.Scope) (Code, error) {
	if looksPersonal(s.Series) { // no series bears such a code, and it would stay for ever
		return CodeBadFact, nil
	}
	if s.Department != "" {
		_, known, err := OfficeOf(a.view, s.Department)
		if err != nil {
			return 0, err
		}
		if !known {
			return CodeUnknownOffice, nil
		}
	}
	if s.Series != "" {
		known, err := everRegistered(a.view, s.Series)
		if err != nil {
			return 0, err
		}
		if !known {
			return CodeUnknownSeries, nil
		}
	}
	key := StateKeyHeld(s.Department, s.Series)
	marks, err := marksOf(a.view, key)
	if err != nil {
		return 0, err
	}
	a.set(key, marksValue(append(marks, m)))
	return OK, nil
}

// everRegistered tells whether a series has ever had a fact or an adopted rule. What
// has neither is no code of the city's, and no record can be of it.
func everRegistered(v View, series record.Code) (bool, error) {
	_, known, err := SeriesOf(v, series)
	if err != nil || known {
		return known, err
	}
	_, known, err = v.Value(StateKeyRules(series))
	return known, err
}

// lateFor counts the locked dispositions without an end that a scope reaches:
// for them it comes too late. Days are not looked at, so that one too many may
// be counted, and none too few.
func (a *act) lateFor(s *record.Scope) (late int64, err error) {
	locks, err := LocksOf(a.view)
	if err != nil || len(locks) == 0 {
		return 0, err
	}
	reached := map[record.Index]bool{}
	if len(s.Records) == 0 {
		for _, i := range locks {
			if reached[i], err = reaches(a.view, s, i); err != nil {
				return 0, err
			}
		}
	}
	for _, i := range s.Records {
		l, _, err := LifecycleOf(a.view, i)
		if err != nil {
			return 0, err
		}
		reached[l.Disposition] = true
	}
	for _, i := range locks {
		if reached[i] {
			late++
		}
	}
	return late, nil
}

// reaches tells whether a scope that lists no records reaches a disposition.
func reaches(v View, s *record.Scope, disposition record.Index) (bool, error) {
	e, err := entryOf(v, disposition)
	if err != nil {
		return false, err
	}
	d, ok := e.(record.DispositionEntry)
	if !ok {
		return false, fmt.Errorf("read %q: entry %d is no disposition: %w", StateKeyLocks(), disposition, errDamaged)
	}
	return s.City || s.Department == d.Office && (s.Series == "" || s.Series == d.Series), nil
}
