package rpc

import (
	"context"
	"errors"
	"slices"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// Certificate gives the certificate of destruction of a record, or of the erasure
// of parts of it, as far as it has come: reports that are due, and texts of
// reports that other custodians keep, are named in it.
func (s *staff) Certificate(ctx context.Context, r *apiv1.CertificateRequest) (*apiv1.CertificateResponse, error) {
	department, err := departmentOr(ctx, r.Department)
	if err != nil {
		return nil, err
	}
	index, anchor, err := s.server.anchorOf(s.server.options.State.View(), department, r.Record)
	if err != nil {
		return nil, err
	}
	view, signed, err := s.server.cosignedView(ctx)
	if err != nil {
		return nil, err
	}
	at, d, err := erasureOf(view, index, r.Disposition)
	if err != nil {
		return nil, err
	}
	c := certificateMaker{server: s.server, view: view, signed: signed, index: index, anchor: anchor, at: at, disposition: d}
	parts, err := c.parts(ctx)
	if err != nil {
		return nil, err
	}
	head := view.Head()
	file, err := receipt.NewCertificate(receipt.Network{ID: head.Network, ChainID: head.ChainID, Origin: head.Origin}, parts)
	if errors.Is(err, receipt.ErrTooLarge) {
		return nil, refuse(reasonTooLarge, "the certificate of record %d is larger than one may be: ask for receipts and reports", index)
	}
	if err != nil {
		return nil, err
	}
	return &apiv1.CertificateResponse{File: file}, nil
}

// cosignedView gives a view whose whole log is a cosigned tree, and its checkpoint.
func (s *Server) cosignedView(ctx context.Context) (ledger.View, []byte, error) {
	const attempts = 8
	for range attempts {
		view := s.options.Node.View()
		size := view.Head().Size
		signed, treeSize, err := s.options.Node.Cosigned(ctx, size)
		if err != nil {
			return nil, nil, err
		}
		if treeSize == size {
			return view, signed, nil
		}
	}
	return nil, nil, refuse(reasonBusy, "the ledger grows faster than state receipts can be made: try again")
}

// erasureOf finds the locked disposition that destroys a record or parts of it:
// the one that is named, or else the one under which it is locked, or that erased
// last.
func erasureOf(view ledger.View, index record.Index, named uint64) (record.Index, ledger.Disposition, error) {
	candidates := []record.Index{record.Index(named)}
	if named == 0 {
		life, _, err := ledger.LifecycleOf(view, index)
		if err != nil {
			return 0, ledger.Disposition{}, err
		}
		candidates = []record.Index{life.Disposition}
		for _, decision := range slices.Backward(life.Decisions) {
			candidates = append(candidates, decision)
		}
	}
	for _, at := range candidates {
		if at <= 0 {
			continue
		}
		d, ok, err := ledger.DispositionOf(view, at)
		if err != nil {
			return 0, ledger.Disposition{}, err
		}
		if ok && d.Lock != 0 && (d.Action == record.ActionDestroy || d.Action == record.ActionRedact) {
			return at, d, nil
		}
	}
	if named != 0 {
		return 0, ledger.Disposition{}, refuse(reasonNotFound, "under entry %d nothing of record %d is destroyed or was", named, index)
	}
	return 0, ledger.Disposition{}, refuse(reasonNotFound, "nothing of record %d is destroyed or was: no such disposition of it is locked", index)
}

// certificateMaker collects the parts of a certificate.
type certificateMaker struct {
	server      *Server
	view        ledger.View
	signed      []byte // checkpoint of the view's whole log
	index       record.Index
	anchor      record.AnchorEntry
	at          record.Index
	disposition ledger.Disposition
}

func (c *certificateMaker) parts(ctx context.Context) (p receipt.Parts, err error) {
	records, err := ledger.RecordsOf(c.view, c.disposition)
	if err != nil {
		return receipt.Parts{}, err
	}
	place, ours := slices.BinarySearch(records, c.index)
	if !ours {
		return receipt.Parts{}, refuse(reasonNotFound, "disposition %d is not about record %d", c.at, c.index)
	}
	item := c.disposition.Lock + 1 + record.Index(place)
	if p.Legality, err = receipt.NewLegality(c.view.Head().Network, c.server.legalitySource(c.view), int64(item), c.signed); err != nil {
		return receipt.Parts{}, err
	}
	if p.Holds, err = c.holds(ctx); err != nil {
		return receipt.Parts{}, err
	}
	if p.State, err = c.state(ledger.StateKeyDisposition(c.at)); err != nil {
		return receipt.Parts{}, err
	}
	p.Reports, err = c.reports(ctx)
	return p, err
}

// state makes the state receipt of a key.
func (c *certificateMaker) state(key []byte) ([]byte, error) {
	resp, err := c.server.stateReceipt(c.view, key, c.signed)
	if err != nil {
		return nil, err
	}
	return resp.Receipt, nil
}

// holds makes the proof of holds on the record (docs/spec/held.md).
func (c *certificateMaker) holds(ctx context.Context) ([]byte, error) {
	anchored, err := c.server.receiptFor(ctx, int64(c.index))
	if err != nil {
		return nil, err
	}
	lists := ledger.HeldKeys(c.anchor)
	keys := append(lists[:], ledger.StateKeyLifecycle(c.index))
	holds, err := ledger.HoldsOn(c.view, c.index)
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		keys = append(keys, ledger.StateKeyHold(h.Hold))
	}
	text := append([]byte(receipt.HeldDomain), anchored...)
	for _, key := range keys {
		one, err := c.state(key)
		if err != nil {
			return nil, err
		}
		text = append(text, one...)
	}
	return text, nil
}

// reports makes the receipts of the reports that were given, each with its text
// where this custodian keeps it.
func (c *certificateMaker) reports(ctx context.Context) (list []receipt.ReportPart, err error) {
	var text []byte
	if c.server.options.Custody != nil {
		if text, _, err = c.server.options.Custody.ErasureReport(c.at); err != nil {
			return nil, err
		}
	}
	hash := record.HashErasureReport(text)
	for _, r := range c.disposition.Reports {
		if r.Entry == 0 {
			continue
		}
		part := receipt.ReportPart{}
		if part.Receipt, err = c.server.receiptFor(ctx, int64(r.Entry)); err != nil {
			return nil, err
		}
		said, err := ledger.ReportedIn(c.view, r.Entry)
		if err != nil {
			return nil, err
		}
		if len(text) > 0 && said.Report == hash {
			part.Text = text
		}
		list = append(list, part)
	}
	return list, nil
}
