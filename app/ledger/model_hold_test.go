package ledger_test

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Holds, from docs/spec/holds.md.

// modelHold is a hold and its extensions.
type modelHold struct {
	at       int64
	office   record.Code
	kind     record.HoldKind
	matter   [32]byte
	day      record.Day
	issues   uint32
	resolved map[uint32]bool
	closers  map[record.Code]bool
	parts    []modelPart
	released int64
	by       record.Code
	on       record.Day
}

// modelPart is the placement or an extension.
type modelPart struct {
	at     int64
	office record.Code
	day    record.Day
	issues uint32
	scope  record.Scope
}

// mayHold refuses those who may not hold records of a scope.
func (m *model) mayHold(by *modelSigner, kind record.HoldKind, s record.Scope) modelNo {
	if by.has(record.RoleClerk, record.RoleCounsel, record.RoleChiefAdmin, record.RoleStateRecords,
		record.RoleStateArchivist, record.RoleLibraryCEO, record.RoleAuditor, record.RoleGovernor) {
		return modelNo{}
	}
	if kind != record.HoldAdviceRequested || !by.has(record.RoleDepartment) {
		return modelNot("WRONG_ROLE")
	}
	if s.City || s.Department != "" && s.Department != by.office.Code {
		return modelNot("WRONG_OFFICE")
	}
	for n, i := range s.Records {
		if anchor, ok := m.anchorAt(i); ok && anchor.Office != by.office.Code {
			return modelNo{code: "WRONG_OFFICE", bad: int64(n)}
		}
	}
	return modelNo{}
}

// unknownScope refuses a scope that names what is not there.
func (m *model) unknownScope(s record.Scope) modelNo {
	for n, i := range s.Records {
		if _, ok := m.anchorAt(i); !ok {
			return modelNo{code: "UNKNOWN_RECORD", bad: int64(n)}
		}
	}
	if modelPersonal(s.Series) {
		return modelNot("BAD_FACT")
	}
	if _, ok := m.office(s.Department); s.Department != "" && !ok {
		return modelNot("UNKNOWN_OFFICE")
	}
	_, stated := m.facts["series/"+string(s.Series)]
	ruled := slices.ContainsFunc(m.adoptions, func(a modelAdoption) bool { return slices.Contains(a.covers, s.Series) })
	if s.Series != "" && !stated && !ruled {
		return modelNot("UNKNOWN_SERIES")
	}
	return modelNo{}
}

// late counts the locked dispositions without an end that a scope reaches. Days
// are not looked at.
func (m *model) late(s record.Scope) (late int64) {
	for at, d := range m.dispositions {
		reached := s.City || s.Department == d.office && (s.Series == "" || s.Series == d.msg.Series)
		for _, i := range s.Records {
			reached = reached || m.life(i).disposition == at
		}
		if d.status == modelLocked && reached {
			late++
		}
	}
	return late
}

func (m *model) placeHold(msg *record.PlaceHold, by modelSigner) (modelNo, func()) {
	if no := m.mayHold(&by, msg.Kind, msg.Scope); no.code != "" {
		return no, nil
	}
	if no := m.unknownScope(msg.Scope); no.code != "" {
		return no, nil
	}
	return modelNo{}, func() {
		at := m.write(record.HoldEntry{Office: by.office.Code, HoldKind: msg.Kind, Issues: msg.Issues, Late: m.late(msg.Scope)})
		m.holds[at] = &modelHold{
			at: at, office: by.office.Code, kind: msg.Kind, matter: msg.Matter, day: by.today, issues: msg.Issues, resolved: map[uint32]bool{}, closers: map[record.Code]bool{},
		}
		m.addPart(m.holds[at], at, msg.Issues, msg.Scope, by)
	}
}

func (m *model) addPart(h *modelHold, at int64, issues uint32, s record.Scope, by modelSigner) {
	h.parts = append(h.parts, modelPart{at, by.office.Code, by.today, issues, s})
	for _, i := range s.Records {
		m.touch(i)
	}
}

// standing gives a hold that was not released.
func (m *model) standing(i record.Index) (*modelHold, string) {
	h, ok := m.holds[int64(i)]
	switch {
	case !ok:
		return nil, "UNKNOWN_HOLD"
	case h.released != 0:
		return nil, "HOLD_RELEASED"
	}
	return h, ""
}

func (m *model) extendHold(msg *record.ExtendHold, by modelSigner) (modelNo, func()) {
	h, code := m.standing(msg.Hold)
	if code != "" {
		return modelNot(code), nil
	}
	if no := m.mayHold(&by, h.kind, msg.Scope); no.code != "" {
		return no, nil
	}
	if h.issues+msg.Issues > record.MaxIssues {
		return modelNot("TOO_LARGE"), nil
	}
	if no := m.unknownScope(msg.Scope); no.code != "" {
		return no, nil
	}
	return modelNo{}, func() {
		at := m.write(record.ExtensionEntry{Office: by.office.Code, Hold: msg.Hold, Issues: msg.Issues, Late: m.late(msg.Scope)})
		h.issues += msg.Issues
		m.addPart(h, at, msg.Issues, msg.Scope, by)
	}
}

func (m *model) resolveIssue(msg *record.ResolveIssue, by modelSigner) (modelNo, func()) {
	h, code := m.standing(msg.Hold)
	switch {
	case code != "":
		return modelNot(code), nil
	case h.office != by.office.Code && !by.has(record.RoleCounsel, record.RoleClerk):
		return modelNot("WRONG_ROLE"), nil
	case msg.Issue > h.issues:
		return modelNot("UNKNOWN_ISSUE"), nil
	case h.resolved[msg.Issue]:
		return modelNot("ISSUE_RESOLVED"), nil
	}
	return modelNo{}, func() {
		m.write(record.ResolutionEntry{Office: by.office.Code, Hold: msg.Hold, Issue: msg.Issue})
		h.resolved[msg.Issue], h.closers[by.office.Code] = true, true
	}
}

func (m *model) releaseHold(msg *record.ReleaseHold, by modelSigner) (modelNo, func()) {
	h, code := m.standing(msg.Hold)
	switch {
	case code != "":
		return modelNot(code), nil
	case !by.has(record.RoleCounsel, record.RoleAuditor, record.RoleClerk, record.RoleChiefAdmin, record.RoleStateRecords):
		return modelNot("WRONG_ROLE"), nil
	case h.closers[by.office.Code], slices.ContainsFunc(h.parts, func(p modelPart) bool { return p.office == by.office.Code }):
		return modelNot("SAME_OFFICE"), nil
	}
	for issue := range h.issues + 1 {
		if !h.resolved[issue] {
			return modelNot("OPEN_ISSUES"), nil
		}
	}
	return modelNo{}, func() {
		h.released, h.by, h.on = m.write(record.ReleaseEntry{Office: by.office.Code, Hold: msg.Hold}), by.office.Code, by.today
	}
}

// modelCovered is a hold on a record and the part that brought it there first.
type modelCovered struct {
	*modelHold
	since   int64
	brought record.Code
}

// holdsOn lists the holds on a record, released ones too, ascending.
func (m *model) holdsOn(i record.Index) []modelCovered {
	anchor, _ := m.anchorAt(i)
	var all []modelCovered
	for _, h := range m.holds {
		for _, p := range h.parts {
			if p.covers(i, anchor, h.released) {
				all = append(all, modelCovered{h, p.at, p.office})
				break
			}
		}
	}
	slices.SortFunc(all, func(a, b modelCovered) int { return int(a.at - b.at) })
	return all
}

// covers tells whether a part covers a record. It covers what is anchored later,
// until the hold is released. The day of the record may have been rounded up.
func (p *modelPart) covers(i record.Index, a record.AnchorEntry, released int64) bool {
	s := &p.scope
	if slices.Contains(s.Records, i) {
		return true
	}
	if !s.City && s.Department == "" || released != 0 && released < int64(i) {
		return false
	}
	if !s.City && (s.Department != a.Office || s.Series != "" && s.Series != a.Series) {
		return false
	}
	if !s.Dated || a.Flags&record.FlagUndated != 0 {
		return true
	}
	first := modelDate(int(a.Day))
	switch next := first.AddDate(0, 0, 1); {
	case next.YearDay() == 1:
		first = first.AddDate(0, 1-int(first.Month()), 1-first.Day())
	case next.Day() == 1:
		first = first.AddDate(0, 0, 1-first.Day())
	}
	return modelDayOf(first) <= int(s.To) && s.From <= a.Day
}
