package ledger_test

import (
	"slices"

	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
)

// Facts about records, from docs/spec/holds.md.

// modelLife is what befell a record.
type modelLife struct {
	successor, supersession int64
	supersededOn            record.Day
	series                  record.Code
	file, filing            int64
	events                  map[retention.Event]modelEvent
	disposition             int64
	withholdings            []int64
}

// modelEvent is what was said last.
type modelEvent struct {
	day record.Day
	at  int64
}

// modelPosting is an audit.
type modelPosting struct {
	through, posted record.Day
	at              int64
}

// life gives what befell a record; touch does so to change it.
func (m *model) life(i record.Index) modelLife {
	if l, ok := m.lives[int64(i)]; ok {
		return *l
	}
	return modelLife{}
}

func (m *model) touch(i record.Index) *modelLife {
	if m.lives[int64(i)] == nil {
		m.lives[int64(i)] = &modelLife{events: map[retention.Event]modelEvent{}}
	}
	return m.lives[int64(i)]
}

// ownRecord says why the signer cannot state something about a record.
func (m *model) ownRecord(i record.Index, by *modelSigner) string {
	a, ok := m.anchorAt(i)
	switch {
	case !ok:
		return "UNKNOWN_RECORD"
	case a.Office != by.office.Code:
		return "WRONG_OFFICE"
	case m.life(i).disposition != 0:
		return "ALREADY_LOCKED"
	}
	return ""
}

// granularity gives the less exact of what genesis and the activation say.
func (m *model) granularity(series, office record.Code) record.Granularity {
	var g record.Granularity
	if f, ok := m.facts["series/"+string(series)]; ok {
		g = f.fact.(*record.Series).Granularity
	}
	if f, ok := m.activations[[2]record.Code{series, office}]; ok {
		g = max(g, f.fact.(*record.Activation).Granularity)
	}
	return g
}

func (m *model) recordEvents(msg *record.RecordEvents, by modelSigner) (modelNo, func()) {
	if !by.has(record.RoleDepartment, record.RoleLibraryCEO) {
		return modelNot("WRONG_ROLE"), nil
	}
	for n, i := range msg.Records {
		if code := m.ownRecord(i, &by); code != "" {
			return modelNo{code: code, bad: int64(n)}, nil
		}
		a, _ := m.anchorAt(i)
		g := m.granularity(a.Series, by.office.Code)
		limit := by.today
		for !modelDay(limit, g) {
			limit++
		}
		before, known := m.life(i).events[msg.Event]
		if !modelDay(msg.Day, g) || msg.Day > limit || known && msg.Day <= before.day {
			return modelNo{code: "BAD_DAY", bad: int64(n)}, nil
		}
	}
	return modelNo{}, func() {
		at := m.write(record.EventsEntry{Office: by.office.Code, Event: msg.Event, Day: msg.Day, Count: int64(len(msg.Records))})
		for _, i := range msg.Records {
			m.touch(i).events[msg.Event] = modelEvent{msg.Day, at}
		}
	}
}

func (m *model) fileRecords(msg *record.FileRecords, by modelSigner) (modelNo, func()) {
	if !by.has(record.RoleDepartment, record.RoleLibraryCEO) {
		return modelNot("WRONG_ROLE"), nil
	}
	if msg.File != 0 {
		if code := m.ownRecord(msg.File, &by); code != "" {
			return modelNot(code), nil
		}
		if m.life(msg.File).file != 0 || slices.Contains(msg.Records, msg.File) {
			return modelNot("WRONG_SERIES"), nil
		}
	} else if !slices.ContainsFunc(m.adoptions, func(a modelAdoption) bool { return slices.Contains(a.covers, msg.Series) }) {
		return modelNot("UNKNOWN_SERIES"), nil
	}
	for n, i := range msg.Records {
		if code := m.ownRecord(i, &by); code != "" {
			return modelNo{code: code, bad: int64(n)}, nil
		}
	}
	return modelNo{}, func() {
		at := m.write(record.FilingEntry{Office: by.office.Code, Series: msg.Series, File: msg.File, Count: int64(len(msg.Records))})
		for _, i := range msg.Records {
			l := m.touch(i)
			l.series, l.file, l.filing = msg.Series, int64(msg.File), at
		}
	}
}

func (m *model) postAudited(msg *record.PostAuditedThrough, by modelSigner) (modelNo, func()) {
	if !by.has(record.RoleAuditor) {
		return modelNot("WRONG_ROLE"), nil
	}
	department, ok := m.office(msg.Department)
	if !ok || !slices.Contains(department.Roles, record.RoleDepartment) {
		return modelNot("UNKNOWN_OFFICE"), nil
	}
	for _, p := range m.postings[msg.Department] {
		if msg.Through <= p.through {
			return modelNot("WRONG_AUDIT_DAY"), nil
		}
	}
	if msg.Through < modelFirstDay || msg.Through > by.today {
		return modelNot("WRONG_AUDIT_DAY"), nil
	}
	return modelNo{}, func() {
		at := m.write(record.AuditEntry{Office: by.office.Code, Department: msg.Department, Through: msg.Through})
		m.postings[msg.Department] = append(m.postings[msg.Department], modelPosting{msg.Through, by.today, at})
	}
}
