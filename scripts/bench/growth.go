package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// runGrowth anchors o.growth records in one network and gives the rate, memory
// and disk at 100,000, 1 million and 10 million, as far as it goes.
func runGrowth(b *bench) ([]result, error) {
	n, err := b.node()
	if err != nil {
		return nil, err
	}
	const segment = 500 // transactions made beforehand, and submitted together
	var results []result
	var rates samples
	var at1M float64
	marks := map[int64]bool{100_000: true, 1_000_000: true, 10_000_000: true, b.growth: true}
	for done := int64(0); done < b.growth; {
		next := b.growth
		for mark := range marks {
			if mark > done {
				next = min(next, mark)
			}
		}
		l := load{items: batchItems, txs: int(min(segment, (next-done+batchItems-1)/batchItems)), conns: 4, streams: 1}
		m, err := b.submitTo(n, l)
		if err != nil {
			return results, fmt.Errorf("after %d anchors: %w", done, err)
		}
		done += int64(l.txs * l.items)
		rates = append(rates, m.rate)
		now, peak := n.memory()
		b.logf("%d anchors: %s anchors/s, %s us of CPU each, others used %s CPUs, fsync %s ms, resident %d MiB, peak %d MiB",
			done, number(m.rate), number(m.cpu), number(m.others), number(m.sync), now>>20, peak>>20)
		if done < next {
			continue
		}
		last := rates[max(0, len(rates)-5):]
		rates = nil // so that the next mark looks at its own neighbourhood
		at := fmt.Sprintf("at %s anchors", number(float64(done)))
		rate := result{name: "batch rate " + at, unit: "anchors/s", ours: last, cpu: samples{m.cpu}, sync: samples{m.sync}, others: samples{m.others},
			clients: l.clients(), note: "the last segments before it"}
		if done == 1_000_000 {
			at1M = rate.ours.median()
		}
		if done > 1_000_000 && at1M > 0 {
			rate.base, rate.baseline, rate.target = samples{at1M}, "at 1 million", ratioAtLeast(0.8, "at least 0.8")
		}
		results = append(results, rate,
			result{name: "resident " + at, unit: "MiB", ours: samples{float64(now >> 20)}, target: atMost(700, "700 MiB"), note: fmt.Sprintf("peak %d MiB", peak>>20)},
			result{name: "disk " + at + ", running", unit: "bytes/anchor", ours: samples{float64(diskBytes(n.home)) / float64(done)}})
	}
	settled, err := b.settledDisk(n)
	if err != nil {
		return results, err
	}
	return append(results, settled...), nil
}

// settledDisk gives the bytes on disk per anchor once the node has rested and
// was stopped, for each folder of its home and for all.
func (b *bench) settledDisk(n *node) ([]result, error) {
	const rest, patience = 2 * time.Second, 60 * time.Second
	last := int64(-1)
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(rest) {
		now := diskBytes(n.home)
		if now == last {
			break
		}
		last = now
	}
	b.running = nil
	if err := n.stop(); err != nil {
		return nil, fmt.Errorf("stop munimentd: %w", err)
	}
	entries, err := os.ReadDir(n.home)
	if err != nil {
		return nil, err
	}
	perAnchor := func(path string) float64 { return float64(diskBytes(path)) / float64(b.growth) }
	all := result{name: "disk, settled, all stores", unit: "bytes/anchor", ours: samples{perAnchor(n.home)}, target: atMost(350, "350 bytes")}
	for _, e := range entries {
		if v := perAnchor(filepath.Join(n.home, e.Name())); v >= 0.1 {
			all.note += fmt.Sprintf("%s %s, ", e.Name(), number(v))
		}
	}
	if b.ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return []result{all}, nil
}
