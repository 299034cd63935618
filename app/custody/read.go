package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
)

// Read writes the original bytes of a record, each segment only after it was
// compared with its leaf hash. When it fails half-way, as where the record is
// locked meanwhile, what was written so far is genuine and incomplete.
func (c *Custody) Read(ctx context.Context, caller Caller, ref Ref, purpose Purpose, w io.Writer) error {
	q := request{caller, actionRead, ref, purpose}
	var o opened
	err := c.admit(q, func(found opened) error {
		if o = found; o.content(o.state.Hidden()) {
			return refuse(PartlyDestroyed, "parts of the record were destroyed: ask for a copy of the rest")
		}
		return c.release(q, o, record.ReleaseRead, nil, [32]byte{})
	})
	if err != nil {
		return err
	}
	leaves, err := c.vault.Leaves(o.record)
	if err != nil {
		return damaged(err)
	}
	looked := time.Now()
	return c.eachSegment(o, leaves, func(_ uint32, s commitment.Segment) error {
		if err := ctx.Err(); err != nil || s.Kind != commitment.Content {
			return err
		}
		if time.Since(looked) > lookAgain {
			if err := c.barred(o.record); err != nil {
				return c.refuseBarred(q, o.record, err)
			}
			looked = time.Now()
		}
		_, err := w.Write(s.Payload)
		return err
	})
}

// lookAgain is after how long a reader that takes its time has the ledger looked
// at again, or it could read on what was locked, and erased, meanwhile. Tests set it.
var lookAgain = time.Second

// Segment tells what a leaf is without opening its content to the reader.
type Segment struct {
	Leaf      uint32
	Kind      commitment.Kind
	Label     string // as "row 12" or "header Subject"
	Size      uint32 // bytes
	Oracle    bool   // hidden whenever content is hidden: it would betray it
	Destroyed bool
}

// Segments lists the leaves of a record: what a copy can hide, by which label.
func (c *Custody) Segments(ctx context.Context, caller Caller, ref Ref, purpose Purpose) (list []Segment, err error) {
	err = c.admit(request{caller, actionSegments, ref, purpose}, func(o opened) error {
		return c.withSegments(ctx, o, func(segments []commitment.Segment, _ [][32]byte) error {
			labels := commitment.Labels(o.record.Manifest.Profile, segments)
			list = make([]Segment, len(segments))
			for i, s := range segments {
				list[i] = Segment{Leaf: uint32(i), Kind: s.Kind, Label: labels[i], Oracle: s.Oracle}
				if o.state.Live(uint32(i)) {
					list[i].Size = o.facts[i].Size
				} else {
					list[i].Destroyed = true
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Extent is what a copy hides: what selectors name (see commitment.Locate), what
// filed redactions mark, and all that would betray either. What was destroyed is
// hidden always.
type Extent struct {
	Hide       []string
	Redactions [][32]byte // hashes
	WithName   bool       // file name and title are disclosed, unless a redaction hides them
}

// maxSelectors is how many selectors one request can have.
const maxSelectors = 1000

// Copy gives a CAR file that proves the record and withholds what the extent says.
func (c *Custody) Copy(ctx context.Context, caller Caller, ref Ref, purpose Purpose, e Extent) (car []byte, err error) {
	q := request{caller, actionCopy, ref, purpose}
	err = c.admit(q, func(o opened) error {
		applied, err := c.applied(o, e)
		if err != nil {
			return err
		}
		return c.withCopy(ctx, o, e, applied, func(made commitment.Copy) error {
			car = made.Marshal()
			return c.release(q, o, record.ReleaseCopy, made.Hidden(), sha256.Sum256(car))
		})
	})
	if err != nil {
		return nil, err
	}
	return car, nil
}

// Evidence gives a CAR file with a copy, the receipts that tie it to the ledger,
// the redactions that say why parts are hidden, and the reports on their erasure.
// Proofs provides the receipts; it is told the hashes of these redactions.
func (c *Custody) Evidence(ctx context.Context, caller Caller, ref Ref, purpose Purpose, e Extent, proofs func(redactions [][32]byte) ([][]byte, error)) (car []byte, err error) {
	q := request{caller, actionEvidence, ref, purpose}
	err = c.admit(q, func(o opened) error {
		applied, err := c.applied(o, e)
		if err != nil {
			return err
		}
		told, reports, err := c.explained(o, applied)
		if err != nil {
			return err
		}
		hashes := make([][32]byte, len(told))
		for i, f := range told {
			hashes[i] = f.hash
		}
		parts, err := proofs(hashes)
		if err != nil {
			return err
		}
		for _, f := range told {
			parts = append(parts, f.text)
		}
		parts = append(parts, reports...)
		return c.withCopy(ctx, o, e, applied, func(made commitment.Copy) error {
			if car, err = commitment.MarshalBundle(made, parts); err != nil {
				return refuseFor(err, TooLarge, "the evidence does not fit into one bundle: %v", err)
			}
			return c.release(q, o, record.ReleaseEvidence, made.Hidden(), sha256.Sum256(car))
		})
	})
	if err != nil {
		return nil, err
	}
	return car, nil
}

// applied gives the redactions that an extent names, each once.
func (c *Custody) applied(o opened, e Extent) (all []filed, err error) {
	if len(e.Hide) > maxSelectors || len(e.Redactions) > MaxRedactions {
		return nil, refuse(Malformed, "a copy takes at most %d selectors and %d redactions", maxSelectors, MaxRedactions)
	}
	for i, hash := range e.Redactions {
		if slices.Contains(e.Redactions[:i], hash) {
			continue
		}
		f, err := c.mustBeFiled(o, hash)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// withCopy makes a copy for use, which must be done with it when it returns.
func (c *Custody) withCopy(ctx context.Context, o opened, e Extent, applied []filed, use func(commitment.Copy) error) error {
	return c.withSegments(ctx, o, func(segments []commitment.Segment, leaves [][32]byte) error {
		hide, err := locate(o.record.Manifest.Profile, segments, e.Hide)
		if err != nil {
			return err
		}
		for _, f := range applied {
			hide = append(hide, f.Ranges()...)
		}
		for i, s := range segments {
			if !e.WithName && isTitle(s) {
				hide = append(hide, commitment.Range{First: uint32(i), Last: uint32(i)})
			}
		}
		made, err := commitment.NewCopy(o.record.Manifest, leaves, o.state, segments, commitment.Redact(segments, hide, e.WithName))
		if err != nil {
			return damaged(err)
		}
		return use(made)
	})
}

// withSegments opens all leaves of a record for use, which must be done with them
// when it returns.
func (c *Custody) withSegments(ctx context.Context, o opened, use func(segments []commitment.Segment, leaves [][32]byte) error) error {
	leaves, err := c.vault.Leaves(o.record)
	if err != nil {
		return damaged(err)
	}
	// The leaves, the copy made of them and its encoding.
	done, err := c.memory.take(ctx, 3*o.size())
	if err != nil {
		return err
	}
	defer done()
	segments, err := c.segments(o, leaves)
	if err != nil {
		return err
	}
	return use(segments, leaves)
}

func locate(p commitment.Profile, segments []commitment.Segment, selectors []string) (ranges []commitment.Range, err error) {
	for _, selector := range selectors {
		found, err := commitment.Locate(p, segments, selector)
		if err != nil {
			return nil, located(err)
		}
		for _, i := range found {
			ranges = append(ranges, commitment.Range{First: uint32(i), Last: uint32(i)})
		}
	}
	return ranges, nil
}

// located turns what commitment.Locate says of a selector into a refusal.
func located(err error) error {
	for _, is := range []error{commitment.ErrSelector, commitment.ErrNoMatch, commitment.ErrGaps} {
		if errors.Is(err, is) {
			return refuseFor(err, NoSuchSegment, "%v", err)
		}
	}
	return err
}
