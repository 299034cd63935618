package ledger_test

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Withholding and erasing parts of a record, from docs/spec/disposition.md.

// overdue tells whether the schedule itself wants a record destroyed today.
func (it *modelItem) overdue(today record.Day) bool {
	return it.end.sure == 0 && it.end.due <= int(today) && !it.kept
}

// asked lists whose approval a record of a disposition needs on a day.
func (m *model) asked(d *modelDisposition, n int, today record.Day) []record.Role {
	it := m.item(d.msg.Records[n], today)
	if d.msg.Action != record.ActionRedact {
		return it.roles
	}
	roles := append(it.roles, record.RoleCounsel, record.RoleClerk)
	if !it.overdue(today) {
		roles = append(roles, record.RoleStateRecords)
	}
	return roles
}

// decisions lists the decisions about parts of a record, ascending.
func (m *model) decisions(i record.Index) []int64 {
	all := slices.Clone(m.life(i).withholdings)
	for _, d := range m.dispositions {
		erased := slices.ContainsFunc(d.reports, func(r modelReport) bool { return r.done })
		if d.msg.Action == record.ActionRedact && d.status == modelComplete && erased && d.msg.Records[0] == i {
			all = append(all, d.at)
		}
	}
	slices.Sort(all)
	return all
}

func (m *model) withhold(msg *record.Withhold, by modelSigner) (modelNo, func()) {
	anchor, ok := m.anchorAt(msg.Record)
	anybodys := by.has(record.RoleClerk, record.RoleCounsel)
	switch {
	case !anybodys && !by.has(record.RoleDepartment, record.RoleLibraryCEO):
		return modelNot("WRONG_ROLE"), nil
	case !ok:
		return modelNot("UNKNOWN_RECORD"), nil
	case !anybodys && anchor.Office != by.office.Code:
		return modelNot("WRONG_OFFICE"), nil
	case len(m.decisions(msg.Record)) >= 64:
		return modelNot("TOO_MANY_DECISIONS"), nil
	}
	return modelNo{}, func() {
		l := m.touch(msg.Record)
		l.withholdings = append(l.withholdings, m.write(record.WithholdingEntry{Office: by.office.Code, Record: msg.Record, Redaction: msg.Redaction}))
	}
}
