//go:build chaos

package chaos

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// The load, bounded so that two cores have time for faults.
const (
	anchorers  = 6
	readers    = 2
	clerks     = 2 // who hold, release and dispose
	keepers    = 2 // who deposit content, read it, and have it destroyed
	pace       = 40 * time.Millisecond
	answerTime = 6 * time.Second
	mostTries  = 40
)

// load runs all workers until the recorder is told to stop.
func (r *recording) load() error {
	var workers []func(*worker) error
	for range anchorers {
		workers = append(workers, (*worker).anchor)
	}
	for range readers {
		workers = append(workers, (*worker).read)
	}
	for range clerks {
		workers = append(workers, (*worker).dispose)
	}
	for range keepers {
		workers = append(workers, (*worker).keep)
	}
	failed := make(chan error, len(workers))
	for n, work := range workers {
		w := &worker{
			recording: r, name: fmt.Sprintf("%s-%d", r.Name, n), random: rand.New(rand.NewPCG(r.Seed, uint64(n))),
			tick: time.NewTicker(pace),
		}
		go func() {
			defer w.tick.Stop()
			failed <- work(w)
		}()
	}
	for range workers {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// A worker makes one operation after the other.
type worker struct {
	*recording
	name   string
	count  int
	random *rand.Rand
	tick   *time.Ticker
}

// rest keeps a worker to its pace.
func (w *worker) rest() {
	select {
	case <-w.tick.C:
	case <-w.stop:
	}
}

// next names an operation.
func (w *worker) next(k kind) operation {
	w.count++
	return operation{ID: fmt.Sprintf("%s-%d", w.name, w.count), Kind: k}
}

// submit signs a message and hands it in, at one node after the other until one
// answers; where only once is set, a first try without an answer is the last.
func (w *worker) submit(o operation, m record.Message, once bool) (operation, error) {
	body, err := record.NewBody(w.network.ID, o.nonce(), w.Day+5, m)
	if err != nil {
		return o, err
	}
	raw, err := record.Sign(keyOf(string(o.Office), "signing"), body)
	if err != nil {
		return o, err
	}
	first := w.random.IntN(len(w.clients))
	for o.Outcome == "" || o.Outcome == outcomeUnknown && !once && o.Try < mostTries && !w.stopped() {
		if o.Try > 0 {
			w.rest()
		}
		n := (first + o.Try) % len(w.clients)
		o.Try++
		o.Node, o.Event, o.Outcome, o.Reason = n+1, called, "", ""
		if err := w.write(o); err != nil {
			return o, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		w.clients[n].submit(ctx, raw, &o)
		cancel()
		o.Event = returned
		if err := w.write(o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// anchor anchors records, singly and in batches.
func (w *worker) anchor() error {
	for !w.stopped() {
		items := 1
		switch w.random.IntN(12) {
		case 0:
			items = 100
		case 1, 2, 3:
			items = 2 + w.random.IntN(7)
		}
		if _, err := w.anchorSome(items, w.Day, w.random.IntN(3) == 0); err != nil {
			return err
		}
		w.rest()
	}
	return nil
}

func (w *worker) anchorSome(items int, day record.Day, once bool) (operation, error) {
	o := w.next(anchors)
	o.Office = department
	m := &record.AnchorRecords{Series: series}
	for i := range items {
		commitment := sha256.Sum256(fmt.Appendf(nil, "%s, item %d", o.ID, i))
		o.Commitments = append(o.Commitments, commitment)
		m.Items = append(m.Items, record.AnchorItem{Commitment: commitment, Day: day})
	}
	o, err := w.submit(o, m, once)
	if err == nil && o.Outcome == outcomeOK {
		w.knownMu.Lock()
		defer w.knownMu.Unlock()
		for i, c := range o.Commitments {
			w.known = append(w.known, known{record.Commitment(c), o.Index + record.Index(i)})
		}
	}
	return o, err
}

// read asks for records and receipts that were acknowledged, of any node.
func (w *worker) read() error {
	for !w.stopped() {
		w.rest()
		w.knownMu.Lock()
		var k known
		if n := len(w.known); n > 0 {
			k = w.known[w.random.IntN(n)]
		}
		w.knownMu.Unlock()
		if k.index == 0 {
			continue
		}
		ask := w.readRecord
		if w.random.IntN(4) == 0 {
			ask = w.readReceipt
		}
		n := w.random.IntN(len(w.clients))
		ctx, cancel := context.WithTimeout(context.Background(), answerTime)
		err := ask(ctx, n, k)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) readRecord(ctx context.Context, n int, k known) error {
	o := w.next(reads)
	o.Event, o.Try, o.Node, o.Commitments = called, 1, n+1, []hexBytes{hexBytes(k.commitment)}
	if err := w.write(o); err != nil {
		return err
	}
	r, err := w.clients[n].departments.Record(ctx, &apiv1.RecordRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: k.commitment[:]}}})
	o.Event = returned
	o.Outcome, o.Reason = outcome("OK", err)
	if status.Code(err) == codes.NotFound {
		o.Outcome = outcomeFail
	}
	if err == nil {
		o.Index, o.Locked = record.Index(r.Index), r.Disposition != nil
	}
	return w.write(o)
}

// readReceipt asks for a receipt, verifies it by the network file alone, and keeps it.
func (w *worker) readReceipt(ctx context.Context, n int, k known) error {
	o := w.next(receipts)
	o.Event, o.Try, o.Node, o.Commitments, o.Index = called, 1, n+1, []hexBytes{hexBytes(k.commitment)}, k.index
	if err := w.write(o); err != nil {
		return err
	}
	r, err := w.clients[n].departments.Receipt(ctx, &apiv1.ReceiptRequest{Index: uint64(k.index)})
	o.Event = returned
	o.Outcome, o.Reason = outcome("OK", err)
	if status.Code(err) == codes.NotFound {
		o.Outcome = outcomeFail // this node is not there yet
	}
	if err == nil {
		if err := w.verify(ctx, n, r.Receipt); err != nil {
			return fmt.Errorf("receipt of entry %d by node %d: %w", k.index, n+1, err)
		}
		if err := os.WriteFile(filepath.Join(w.Receipts, fmt.Sprintf("%d-%s", k.index, filepath.Base(o.ID))), r.Receipt, 0o600); err != nil {
			return err
		}
	}
	return w.write(o)
}

// verify verifies a receipt by the network file, and where the keys of the network
// have changed since by that file as the node's handovers extend it.
func (w *worker) verify(ctx context.Context, n int, text []byte) error {
	_, err := receipt.Verify(w.network, text)
	if err == nil {
		return nil
	}
	later, failed := w.clients[n].follow(ctx, w.network)
	if failed != nil {
		return fmt.Errorf("%w; the network file cannot be extended: %w", err, failed)
	}
	_, err = receipt.Verify(later, text)
	return err
}

// fork gives chances that follow from others.
func fork(random *rand.Rand) *rand.Rand {
	return rand.New(rand.NewPCG(random.Uint64(), random.Uint64()))
}
