package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// runFiled: the copy of runCopies by a redaction that is filed with a custodian,
// from the call to the last byte, with the release registered. After their erasure
// the same rows cost the same: BenchmarkRedactedCopy of app/custody has both.
func runFiled(b *bench) ([]result, error) {
	rows := b.count(100_000, 5000)
	made := result{name: fmt.Sprintf("the same copy of %d rows by a filed redaction, from the vault to the client", rows), unit: "s", target: atMost(1.5, "1.5 s")}
	n, err := b.node()
	if err != nil {
		return onlyBase(err, made), nil
	}
	conns, err := n.dial(department, 1)
	if err != nil {
		return onlyBase(err, made), nil
	}
	defer func() { _ = hangUp(conns) }()
	item, err := b.depositPermits(n, conns[0], rows)
	if err != nil {
		return onlyBase(err, made), nil
	}
	departments, ref := apiv1.NewDepartmentsClient(conns[0]), &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: item[:]}}
	text, err := everyThousandthRow(uint32(rows))
	if err != nil {
		return nil, err
	}
	filed, err := departments.FileRedaction(b.ctx, &apiv1.FileRedactionRequest{Record: ref, Redaction: text})
	if err != nil {
		return onlyBase(err, made), nil
	}
	request := &apiv1.CopyRequest{Record: ref, Purpose: apiv1.Purpose_PURPOSE_CASE_WORK, Redactions: [][]byte{filed.Hash}}
	for range b.rounds {
		sync, err := b.syncTime()
		if err != nil {
			return nil, err
		}
		before, begin := usageNow(n.child), time.Now()
		car, err := drained(departments.Copy(b.ctx, request))
		if err != nil {
			return onlyBase(err, made), nil
		}
		took := time.Since(begin)
		used, others := usageNow(n.child).since(before)
		made.ours, made.sync = append(made.ours, took.Seconds()), append(made.sync, sync)
		made.cpu, made.others = append(made.cpu, used.Seconds()*1e6), append(made.others, others)
		made.note = fmt.Sprintf("%d bytes of file", len(car))
		c, err := commitment.ParseCopy(car)
		if err != nil {
			return nil, err
		}
		if opened, err := c.Verify(item); err != nil || len(opened.Hidden) != rows/1000+1 {
			return nil, errors.Join(err, fmt.Errorf("%d runs are hidden", len(opened.Hidden)))
		}
	}
	return []result{made}, nil
}

// depositPermits deposits a table and anchors it.
func (b *bench) depositPermits(n *node, conn *grpc.ClientConn, rows int) (item commitment.Commitment, err error) {
	d := document{content: permits(rows)}
	_, _ = rand.Read(d.key[:])
	const profile = "csv/1;d=,"
	layout, err := commitment.Arrange(profile, d.content, nil)
	if err != nil {
		return item, err
	}
	m, _, err := commitment.Commit(commitment.NewState(d.key, layout.N()), layout)
	if err != nil {
		return item, err
	}
	d.commitment = m.Commitment()
	s := n.newSigner()
	if err := depositOne(b.ctx, conn, d, profile, s.today); err != nil {
		return item, err
	}
	tx, err := s.sign(&record.AnchorRecords{Series: series, Custody: custody, Items: []record.AnchorItem{{Commitment: record.Commitment(d.commitment), Day: s.day}}})
	if err != nil {
		return item, err
	}
	_, _, err = anchorAndReceipt(b.ctx, conn, tx)
	return d.commitment, err
}

// everyThousandthRow is a redaction of rows of a table without fields: leaf 0 is
// the digest.
func everyThousandthRow(rows uint32) ([]byte, error) {
	r := commitment.Redaction{Authority: "DEMO", Dated: "2026-11-01", Marks: []commitment.Mark{{Code: commitment.Betrays}}}
	_, _ = rand.Read(r.Salt[:])
	for _, hide := range everyThousandth(rows) {
		r.Marks = append(r.Marks, commitment.Mark{Range: hide, Code: "DEMO-1"})
	}
	return r.Marshal()
}

// drained reads a stream to its end.
func drained(stream grpc.ServerStreamingClient[apiv1.CopyResponse], err error) (all []byte, _ error) {
	for err == nil {
		var m *apiv1.CopyResponse
		if m, err = stream.Recv(); err == nil {
			all = append(all, m.Chunk...)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}
