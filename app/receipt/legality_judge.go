package receipt

import (
	"slices"

	"github.com/muniment/muniment/app/record"
)

// deed is an act of an office with all that shows it: a receipt's entry, checked
// like a receipt.
type deed struct {
	index   int64
	entry   record.Entry
	message record.Message // of the signed body; nil for an anchor of several
	office  record.Code
	tx      record.TxEntry
	txIndex int64
	block   record.BlockEntry
}

// day is the ledger day of the deed.
func (d deed) day() record.Day { return record.LedgerDay(d.block.Time) }

// signatory is an office that acted, with the roles that it had.
type signatory struct {
	deed
	roles []record.Role
}

// legalCase is the lawfulness of one record's disposition as it is judged. Each
// step reads what it needs and compares; the steps are in docs/spec/legality.md.
type legalCase struct {
	network record.Network
	source  LegalitySource

	itemDeed deed
	item     record.ItemEntry
	lock     record.LockEntry
	locked   signatory
	proposed signatory
	asked    *record.ProposeDisposition
	subject  *subject // the record
	file     *subject // that the record is part of, or nil

	rules      []legalRule // that bind the record, then those of other series, ascending each
	facts      []citedFact
	audited    *signatory
	judgement  judgement
	approvals  []signatory
	standing   *record.StandingAuthorization // that the proposal named, or nil
	authorized bool                          // it held
	notice     *deed
}

// judgeLegality judges the lock of the record of an item entry. An error is a
// [*Refusal] or comes from the source.
func judgeLegality(network record.Network, source LegalitySource, item int64) (*legalCase, error) {
	c := &legalCase{network: network, source: source}
	for _, step := range []func(*legalCase) error{
		func(c *legalCase) error { return c.readItem(item) },
		(*legalCase).readProposal, (*legalCase).readRecord, (*legalCase).readRules, (*legalCase).readFacts,
		(*legalCase).judgeDue, (*legalCase).judgeApprovals, (*legalCase).judgeNotice,
	} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// entryAt reads an entry.
func (c *legalCase) entryAt(index int64) (record.Entry, error) {
	raw, err := c.source.Entry(index)
	if err != nil {
		return nil, err
	}
	return parseEntry(raw, index)
}

// factAt reads a fact that an entry states.
func factAt[F record.Fact](c *legalCase, index int64, what string) (fact F, err error) {
	e, err := c.entryAt(index)
	if err != nil {
		return fact, err
	}
	stated, ok := e.(record.FactEntry)
	if !ok {
		return fact, refuse(LockContradicted, "entry %d is cited as %s and is none", index, what)
	}
	f, err := record.ParseFact(stated.Fact)
	fact, ok = f.(F)
	if err != nil || !ok {
		return fact, refuse(LockContradicted, "entry %d is cited as %s and is none", index, what)
	}
	return fact, nil
}

// deedAt reads an entry with its transaction, its block and the key, and takes
// the steps of a receipt.
func (c *legalCase) deedAt(index int64) (deed, error) {
	entry, err := c.entryAt(index)
	if err != nil {
		return deed{}, err
	}
	p, err := c.partsOf(index)
	if err != nil {
		return deed{}, err
	}
	if err := p.checkPlaces(index); err != nil {
		return deed{}, err
	}
	if err := p.checkSignature(entry); err != nil {
		return deed{}, err
	}
	m, err := p.checkBody(c.network, entry, index)
	if err != nil {
		return deed{}, err
	}
	return deed{index: index, entry: entry, message: m, office: p.key.Office, tx: *p.tx, txIndex: p.txIndex, block: *p.block}, nil
}

func (c *legalCase) partsOf(index int64) (p parts, err error) {
	if p.txIndex, err = c.source.Tx(index); err != nil {
		return parts{}, err
	}
	if p.blockIndex, err = c.source.Block(index); err != nil {
		return parts{}, err
	}
	e, err := c.entryAt(p.txIndex)
	if err != nil {
		return parts{}, err
	}
	tx, isTx := e.(record.TxEntry)
	if e, err = c.entryAt(p.blockIndex); err != nil {
		return parts{}, err
	}
	block, isBlock := e.(record.BlockEntry)
	if !isTx || !isBlock {
		return parts{}, refuse(LockContradicted, "entry %d has no transaction or no block", index)
	}
	p.tx, p.block = &tx, &block
	if p.keyIndex, err = c.source.Key(tx.KeyID); err != nil {
		return parts{}, err
	}
	p.key, err = factAt[*record.Key](c, p.keyIndex, "the key of a transaction")
	return p, err
}

// earlier reads a deed that has to precede another entry.
func (c *legalCase) earlier(index record.Index, than int64) (deed, error) {
	if int64(index) >= than {
		return deed{}, refuse(LockContradicted, "entry %d is cited by entry %d, which does not follow it", index, than)
	}
	return c.deedAt(int64(index))
}

// withRoles finds the roles that an office had at an entry.
func (c *legalCase) withRoles(d deed, at int64) (signatory, error) {
	index, err := c.source.Office(d.office, at)
	if err != nil {
		return signatory{}, err
	}
	office, err := factAt[*record.Office](c, index, "an office")
	if err != nil {
		return signatory{}, err
	}
	if office.Code != d.office || office.Status != record.StatusActive {
		return signatory{}, refuse(WrongRole, "office %s was not active at entry %d", d.office, at)
	}
	return signatory{deed: d, roles: office.Roles}, nil
}

func (s signatory) has(roles ...record.Role) bool {
	return slices.ContainsFunc(roles, func(r record.Role) bool { return slices.Contains(s.roles, r) })
}

// readItem reads the item, and the lock that it is part of.
func (c *legalCase) readItem(index int64) (err error) {
	if c.itemDeed, err = c.deedAt(index); err != nil {
		return err
	}
	var ok bool
	if c.item, ok = c.itemDeed.entry.(record.ItemEntry); !ok {
		return refuse(LockContradicted, "entry %d is no record of a locked disposition", index)
	}
	lock, err := c.deedAt(c.itemDeed.txIndex + 1)
	if err != nil {
		return err
	}
	if c.lock, ok = lock.entry.(record.LockEntry); !ok || c.lock.Disposition != c.item.Disposition {
		return refuse(LockContradicted, "entry %d, before the item, does not lock its disposition", lock.index)
	}
	if c.locked, err = c.withRoles(lock, lock.index); err != nil {
		return err
	}
	if day := lock.day(); c.lock.Day != day {
		return refuse(LockContradicted, "the lock says %s, and its block is of ledger day %s", c.lock.Day, day)
	}
	if !c.locked.has(record.RoleIT, record.RoleOperator) {
		return refuse(WrongRole, "%s locked the disposition and is neither IT nor OPERATOR", c.locked.office)
	}
	return nil
}

// readProposal reads the disposition, and finds the record in it.
func (c *legalCase) readProposal() error {
	d, err := c.earlier(c.lock.Disposition, c.locked.index)
	if err != nil {
		return err
	}
	e, ok := d.entry.(record.DispositionEntry)
	if !ok {
		return refuse(LockContradicted, "entry %d is no proposal of a disposition", d.index)
	}
	if c.proposed, err = c.withRoles(d, c.locked.index); err != nil { // the head's approval, as it stood at the lock
		return err
	}
	c.asked = d.message.(*record.ProposeDisposition) // checkBody compared it with the entry
	locks := c.locked.message.(*record.LockDisposition)
	place := c.itemDeed.index - c.locked.index - 1
	switch {
	case locks.Hash != e.Hash:
		return refuse(LockContradicted, "the signed body of the lock is bound to another proposal")
	case c.lock.Count != e.Count || c.lock.Standing != c.asked.Standing:
		return refuse(LockContradicted, "the lock is of %d records, the proposal of %d, or they differ in the standing authorization", c.lock.Count, e.Count)
	case place >= e.Count || c.asked.Records[place] != c.item.Record:
		return refuse(LockContradicted, "record %d does not stand in the proposal where the item stands in the lock", c.item.Record)
	case !c.proposed.has(record.RoleDepartment, record.RoleLibraryCEO):
		return refuse(WrongRole, "%s proposed the disposition and keeps no records", d.office)
	case d.office == c.locked.office:
		return refuse(SameOffice, "%s proposed and locked the disposition", d.office)
	case c.asked.To == d.office, c.asked.To == c.locked.office:
		return refuse(SameOffice, "%s takes the records over and has another part in the disposition", c.asked.To)
	}
	return nil
}

// readRecord reads the anchor of the record.
func (c *legalCase) readRecord() (err error) {
	if c.subject, err = c.subjectAt(c.item.Record, c.proposed.index); err != nil {
		return err
	}
	a := c.subject.anchor
	if a.Office != c.proposed.office || a.Series != c.asked.Series {
		return refuse(LockContradicted, "record %d is of %s, series %s; the proposal is of %s, series %s", c.item.Record, a.Office, a.Series, c.proposed.office, c.asked.Series)
	}
	if c.subject.oneByOne() && c.lock.Count > 1 {
		return refuse(OneByOne, "record %d is undated or dated before 1900, and was disposed of together with others", c.item.Record)
	}
	return nil
}
