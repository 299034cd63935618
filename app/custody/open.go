package custody

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/store/vault"
)

// opened is a record whose secrets were found.
type opened struct {
	record vault.Record
	state  commitment.State
	layout [32]byte // key
	facts  []vault.LeafFact
}

// size is the number of bytes of all leaves.
func (o opened) size() (n int64) {
	for _, f := range o.facts {
		n += int64(f.Size)
	}
	return n
}

// open reads the layout of a record.
func (c *Custody) open(r vault.Record, s secrets) (opened, error) {
	sealed, err := c.vault.Layout(r.RID)
	if err != nil {
		return opened{}, damaged(err)
	}
	facts, err := vault.OpenLayout(s.layout, r.RID, sealed)
	if err == nil && len(facts) != int(r.Manifest.N) {
		err = fmt.Errorf("layout of %d leaves, manifest of %d", len(facts), r.Manifest.N)
	}
	if err != nil {
		return opened{}, damaged(err)
	}
	return opened{r, s.state, s.layout, facts}, nil
}

// eachSegment opens the live segments of a record in leaf order and compares each
// with its leaf hash. Padding is not among them: it is not stored.
func (c *Custody) eachSegment(o opened, hashes [][32]byte, fn func(leaf uint32, s commitment.Segment) error) error {
	next, stop := iter.Pull2(o.state.Secrets())
	defer stop()
	live, secret, more := next()
	stored := uint32(0)
	err := c.vault.EachSealed(o.record, func(leaf uint32, sealed []byte) error {
		if stored = leaf + 1; leaf >= uint32(len(o.facts)) {
			return fmt.Errorf("%w: leaf %d of %d", vault.ErrDamaged, leaf, len(o.facts))
		}
		for more && live < leaf {
			live, secret, more = next()
		}
		if !more || live != leaf {
			return nil
		}
		fact := o.facts[leaf]
		payload, err := commitment.Open(secret.Enc, o.record.RID, leaf, fact.Kind, sealed)
		if err != nil {
			return damaged(err)
		}
		s := commitment.Segment{Kind: fact.Kind, Payload: payload, Oracle: fact.Oracle}
		if len(payload) != int(fact.Size) || sha256.Sum256(commitment.LeafBlock(leaf, s, secret.Salt)) != hashes[leaf] {
			return damaged(fmt.Errorf("leaf %d is not what was committed to", leaf))
		}
		return fn(leaf, s)
	})
	if errors.Is(err, vault.ErrDamaged) {
		return damaged(err)
	}
	if err == nil && stored < uint32(len(o.facts)) && o.facts[stored].Kind != commitment.Padding {
		return damaged(fmt.Errorf("%d leaves of %d are stored", stored, len(o.facts)))
	}
	return err
}

// segments gives all leaves of a record; those that are destroyed have no payload.
func (c *Custody) segments(o opened, hashes [][32]byte) ([]commitment.Segment, error) {
	all := make([]commitment.Segment, len(o.facts))
	for i, f := range o.facts {
		all[i] = commitment.Segment{Kind: f.Kind, Oracle: f.Oracle}
	}
	err := c.eachSegment(o, hashes, func(leaf uint32, s commitment.Segment) error {
		all[leaf] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// request is one ask for a record's content, or about its redactions.
type request struct {
	caller  Caller
	action  string
	ref     Ref
	purpose Purpose // noPurpose where redactions are filed or listed
}

// admit checks the permission, finds the record and its secrets, and lets beside
// prepare the answer while the line of the access is on its way to the disk. When
// admit returns without an error the line is there, and not before may anything
// of the answer leave.
func (c *Custody) admit(q request, beside func(opened) error) error {
	if q.purpose != noPurpose && !known(q.purpose) {
		return refuse(Malformed, "purpose %.32q is none of %v", q.purpose, Purposes())
	}
	r, s, err := c.find(q)
	if err != nil {
		return err
	}
	synced, err := c.startAudit(q.caller, q.action, r.RID, q.purpose, outcomeAllowed)
	if err != nil {
		return err
	}
	logged := make(chan error, 1)
	go func() { logged <- synced() }()
	o, err := c.open(r, s)
	if err == nil {
		err = beside(o)
	}
	if unlogged := <-logged; unlogged != nil {
		return auditUnavailable(unlogged)
	}
	if err == nil && !q.releases() && q.action != actionFile {
		if err = c.barred(r); err != nil { // locked while the answer was prepared
			return c.refuseBarred(q, r, err)
		}
	}
	return err
}

// releases tells whether the answer gives out content, and is registered. That
// looks at the ledger itself.
func (q request) releases() bool {
	return q.action == actionRead || q.action == actionCopy || q.action == actionEvidence
}

// find gives the record of a request and its secrets, or logs the refusal.
func (c *Custody) find(q request) (vault.Record, secrets, error) {
	r, found, err := c.vault.Find(q.ref.Office, q.ref.Commitment)
	if err != nil {
		return vault.Record{}, secrets{}, damaged(err)
	}
	if refusal := q.forbidden(); refusal != nil {
		return vault.Record{}, secrets{}, c.refuseAudited(q, r.RID, outcomeDenied, refusal)
	}
	absent := refuse(NotFound, "no content of that record is kept here")
	if !found {
		if left, buried, err := c.vault.Buried(q.ref.Office, q.ref.Commitment); err != nil {
			return vault.Record{}, secrets{}, damaged(err)
		} else if buried {
			return vault.Record{}, secrets{}, c.refuseAudited(q, left.RID, outcomeDestroyed, refuse(Destroyed, "the record was destroyed"))
		}
		return vault.Record{}, secrets{}, c.refuseAudited(q, vault.RID{}, outcomeAbsent, absent)
	}
	if q.action != actionFile { // which gives nothing out, and which an erasure may wait for
		if err := c.barred(r); err != nil {
			return vault.Record{}, secrets{}, c.refuseBarred(q, r, err)
		}
	}
	s, found, err := c.state(r)
	if reason, _ := ReasonOf(err); reason == Destroyed {
		return vault.Record{}, secrets{}, c.refuseAudited(q, r.RID, outcomeDestroyed, err)
	}
	if err != nil {
		return vault.Record{}, secrets{}, err
	}
	if !found {
		return vault.Record{}, secrets{}, c.refuseAudited(q, r.RID, outcomeAbsent, absent)
	}
	return r, s, nil
}

// forbidden is why the caller may not do what it asks for; nil: it may.
func (q request) forbidden() error {
	switch {
	case q.action == actionRedactions && !q.caller.maySeeRedactions(q.ref.Office):
		return refuse(Denied, "office %s may not see redactions of records of office %.16s", q.caller.Office, q.ref.Office)
	case q.action == actionFile && !q.caller.mayFile(q.ref.Office):
		return refuse(Denied, "office %s may not file redactions of records of office %.16s", q.caller.Office, q.ref.Office)
	case q.purpose != noPurpose && !q.caller.mayRead(q.ref.Office, q.purpose):
		return refuse(Denied, "office %s may not read records of office %.16s for %s", q.caller.Office, q.ref.Office, q.purpose)
	}
	return nil
}

func known(p Purpose) bool {
	for _, one := range Purposes() {
		if p == one {
			return true
		}
	}
	return false
}

// refuseAudited logs a refusal and returns it.
func (c *Custody) refuseAudited(q request, rid vault.RID, outcome string, refusal error) error {
	if err := c.audit(q.caller, q.action, rid, q.purpose, outcome); err != nil {
		return err
	}
	return refusal
}
