package custody

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/vault"
)

const (
	// MaxRedactions is how many redactions of one record can be filed.
	MaxRedactions = 64
	// MaxRedactionText bounds the text of a redaction in bytes.
	MaxRedactionText = 512 << 10

	redactionDomain = "MUN1 redaction" // changed only with docs/spec/vault.md
)

// filed is a redaction as it is kept.
type filed struct {
	commitment.Redaction
	hash [32]byte
	text []byte
}

// parseFiled reads the text of a redaction.
func parseFiled(text []byte) (filed, error) {
	r, err := commitment.ParseRedaction(text)
	if err != nil {
		return filed{}, err
	}
	hash, err := r.Hash()
	return filed{r, hash, text}, err
}

// PlanRedaction finds what must be hidden together (see commitment.Plan). It keeps
// nothing.
func (c *Custody) PlanRedaction(ctx context.Context, caller Caller, ref Ref, purpose Purpose, asks []commitment.Ask) (marks []commitment.PlannedMark, err error) {
	err = c.admit(request{caller, actionPlan, ref, purpose}, func(o opened) error {
		return c.withSegments(ctx, o, func(segments []commitment.Segment, _ [][32]byte) error {
			marks, err = commitment.Plan(o.record.Manifest.Profile, segments, asks)
			if errors.Is(err, commitment.ErrPlan) {
				return refuseFor(err, Malformed, "%v", err)
			}
			return located(err)
		})
	})
	if err != nil {
		return nil, err
	}
	return marks, nil
}

// FileRedaction keeps a redaction of a record, sealed so that it dies with the
// record. Copies can then be made by its hash, and acts can name it. It has to
// hide what would betray what it hides. The same text again changes nothing.
func (c *Custody) FileRedaction(ctx context.Context, caller Caller, ref Ref, text []byte) ([32]byte, error) {
	if len(text) > MaxRedactionText {
		return [32]byte{}, refuse(TooLarge, "the redaction has %d bytes, and at most %d are kept", len(text), MaxRedactionText)
	}
	f, err := parseFiled(text)
	if err != nil {
		return [32]byte{}, refuseFor(err, Malformed, "%v", err)
	}
	err = c.admit(request{caller, actionFile, ref, noPurpose}, func(o opened) error {
		if err := errors.Join(o.checkFiled(f.Redaction), ctx.Err()); err != nil {
			return err
		}
		defer c.releases.enter()()
		if err := errors.Join(c.stays(ref), c.staying(o.record.Custody)); err != nil {
			return err
		}
		return c.file(o, f)
	})
	if err != nil {
		return [32]byte{}, err
	}
	return f.hash, nil
}

// stays refuses what is no record, and what is to be destroyed: a redaction that is
// filed then would outlive it. One that is to be redacted may wait for its redaction.
func (c *Custody) stays(ref Ref) error {
	view := c.config.View()
	index, anchored, err := view.AnchorIndex(ref.Office, ref.Commitment)
	if err != nil {
		return err
	}
	if !anchored {
		return refuse(NotFound, "office %.16s has anchored no such record", ref.Office)
	}
	i, action, locked, err := ledger.ErasureOf(view, index)
	if err == nil && locked && action == record.ActionDestroy {
		err = refuse(Locked, "the record is locked for %s under disposition %d: nothing is filed with it any more", action, i)
	}
	return err
}

// checkFiled refuses marks that are not of the record, that hide nothing, or that
// leave open what would betray what they hide.
func (o opened) checkFiled(r commitment.Redaction) error {
	segments := make([]commitment.Segment, len(o.facts))
	for i, f := range o.facts {
		segments[i] = commitment.Segment{Kind: f.Kind, Oracle: f.Oracle}
	}
	hidden := make([]bool, len(segments)) // by the redaction, or for ever
	for _, gone := range o.state.Hidden() {
		for i := gone.First; i <= gone.Last; i++ {
			hidden[i] = true
		}
	}
	decided := false
	for _, m := range r.Marks {
		if int64(m.Last) >= int64(len(segments)) {
			return refuse(Malformed, "the redaction marks leaf %d, and the record's last is %d", m.Last, len(segments)-1)
		}
		hides := false
		for i := m.First; i <= m.Last; i++ {
			hidden[i] = true
			hides = hides || segments[i].Kind != commitment.Padding
		}
		if !hides {
			return refuse(Malformed, "the redaction marks leaves %d-%d, which hold nothing", m.First, m.Last)
		}
		decided = decided || m.Code != commitment.Betrays
	}
	if !decided {
		return refuse(Malformed, "the redaction gives no exemption code for anything: every mark has the code %s", commitment.Betrays)
	}
	for _, must := range commitment.Redact(segments, r.Ranges(), true) {
		for i := must.First; i <= must.Last; i++ {
			if !hidden[i] {
				what := "a digest of the content"
				if segments[i].Oracle {
					what = "a signature or checksum over content"
				}
				return refuse(Malformed, "the redaction hides content and not leaf %d, which would betray it: %s", i, what)
			}
		}
	}
	return nil
}

// file keeps a redaction durably.
func (c *Custody) file(o opened, f filed) error {
	c.filing.Lock()
	defer c.filing.Unlock()
	hashes, err := c.vault.Redactions(o.record.RID)
	switch {
	case err != nil:
		return damaged(err)
	case slices.Contains(hashes, f.hash):
		return nil
	case len(hashes) >= MaxRedactions:
		return refuse(TooManyRedactions, "%d redactions of the record are filed, and that is the most: use one of them", len(hashes))
	}
	sealed, err := sealRedaction(o.layout, o.record.RID, f)
	if err != nil {
		return err
	}
	return c.vault.PutRedaction(o.record.RID, f.hash, sealed)
}

// Redactions gives the texts of a record's redactions that were filed, ordered by
// their hashes, to those who may file them.
func (c *Custody) Redactions(ctx context.Context, caller Caller, ref Ref) (texts [][]byte, err error) {
	err = c.admit(request{caller, actionRedactions, ref, noPurpose}, func(o opened) error {
		hashes, err := c.vault.Redactions(o.record.RID)
		if err != nil {
			return damaged(err)
		}
		for _, hash := range hashes {
			f, err := c.mustBeFiled(o, hash)
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			texts = append(texts, f.text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return texts, nil
}

// mustBeFiled gives a redaction by its hash, or NO_SUCH_REDACTION.
func (c *Custody) mustBeFiled(o opened, hash [32]byte) (filed, error) {
	f, ok, err := c.redactionOf(o.record.RID, o.layout, hash)
	if err == nil && !ok {
		err = refuse(NoSuchRedaction, "no redaction %x of the record is filed here", hash)
	}
	return f, err
}

// redactionOf gives a redaction by its hash; layout is the record's layout key.
func (c *Custody) redactionOf(rid vault.RID, layout, hash [32]byte) (f filed, ok bool, err error) {
	sealed, ok, err := c.vault.Redaction(rid, hash)
	if err != nil || !ok {
		return filed{}, false, damaged(err)
	}
	if f, err = openRedaction(layout, rid, hash, sealed); err != nil {
		return filed{}, false, damaged(err)
	}
	return f, true, nil
}

// sealRedaction seals a text under a key that dies with the record. It is padded
// as segments are, so that its length tells little of the marks.
func sealRedaction(layout [32]byte, rid vault.RID, f filed) ([]byte, error) {
	aead, err := redactionCipher(layout)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, commitment.Padded(4+len(f.text)))
	binary.BigEndian.PutUint32(plain, uint32(len(f.text)))
	copy(plain[4:], f.text)
	return aead.Seal(nil, nil, plain, redactionContext(rid, f.hash)), nil
}

// openRedaction opens what sealRedaction made.
func openRedaction(layout [32]byte, rid vault.RID, hash [32]byte, sealed []byte) (filed, error) {
	aead, err := redactionCipher(layout)
	if err != nil {
		return filed{}, err
	}
	plain, err := aead.Open(nil, nil, sealed, redactionContext(rid, hash))
	if err != nil {
		return filed{}, fmt.Errorf("sealed redaction does not open: %w", err)
	}
	if len(plain) < 4 || uint64(binary.BigEndian.Uint32(plain)) > uint64(len(plain)-4) {
		return filed{}, fmt.Errorf("sealed redaction of %d bytes", len(plain))
	}
	end := 4 + binary.BigEndian.Uint32(plain)
	f, err := parseFiled(plain[4:end:end])
	switch {
	case err != nil:
		return filed{}, err
	case f.hash != hash || len(plain) != commitment.Padded(int(end)) || bytes.Trim(plain[end:], "\x00") != nil:
		return filed{}, errors.New("sealed redaction is another one, or is not canonical")
	}
	return f, nil
}

// redactionCipher derives a key of its own from the layout key, which is uniform:
// HKDF-SHA256-Expand (RFC 5869 section 3.3).
func redactionCipher(layout [32]byte) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, layout[:], redactionDomain, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// redactionContext is the additional data: "MUN1 redaction", rid, hash.
func redactionContext(rid vault.RID, hash [32]byte) []byte {
	return append(append([]byte(redactionDomain), rid[:]...), hash[:]...)
}

// explained gives the redactions that say why leaves of a copy are hidden: those
// that are applied, and those that the ledger says were carried out for ever, with
// this custodian's reports on that. A redaction that is not kept here any more is
// left out, and so is its report.
func (c *Custody) explained(o opened, applied []filed) (told []filed, reports [][]byte, err error) {
	told = slices.Clone(applied)
	view := c.config.View()
	index, ok, err := view.AnchorIndex(o.record.Office, o.record.Commitment)
	if err != nil || !ok {
		return told, nil, err
	}
	life, _, err := ledger.LifecycleOf(view, index)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range life.Decisions {
		d, erased, err := ledger.DispositionOf(view, entry)
		if err != nil {
			return nil, nil, err
		}
		if !erased {
			continue // a decision to withhold
		}
		if !slices.ContainsFunc(told, func(f filed) bool { return f.hash == d.Redaction }) {
			f, ok, err := c.redactionOf(o.record.RID, o.layout, d.Redaction)
			if err != nil {
				return nil, nil, err
			}
			if !ok {
				continue
			}
			told = append(told, f)
		}
		report, ok, err := c.reportOnPart(entry)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			reports = append(reports, report)
		}
	}
	return told, reports, nil
}

// reportOnPart gives the report of this custodian on a disposition about one record,
// unless it preserved that.
func (c *Custody) reportOnPart(disposition record.Index) (text []byte, ok bool, err error) {
	text, ok, err = c.vault.ReportText(disposition)
	if err != nil || !ok {
		return nil, false, damaged(err)
	}
	report, err := record.ParseErasureReport(text)
	if err != nil {
		return nil, false, damaged(err)
	}
	return text, report.Records[0].Outcome != record.RecordPreserved, nil
}
