package main

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// runReceipts: the time from handing in one anchor to holding its receipt, one
// each second, beside one bare commit in the middle of the same seconds.
func runReceipts(b *bench) ([]result, error) {
	each := b.count(20, 3)
	var ours, bare, commits samples
	const name = "one anchor to its receipt, one validator, one each second"
	p50 := result{name: name + ", p50", unit: "ms", baseline: "bare commit, p50", target: ratioAtMost(2.5, "at most 2.5 (about 25 ms)"), clients: "1"}
	p99 := result{name: name + ", p99", unit: "ms", baseline: "bare commit, p99", target: atMost(60, "60 ms"), clients: "1"}
	closed := result{name: "bare commit, closed loop, p50", unit: "ms", clients: "1"}
	second := time.NewTicker(500 * time.Millisecond)
	defer second.Stop()
	var failed error
	for round := range b.rounds {
		sync, err := b.syncTime()
		if err != nil {
			return nil, err
		}
		p50.sync = append(p50.sync, sync)
		var oursNow, bareNow, closedNow samples
		for range b.count(100, 5) {
			if closedNow, err = b.bareCommit(closedNow); err != nil {
				return nil, err
			}
		}
		n, err := b.node()
		failed = err
		for range each {
			<-second.C
			if bareNow, err = b.bareCommit(bareNow); err != nil {
				return nil, err
			}
			<-second.C
			if failed == nil {
				oursNow, commits, failed = b.receipt(n, oursNow, commits)
			}
		}
		ours, bare = append(ours, oursNow...), append(bare, bareNow...)
		p50.base, closed.ours = append(p50.base, bareNow.median()), append(closed.ours, closedNow.median())
		if failed == nil {
			p50.ours = append(p50.ours, oursNow.median())
		}
		b.logf("round %d: ours %s, bare %s ms, bare in a closed loop %s", round+1, number(oursNow.median()), number(bareNow.median()), number(closedNow.median()))
	}
	p99.base, p99.sync = samples{bare.quantile(0.99)}, p50.sync
	if failed != nil {
		return append(onlyBase(failed, p50, p99), closed), nil
	}
	p50.note = fmt.Sprintf("of that until committed %s ms", number(commits.median()))
	p99.ours, p99.note = samples{ours.quantile(0.99)}, fmt.Sprintf("of %d", len(ours))
	return []result{p50, p99, closed}, nil
}

// bareCommit adds the time of a commit of the counting application to times.
func (b *bench) bareCommit(times samples) (samples, error) {
	answer, _, err := b.askBare("one")
	return append(times, answer.Seconds*1000), err
}

// receipt anchors one record and waits for its receipt. It adds the time of all
// of it to times, and that until the record was committed to commits.
func (b *bench) receipt(n *node, times, commits samples) (samples, samples, error) {
	if n.steady == nil {
		conns, err := n.dial(department, 1)
		if err != nil {
			return times, commits, err
		}
		n.steady = conns
		if _, _, err := b.receipt(n, nil, nil); err != nil { // so that the connection is up
			return times, commits, err
		}
	}
	tx, err := n.newSigner().anchors(1)
	if err != nil {
		return times, commits, err
	}
	begin := time.Now()
	committed, _, err := anchorAndReceipt(b.ctx, n.steady[0], tx)
	return append(times, milliseconds(time.Since(begin))), append(commits, milliseconds(committed.Sub(begin))), err
}

// anchorAndReceipt submits a transaction with one anchor and gives the moment
// when it was committed, and its receipt.
func anchorAndReceipt(ctx context.Context, conn *grpc.ClientConn, tx []byte) (committed time.Time, receipt []byte, err error) {
	client := apiv1.NewDepartmentsClient(conn)
	r, err := client.Submit(ctx, &apiv1.SubmitRequest{Transaction: tx})
	if err != nil {
		return time.Time{}, nil, err
	}
	committed = time.Now()
	if r.Reason != "OK" {
		return time.Time{}, nil, fmt.Errorf("anchor refused: %s", r.Reason)
	}
	answer, err := client.Receipt(ctx, &apiv1.ReceiptRequest{Index: r.FirstIndex})
	if err != nil {
		return time.Time{}, nil, err
	}
	return committed, answer.Receipt, nil
}
