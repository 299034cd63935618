//go:build chaos

package chaos

import (
	"context"
	crypto "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// keep deposits documents with custodians, anchors them, reads them, and has some of
// them destroyed.
func (w *worker) keep() error {
	var kept []operation // the anchors
	for !w.stopped() {
		made, err := w.deposit()
		if err != nil {
			return err
		}
		if made.Outcome == outcomeOK {
			kept = append(kept, made)
			if w.random.IntN(3) == 0 {
				if err := w.destroy(made.Index); err != nil {
					return err
				}
			}
		}
		for range min(len(kept), 3) {
			if err := w.open(kept[w.random.IntN(len(kept))]); err != nil {
				return err
			}
			w.rest()
		}
	}
	return nil
}

// deposit leaves a document with one custodian and anchors it. No other document has
// its words.
func (w *worker) deposit() (operation, error) {
	o := w.next(deposits)
	var secret [12]byte
	crypto.Read(secret[:])
	o.Content = fmt.Sprintf("Minutes %s.\n\nThey name %x.\n\nThe meeting rose.\n", o.ID, secret)
	layout, err := commitment.Arrange(commitment.Choose("minutes.txt", []byte(o.Content)), []byte(o.Content), nil)
	if err != nil {
		return o, err
	}
	var key commitment.RecordKey
	crypto.Read(key[:])
	manifest, _, err := commitment.Commit(commitment.NewState(key, layout.N()), layout)
	if err != nil {
		return o, err
	}
	commits := manifest.Commitment()
	o.Commitments = []hexBytes{hexBytes(commits)}
	o.Node, o.Try, o.Event = custodians[w.random.IntN(len(custodians))], 1, called
	if err := w.write(o); err != nil {
		return o, err
	}
	err = w.clients[o.Node-1].deposit(&apiv1.DepositHeader{
		Series: string(series), Custody: string(custody), NotAfterDay: uint32(w.Day + 5), RecordKey: key[:], ExpectedCommitment: commits[:],
		Profile: string(commitment.Choose("minutes.txt", []byte(o.Content))), Size: uint64(len(o.Content)),
	}, o.Content)
	o.Event = returned
	o.Outcome, o.Reason = outcome("OK", err)
	if err := w.write(o); err != nil || o.Outcome != outcomeOK {
		return o, err
	}
	a := w.next(anchors)
	a.Office, a.Commitments = department, o.Commitments
	return w.submit(a, &record.AnchorRecords{Series: series, Custody: custody, Items: []record.AnchorItem{{Commitment: record.Commitment(commits), Day: w.Day - oldDays}}}, false)
}

func (c *client) deposit(header *apiv1.DepositHeader, content string) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	stream, err := c.departments.Deposit(ctx)
	if err != nil {
		return err
	}
	for _, m := range []*apiv1.DepositRequest{{Part: &apiv1.DepositRequest_Header{Header: header}}, {Part: &apiv1.DepositRequest_Chunk{Chunk: []byte(content)}}} {
		if err := stream.Send(m); err != nil {
			break // the answer says why
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// destroy has a record locked, which its custodians then destroy.
func (w *worker) destroy(index record.Index) error {
	o := w.next(proposes)
	o.Office, o.Records = department, []record.Index{index}
	proposal := &record.ProposeDisposition{Series: series, Action: record.ActionDestroy, Records: o.Records}
	body, err := record.NewBody(w.network.ID, o.nonce(), w.Day+5, proposal)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(body)
	proposed, err := w.submit(o, proposal, false)
	if err != nil || proposed.Outcome != outcomeOK {
		return err
	}
	o = w.next(approves)
	o.Office, o.About = clerk, proposed.Index
	if _, err := w.submit(o, &record.ApproveDisposition{Disposition: proposed.Index, Hash: hash}, false); err != nil {
		return err
	}
	return w.locks(proposed.Index, hash, nil)
}

// open reads a document at one of its custodians.
func (w *worker) open(made operation) error {
	o := w.next(openings)
	o.Event, o.Try, o.Node, o.Commitments, o.Index = called, 1, custodians[w.random.IntN(len(custodians))], made.Commitments, made.Index
	if err := w.write(o); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	w.clients[o.Node-1].open(ctx, &o)
	return w.write(o)
}

// open reads a document, and puts the answer into o.
func (c *client) open(ctx context.Context, o *operation) {
	stream, err := c.departments.Read(ctx, &apiv1.ReadRequest{
		Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(o.Index)}}, Purpose: apiv1.Purpose_PURPOSE_CASE_WORK,
	})
	var got strings.Builder
	for err == nil {
		var m *apiv1.ReadResponse
		if m, err = stream.Recv(); err == nil {
			got.Write(m.Chunk)
		}
	}
	o.Event, o.Outcome, o.Content = returned, outcomeOK, got.String()
	if !errors.Is(err, io.EOF) {
		o.Outcome, o.Reason = outcomeFail, status.Convert(err).Message()
	}
}
