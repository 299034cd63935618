package custody

import (
	"context"
	"errors"
	"io"

	"github.com/muniment/muniment/app/commitment"
)

// Read writes the original bytes of a record, each segment only after it was
// compared with its leaf hash. When it fails half-way, what was written so far is
// genuine and incomplete.
func (c *Custody) Read(ctx context.Context, caller Caller, ref Ref, purpose Purpose, w io.Writer) error {
	o, err := c.admit(request{caller, actionRead, ref, purpose})
	if err != nil {
		return err
	}
	for _, gone := range o.state.Hidden() {
		for leaf := gone.First; leaf <= gone.Last; leaf++ {
			if o.facts[leaf].Kind == commitment.Content {
				return refuse(PartlyDestroyed, "parts of the record were destroyed: ask for a copy of the rest")
			}
		}
	}
	leaves, err := c.vault.Leaves(o.record)
	if err != nil {
		return damaged(err)
	}
	return c.eachSegment(o, leaves, func(_ uint32, s commitment.Segment) error {
		if err := ctx.Err(); err != nil || s.Kind != commitment.Content {
			return err
		}
		_, err := w.Write(s.Payload)
		return err
	})
}

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
func (c *Custody) Segments(ctx context.Context, caller Caller, ref Ref, purpose Purpose) ([]Segment, error) {
	o, segments, release, err := c.openAll(ctx, request{caller, actionSegments, ref, purpose})
	if err != nil {
		return nil, err
	}
	defer release()
	labels := commitment.Labels(o.record.Manifest.Profile, segments)
	list := make([]Segment, len(segments))
	for i, s := range segments {
		list[i] = Segment{
			Leaf: uint32(i), Kind: s.Kind, Label: labels[i], Size: o.facts[i].Size, Oracle: s.Oracle,
			Destroyed: !o.state.Live(uint32(i)),
		}
	}
	return list, nil
}

// Copy gives a CAR file that proves the record and withholds what the selectors
// name (see commitment.Locate), with all that would betray it. Unless withName is
// set, file name and title are withheld too.
func (c *Custody) Copy(ctx context.Context, caller Caller, ref Ref, purpose Purpose, hide []string, withName bool) ([]byte, error) {
	made, release, err := c.redacted(ctx, request{caller, actionCopy, ref, purpose}, hide, withName)
	if err != nil {
		return nil, err
	}
	defer release()
	return made.Marshal(), nil
}

// Evidence gives a CAR file with a copy and the receipts that tie it to the
// ledger, which the caller of this package provides. File name and title are
// disclosed.
func (c *Custody) Evidence(ctx context.Context, caller Caller, ref Ref, purpose Purpose, hide []string, receipts [][]byte) ([]byte, error) {
	made, release, err := c.redacted(ctx, request{caller, actionEvidence, ref, purpose}, hide, true)
	if err != nil {
		return nil, err
	}
	defer release()
	bundle, err := commitment.MarshalBundle(made, receipts)
	if err != nil {
		return nil, refuseFor(err, Malformed, "%v", err)
	}
	return bundle, nil
}

// redacted admits a request and makes a copy. Whoever is done with it calls release.
func (c *Custody) redacted(ctx context.Context, q request, hide []string, withName bool) (_ commitment.Copy, release func(), err error) {
	o, segments, release, err := c.openAll(ctx, q)
	if err != nil {
		return commitment.Copy{}, nil, err
	}
	made, err := c.redact(o, segments, hide, withName)
	if err != nil {
		release()
		return commitment.Copy{}, nil, err
	}
	return made, release, nil
}

func (c *Custody) redact(o opened, segments []commitment.Segment, hide []string, withName bool) (commitment.Copy, error) {
	ranges, err := locate(o.record.Manifest.Profile, segments, hide)
	if err != nil {
		return commitment.Copy{}, err
	}
	for i, s := range segments {
		if !withName && isTitle(s) {
			ranges = append(ranges, commitment.Range{First: uint32(i), Last: uint32(i)})
		}
	}
	leaves, err := c.vault.Leaves(o.record)
	if err != nil {
		return commitment.Copy{}, damaged(err)
	}
	made, err := commitment.NewCopy(o.record.Manifest, leaves, o.state, segments, commitment.Redact(segments, ranges, withName))
	if err != nil {
		return commitment.Copy{}, damaged(err)
	}
	return made, nil
}

// openAll admits a request and opens all leaves of the record. Whoever is done
// with them calls release.
func (c *Custody) openAll(ctx context.Context, q request) (_ opened, _ []commitment.Segment, release func(), err error) {
	o, err := c.admit(q)
	if err != nil {
		return opened{}, nil, nil, err
	}
	leaves, err := c.vault.Leaves(o.record)
	if err != nil {
		return opened{}, nil, nil, damaged(err)
	}
	// The leaves, the copy made of them and its encoding.
	if release, err = c.memory.take(ctx, 3*o.size()); err != nil {
		return opened{}, nil, nil, err
	}
	segments, err := c.segments(o, leaves)
	if err != nil {
		release()
		return opened{}, nil, nil, err
	}
	return o, segments, release, nil
}

func locate(p commitment.Profile, segments []commitment.Segment, selectors []string) (ranges []commitment.Range, err error) {
	for _, selector := range selectors {
		found, err := commitment.Locate(p, segments, selector)
		switch {
		case errors.Is(err, commitment.ErrSelector), errors.Is(err, commitment.ErrNoMatch), errors.Is(err, commitment.ErrGaps):
			return nil, refuseFor(err, NoSuchSegment, "%v", err)
		case err != nil:
			return nil, err
		}
		for _, i := range found {
			ranges = append(ranges, commitment.Range{First: uint32(i), Last: uint32(i)})
		}
	}
	return ranges, nil
}
