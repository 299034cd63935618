package main

import "fmt"

// runSingles: anchors in one signed transaction each, beside the counting
// application with transactions of 180 bytes. Both are bound by one Ed25519
// check for each.
func runSingles(b *bench) ([]result, error) {
	l := load{items: 1, txs: b.count(20_000, 500), conns: 4, streams: 8}
	r := result{name: "anchors in one signed transaction each, one validator", unit: "anchors/s", baseline: "bare CometBFT, counting app, 180 B",
		target: ratioAtLeast(0.6, "at least 0.6"), clients: l.clients()}
	for round := range b.rounds {
		answer, used, err := b.askBare(fmt.Sprintf("load %d 1 %d", b.count(20_000, 500), 4000))
		if err != nil {
			return nil, err
		}
		txs := answer.Rate * answer.Seconds
		r.base, r.baseCPU, r.baseDisk = append(r.base, answer.Rate), append(r.baseCPU, used.Seconds()*1e6/txs), float64(answer.Disk)/txs
		if err := b.submitRound(l, &r); err != nil {
			return onlyBase(err, r), nil
		}
		b.logf("round %d: ours %s, bare %s anchors/s", round+1, number(r.ours[round]), number(answer.Rate))
	}
	return []result{r}, nil
}
