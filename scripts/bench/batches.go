package main

import (
	"fmt"
	"time"
)

const batchItems = 1000

// bestPeer is the best rate that BASELINES gives for a verifiable peer.
const bestPeer = 65_000

// load is how a kind of transaction is submitted.
type load struct {
	items   int // anchors in each transaction
	txs     int // transactions in a round
	conns   int
	streams int // of each connection, with at most 64 under way each
}

func (l load) clients() string {
	return fmt.Sprintf("%d connections, %d streams", l.conns, l.conns*l.streams)
}

// runBatches: anchors in batches of 1,000 signed once, committed, indexed and
// provable, beside the log-and-index writer alone and bare CometBFT.
func runBatches(b *bench) ([]result, error) {
	l := load{items: batchItems, txs: b.count(600, 20), conns: 4, streams: 1}
	writerEntries := b.count(1_000_000, 50_000)
	const name = "anchors in batches of 1,000, one validator"
	writer5 := result{name: name, unit: "anchors/s", baseline: "log and index writer, synced every 5,000",
		target: ratioAtLeast(0.5, "at least 0.5 (aim 0.75)"), clients: l.clients()}
	writer1 := result{name: name, unit: "anchors/s", baseline: "the same, synced every 1,000", target: writer5.target, clients: l.clients()}
	bare := result{name: name, unit: "anchors/s", baseline: "bare CometBFT, counting app, same bytes", clients: l.clients()}
	peer := result{name: name, unit: "anchors/s", baseline: "best verifiable peer (not measured here)", base: samples{bestPeer},
		target: ratioAtLeast(1.5, "at least 1.5"), clients: l.clients()}
	for round := range b.rounds {
		for every, r := range map[int]*result{5000: &writer5, 1000: &writer1} {
			rate, cpu, disk, err := b.measureLogWriter(writerEntries, every)
			if err != nil {
				return nil, err
			}
			r.base, r.baseCPU, r.baseDisk = append(r.base, rate), append(r.baseCPU, cpu), disk
		}
		answer, used, err := b.askBare(fmt.Sprintf("load %d %d %d", b.count(2000, 50), batchItems, 400))
		if err != nil {
			return nil, err
		}
		anchors := answer.Rate * answer.Seconds * batchItems
		bare.base, bare.baseCPU = append(bare.base, answer.Rate*batchItems), append(bare.baseCPU, used.Seconds()*1e6/anchors)
		bare.baseDisk = float64(answer.Disk) / anchors
		b.logf("round %d: log writer %s and %s entries/s, bare %s anchors/s", round+1, number(writer1.base[round]), number(writer5.base[round]), number(bare.base[round]))
		if err := b.submitRound(l, &writer5, &writer1, &bare, &peer); err != nil {
			return onlyBase(err, writer5, writer1, bare), nil
		}
		b.logf("round %d: ours %s anchors/s", round+1, number(writer5.ours[round]))
	}
	return []result{writer5, writer1, bare, peer}, nil
}

// onlyBase keeps baselines that were measured where ours could not be.
func onlyBase(err error, results ...result) []result {
	for i := range results {
		results[i].ours, results[i].notRun = nil, err.Error()
	}
	return results
}

// submitRound has the node commit a round of transactions and adds what was
// measured to each of the results.
func (b *bench) submitRound(l load, results ...*result) error {
	n, err := b.node()
	if err != nil {
		return err
	}
	m, err := b.submitTo(n, l)
	if err != nil {
		return err
	}
	for _, r := range results {
		r.add(m)
	}
	return nil
}

// submitTo makes transactions and has a node commit them.
func (b *bench) submitTo(n *node, l load) (measured, error) {
	txs, err := n.newSigner().transactions(l.txs, l.items)
	if err != nil {
		return measured{}, err
	}
	first, err := n.newSigner().transactions(l.conns, 1)
	if err != nil {
		return measured{}, err
	}
	conns, err := n.dial(department, l.conns)
	if err != nil {
		return measured{}, err
	}
	defer func() { _ = hangUp(conns) }()
	if _, _, err := submitAll(b.ctx, conns, 1, first); err != nil { // so that the connections are up
		return measured{}, err
	}
	return b.measured(n, func() (float64, time.Duration, error) {
		anchors, took, err := submitAll(b.ctx, conns, l.streams, txs)
		if want := int64(l.txs * l.items); err == nil && anchors != want {
			err = fmt.Errorf("%d of %d anchors committed", anchors, want)
		}
		return float64(anchors), took, err
	})
}
