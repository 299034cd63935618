package receipt

import "github.com/muniment/muniment/app/record"

// redaction asks for the erasure of parts of the first record.
func redaction(m *record.ProposeDisposition) {
	m.Action, m.Records, m.Redaction = record.ActionRedact, m.Records[:1], [32]byte{6}
}

// unlawfulRedactions erase parts of a record.
func unlawfulRedactions() []unlawfulLock {
	redact := func(early bool, approvers ...record.Code) variation {
		return variation{propose: redaction, approvers: approvers,
			rule: func(r *record.ScheduleRule) {
				r.Approvals = r.Approvals[1:2] // CHIEF_ADMIN
				if early {
					r.Rule = ruleOf("10 years after closed")
				}
			},
			item: func(_ *life, e *record.ItemEntry) {
				if early {
					e.Due = 0
				}
			}}
	}
	days := func(v variation, due record.Day) variation {
		v.item = func(_ *life, e *record.ItemEntry) { e.Due = due }
		return v
	}
	transferred := redact(true, "ADMIN", "CLERK", "COUNSEL")
	transferred.rule = func(r *record.ScheduleRule) { r.Approvals, r.Action = r.Approvals[1:2], record.ActionTransfer }
	return []unlawfulLock{
		{"parts of a record that is due", redact(false, "ADMIN", "CLERK", "COUNSEL"), lawful},
		{"parts without the rule's approval", redact(false, "CLERK", "COUNSEL"), notApproved},
		{"parts without the clerk", redact(false, "ADMIN", "COUNSEL"), notApproved},
		{"parts without counsel", redact(false, "ADMIN", "CLERK"), notApproved},
		{"parts of a record that is due on another day", days(redact(false, "ADMIN", "CLERK", "COUNSEL"), 3), notDue},
		{"parts of a record that is due, says no day", days(redact(false, "ADMIN", "CLERK", "COUNSEL"), 0), notDue},
		{"parts ahead of the schedule", redact(true, "ADMIN", "CLERK", "COUNSEL", "STATE"), lawful},
		{"parts ahead of the schedule without the administrator", redact(true, "ADMIN", "CLERK", "COUNSEL"), notApproved},
		{"parts ahead of the schedule as if due", days(redact(true, "ADMIN", "CLERK", "COUNSEL", "STATE"), 3), contradicts},
		{"parts of what is to be transferred", transferred, notApproved},
	}
}
