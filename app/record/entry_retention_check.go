package record

// maxCode bounds the codes of refusals.
const maxCode = 1 << 16

func (e EventsEntry) check() error {
	m := RecordEvents{Event: e.Event, Day: e.Day, Records: []Index{1}}
	if err := m.checkMessage(); err != nil {
		return err
	}
	return actOf(e.Office, e.Count)
}

func (e FilingEntry) check() error {
	m := FileRecords{Series: e.Series, File: e.File, Records: []Index{1}}
	if err := m.checkMessage(); err != nil {
		return err
	}
	return actOf(e.Office, e.Count)
}

func (e AuditEntry) check() error {
	if !e.Department.Valid() {
		return malformed("audit entry: department")
	}
	return validOffice(e.Office)
}

func (e HoldEntry) check() error {
	if !e.HoldKind.Valid() || e.Issues > MaxIssues {
		return malformed("hold entry: kind or issues")
	}
	return actOf(e.Office, e.Late)
}

func (e ExtensionEntry) check() error {
	if e.Issues > MaxIssues {
		return malformed("extension entry: issues")
	}
	if err := actOn(e.Office, e.Hold); err != nil {
		return err
	}
	return notNegative("extension entry", e.Late)
}

func (e ResolutionEntry) check() error {
	if e.Issue > MaxIssues {
		return malformed("resolution entry: issue")
	}
	return actOn(e.Office, e.Hold)
}

func (e ReleaseEntry) check() error { return actOn(e.Office, e.Hold) }

func (e DispositionEntry) check() error {
	if !e.Series.Valid() || !e.Action.Valid() {
		return malformed("disposition entry: series or action")
	}
	return actOf(e.Office, e.Count)
}

func (e AuthorizationEntry) check() error  { return actOn(e.Office, e.Disposition) }
func (e WithdrawalEntry) check() error     { return actOn(e.Office, e.Disposition) }
func (e NoticeEntry) check() error         { return actOn(e.Office, e.Disposition) }
func (e AcknowledgmentEntry) check() error { return actOn(e.Office, e.Jump) }

func (e WithholdingEntry) check() error {
	if e.Redaction == [32]byte{} {
		return malformed("withholding entry: names no redaction")
	}
	return actOn(e.Office, e.Record)
}

func (e LockEntry) check() error {
	if err := cites(e.Authorizations); err != nil {
		return err
	}
	if err := actOn(e.Office, e.Disposition); err != nil {
		return err
	}
	return notNegative("lock entry", int64(e.Standing), int64(e.Notice), e.Count)
}

func (e ItemEntry) check() error {
	if err := cites(e.Rules); err != nil {
		return err
	}
	if err := cites(e.Facts); err != nil {
		return err
	}
	if e.Disposition <= 0 || e.Record <= 0 {
		return malformed("item entry: disposition or record")
	}
	return notNegative("item entry", int64(e.Audit))
}

func (e ReportEntry) check() error {
	if (e.Office == "") == (e.Custodian == KeyID{}) || e.Office != "" && !e.Office.Valid() || !e.Outcome.Valid() {
		return malformed("report entry: reporter or outcome")
	}
	if err := named(e.Disposition); err != nil {
		return err
	}
	return notNegative("report entry", e.Preserved)
}

func (e RefusalEntry) check() error {
	if e.Code == 0 || e.Code > maxCode {
		return malformed("refusal entry: code")
	}
	return actOf(e.Office, int64(e.Disposition), int64(e.Record), int64(e.Hold))
}

// actOn checks an office and the entry that it acts on.
func actOn(office Code, target Index) error {
	if err := named(target); err != nil {
		return err
	}
	return validOffice(office)
}

// actOf checks an office and numbers that cannot be negative.
func actOf(office Code, numbers ...int64) error {
	if err := validOffice(office); err != nil {
		return err
	}
	return notNegative("entry", numbers...)
}

// cites checks a list of cited entries.
func cites(list []Index) error {
	if len(list) > MaxCited || !ascendingIndexes(list) {
		return malformed("entry cites entries that do not ascend, or more than %d", MaxCited)
	}
	return nil
}
