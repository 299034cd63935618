package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	homes "github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const (
	depositors = 64  // deposits in flight where records are made ready
	anchorRate = 50  // each second, beside erasure
	roundItems = 20  // records that a round beside anchors destroys
	readyItems = 800 // records made ready for the rounds of one phase
	slowRounds = 5 * time.Second
)

// archive is a node of its own with 100,000 records of one ring, deposited and
// anchored one by one, and a schedule under which older ones are due.
type archive struct {
	shelves
	socket *grpc.ClientConn // the operator's
}

// newArchive gives the archive, made with the first row that needs it.
func (b *bench) newArchive() (*archive, error) {
	if b.archive != nil {
		return b.archive, nil
	}
	n, err := b.startNode()
	if err != nil {
		return nil, err
	}
	a := &archive{shelves: shelves{node: n, b: b}}
	if a.conns, err = n.dial(department, 4); err == nil {
		err = a.adopt("60 days after created")
	}
	if err == nil {
		a.socket, err = grpc.NewClient("unix:"+homes.Home(n.home).Socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	all := b.count(ringRecords, 2000)
	b.logf("depositing %d records", all)
	for begin := time.Now(); err == nil && all > 0; all -= batchItems {
		if _, err = a.records(batchItems, 0); err == nil && all == batchItems {
			b.logf("it took %v", time.Since(begin).Round(time.Second))
		}
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	b.archive = a
	return a, nil
}

func (a *archive) close() error {
	err := errors.Join(hangUp(a.conns), a.stop())
	if a.socket != nil {
		err = errors.Join(a.socket.Close(), err)
	}
	return err
}

// runErasure: a batch of 1,000 records destroyed, from the operator's word to the
// report on the ledger.
func runErasure(b *bench) ([]result, error) {
	items := b.count(1000, 50)
	r := result{name: fmt.Sprintf("erasure of %s records in one batch, ring of %s", number(float64(items)), number(float64(b.count(ringRecords, 2000)))), unit: "s",
		target: atMost(2, "2 s"), clients: "1", note: "until keys are destroyed and the report is on the ledger"}
	a, err := b.newArchive()
	if err != nil {
		return nil, err
	}
	for round := range b.rounds {
		d, err := a.approved(items, items)
		if err != nil {
			return nil, err
		}
		if err := a.lock(d[0]); err != nil {
			return nil, err
		}
		sync, err := b.syncTime()
		if err != nil {
			return nil, err
		}
		before := usageNow(a.child)
		if err := b.profiled(a.node, func() error { return a.erase(b.ctx, items) }); err != nil {
			return nil, err
		}
		after := usageNow(a.child)
		used, others := after.since(before)
		r.ours, r.cpu = append(r.ours, after.at.Sub(before.at).Seconds()), append(r.cpu, used.Seconds()*1e6/float64(items))
		r.sync, r.others = append(r.sync, sync), append(r.others, others)
		b.logf("round %d: %s s", round+1, number(r.ours[round]))
	}
	return []result{r}, nil
}

// runBesideErasure: deposits that are anchored one by one, 50 each second whether or
// not the last ones are answered, into a ring of 100,000 that is at rest, that is
// rotated without a pause, and that is rotated every five seconds.
func runBesideErasure(b *bench) ([]result, error) {
	name := fmt.Sprintf("deposit and anchor, %d each second, p99", anchorRate)
	target := ratioAtMost(2, "at most twice that at rest")
	rest := result{name: name + ", nothing erased", unit: "ms"}
	busy := result{name: name + ", one erasure after the other", unit: "ms", baseline: "at rest", target: target}
	slow := result{name: name + ", an erasure each 5 s", unit: "ms", baseline: "at rest", target: target}
	a, err := b.newArchive()
	if err != nil {
		return nil, err
	}
	for round := range b.rounds {
		for _, phase := range []struct {
			r     *result
			every time.Duration
		}{{&rest, -1}, {&busy, 0}, {&slow, slowRounds}} {
			if err := a.phase(phase.r, phase.every); err != nil {
				return nil, err
			}
		}
		p99 := rest.ours[round]
		busy.base, slow.base = append(busy.base, p99), append(slow.base, p99)
		b.logf("round %d: p99 at rest %s, beside one erasure after the other %s, each 5 s %s ms", round+1, number(p99), number(busy.ours[round]), number(slow.ours[round]))
	}
	return []result{rest, busy, slow}, nil
}

// phase anchors for ten seconds while records are erased every so often; below zero:
// never. It adds the 99th percentile.
func (a *archive) phase(r *result, every time.Duration) error {
	n := a.b.count(10*anchorRate, anchorRate)
	ready, err := a.drafts(n, 0)
	if err != nil {
		return err
	}
	var dispositions []proposed
	if every >= 0 {
		if dispositions, err = a.approved(a.b.count(readyItems, 4*roundItems), roundItems); err != nil {
			return err
		}
	}
	sync, err := a.b.syncTime()
	if err != nil {
		return err
	}
	before := usageNow(a.child)
	var times samples
	var rounds int
	err = a.b.profiled(a.node, func() error {
		stop := make(chan struct{})
		erased := make(chan error, 1)
		go func() {
			var err error
			rounds, err = a.rounds(stop, dispositions, every)
			erased <- err
		}()
		var failed error
		times, failed = openLoop(ready, func(i int, d draft) error { return a.keep(a.conns[i%len(a.conns)], d) })
		close(stop)
		return errors.Join(failed, <-erased)
	})
	if err != nil {
		return err
	}
	used, others := usageNow(a.child).since(before)
	r.ours, r.sync = append(r.ours, times.quantile(0.99)), append(r.sync, sync)
	r.cpu, r.others = append(r.cpu, used.Seconds()*1e6/float64(n)), append(r.others, others)
	r.clients = fmt.Sprintf("%d connections, open loop", len(a.conns))
	r.note = fmt.Sprintf("p50 %s ms, longest %s ms, %d erasures in %d s, in the last round", number(times.median()), number(times.quantile(1)), rounds, n/anchorRate)
	return nil
}

// rounds erases one disposition after the other until stop, and gives how many.
func (a *archive) rounds(stop <-chan struct{}, all []proposed, every time.Duration) (done int, err error) {
	for _, d := range all {
		pause := time.After(every)
		select {
		case <-stop:
			return done, nil
		default:
		}
		if err := a.lock(d); err != nil {
			return done, err
		}
		if err := a.erase(a.b.ctx, roundItems); err != nil {
			return done, err
		}
		done++
		select {
		case <-stop:
			return done, nil
		case <-pause:
		}
	}
	return done, nil
}

// openLoop does n things at the rate, each at its time whether or not the last ones
// are done, and gives how long after its time each was done, in milliseconds.
func openLoop(drafts []draft, do func(i int, d draft) error) (samples, error) {
	times, errs := make(samples, len(drafts)), make([]error, len(drafts))
	var all sync.WaitGroup
	begin := time.Now()
	for i, d := range drafts {
		due := begin.Add(time.Duration(i) * time.Second / anchorRate)
		time.Sleep(time.Until(due))
		all.Go(func() {
			errs[i] = do(i, d)
			times[i] = milliseconds(time.Since(due))
		})
	}
	all.Wait()
	return times, errors.Join(errs...)
}

// draft is a document of a few lines, and the transaction that anchors it.
type draft struct {
	document
	anchor []byte
}

// drafts makes documents whose days lie so many days back.
func (a *archive) drafts(n int, back record.Day) ([]draft, error) {
	all, s := make([]draft, n), a.newSigner()
	random := newRandom()
	for i := range all {
		d, err := documentOf(fmt.Appendf(nil, "Permit %d-%x: approved with the usual conditions.\n", i, random.Uint64()))
		if err != nil {
			return nil, err
		}
		all[i].document = d
		if all[i].anchor, err = s.sign(anchorOf(s.day-back, d)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func anchorOf(day record.Day, documents ...document) *record.AnchorRecords {
	m := &record.AnchorRecords{Series: series, Custody: custody, Items: make([]record.AnchorItem, len(documents))}
	for i, d := range documents {
		m.Items[i] = record.AnchorItem{Commitment: record.Commitment(d.commitment), Day: day}
	}
	return m
}

// keep deposits a document and anchors it.
func (a *archive) keep(conn *grpc.ClientConn, d draft) error {
	if err := depositOne(a.b.ctx, conn, d.document, depositProfile, record.LedgerDay(time.Now().UnixNano())); err != nil {
		return err
	}
	r, err := apiv1.NewDepartmentsClient(conn).Submit(a.b.ctx, &apiv1.SubmitRequest{Transaction: d.anchor})
	if err == nil && r.Reason != "OK" {
		err = fmt.Errorf("anchor refused: %s", r.Reason)
	}
	return err
}

// proposed is a disposition that has its approval.
type proposed struct {
	index record.Index
	hash  [32]byte
}

// approved deposits records of long ago, anchors them, and has their destruction
// approved, so many in each disposition.
func (a *archive) approved(records, each int) (all []proposed, err error) {
	first, err := a.records(records, 1000)
	if err != nil {
		return nil, err
	}
	for at := 0; at < records; at += each {
		m := &record.ProposeDisposition{Series: series, Action: record.ActionDestroy}
		for i := range each {
			m.Records = append(m.Records, first+record.Index(at+i))
		}
		var d proposed
		if d.index, d.hash, err = a.act(department, m); err != nil {
			return nil, err
		}
		if _, _, err := a.act(clerk, &record.ApproveDisposition{Disposition: d.index, Hash: d.hash}); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// records deposits small records and anchors them in one transaction, with a day so
// many days back, and gives the entry of the first.
func (a *archive) records(n int, back record.Day) (first record.Index, err error) {
	documents := make([]document, n)
	_, _, err = flood(n, depositors, func(worker, i int) (err error) {
		if documents[i], err = documentOf(fmt.Appendf(nil, "Minutes %d-%x.\n", i, newRandom().Uint64())); err != nil {
			return err
		}
		return depositOne(a.b.ctx, a.conns[worker%len(a.conns)], documents[i], depositProfile, record.LedgerDay(time.Now().UnixNano()))
	})
	if err != nil {
		return 0, err
	}
	first, _, err = a.act(department, anchorOf(a.newSigner().today-back, documents...))
	return first, err
}

func (a *archive) lock(d proposed) error {
	_, _, err := a.act(operator, &record.LockDisposition{Disposition: d.index, Hash: d.hash})
	return err
}

// act has a message of an office committed, and gives the entry of its first item
// and the hash that approvals bind.
func (a *archive) act(office string, m record.Message) (record.Index, [32]byte, error) {
	var nonce record.Nonce
	s := a.signerFor(office)
	_, _ = s.random.Read(nonce[:])
	body, err := record.NewBody(s.network, nonce, s.today+2, m)
	if err != nil {
		return 0, [32]byte{}, err
	}
	tx, err := record.Sign(s.key, body)
	if err != nil {
		return 0, [32]byte{}, err
	}
	r, err := a.submit(tx)
	if err != nil {
		return 0, [32]byte{}, fmt.Errorf("%T of %s: %w", m, office, err)
	}
	return record.Index(r.TransactionIndex) + 1, sha256.Sum256(body), nil
}

// erase has the node carry out what is locked, as munimentd erase does.
func (a *archive) erase(ctx context.Context, records int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := apiv1.NewOperatorsClient(a.socket).Erase(ctx, &apiv1.EraseRequest{})
	if err == nil && (r.Destroyed != uint64(records) || len(r.Dispositions) != 1) {
		err = fmt.Errorf("%d records of %d dispositions are destroyed, not %d of one; waiting: %v", r.Destroyed, len(r.Dispositions), records, r.Waiting)
	}
	return err
}
