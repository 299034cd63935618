package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	city "github.com/muniment/muniment/app/node"
)

// validators is how many the rows of this file have, all of them on this
// machine: they share its processors and its one disk.
const validators = 4

// freePorts gives ports of the loopback that nobody listens on now.
func freePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // so that none is given twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// freeRun gives the first of so many ports of the loopback in a row that nobody
// listens on now. They are below those that the system gives to callers: a
// connection of somebody else must not take one before its node listens.
func freeRun(n int) (int, error) {
	for range 100 {
		first := 10_000 + mathrand.IntN(20_000)
		if allFree(first, n) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

func allFree(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		defer l.Close()
	}
	return true
}

// bareFour are validators of one network that run the counting application. The
// first makes the load and measures it.
type bareFour []*child

// startBareFour starts them and waits until they commit.
func (b *bench) startBareFour() (four bareFour, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bare CometBFT: %w", err), four.stop())
		}
	}()
	ports, err := freePorts(validators)
	if err != nil {
		return nil, err
	}
	network := newBareNetwork(ports...)
	for i := range validators {
		dir, err := os.MkdirTemp(b.dir, "bare-")
		if err != nil {
			return four, err
		}
		network.Self = i
		text, err := json.Marshal(network)
		if err != nil {
			return four, err
		}
		if err := os.WriteFile(filepath.Join(dir, bareNetworkFile), text, 0o600); err != nil {
			return four, err
		}
		c, err := b.startChildIn("bare", dir)
		if err != nil {
			return four, err
		}
		four = append(four, c)
	}
	_, err = four.ask("load 100 1 100")
	return four, err
}

// ask has the first validator do a load and gives what it measured.
func (f bareFour) ask(line string) (load bareLoad, err error) {
	if err = f[0].ask(line, &load); err == nil && load.Error != "" {
		err = errors.New(load.Error)
	}
	return load, err
}

func (f bareFour) processorTime() (sum time.Duration) {
	for _, c := range f {
		sum += c.processorTime()
	}
	return sum
}

// startFour founds a network of validators, starts its nodes, and waits until
// the first one serves.
func (b *bench) startFour() (*node, error) {
	program, err := b.build("munimentd")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "four-")
	if err != nil {
		return nil, err
	}
	base, err := freeRun(10 * (validators + 1))
	if err != nil {
		return nil, err
	}
	place := filepath.Join(dir, "net")
	home := func(i int) string { return filepath.Join(place, fmt.Sprintf("node-%d", i+1)) }
	n := &node{home: home(0), address: "127.0.0.1:7450", clients: make(map[string]tls.Certificate)}
	passphrase, err := n.found(dir, program, "testnet", place, "--validators", strconv.Itoa(validators), "--base-port", strconv.Itoa(base))
	if err != nil {
		return nil, err
	}
	c, err := city.LoadConfig(city.Home(n.home), nil, nil)
	if err != nil {
		return nil, err
	}
	n.address = c.GRPC.Listen
	for i := range validators {
		c, err := b.startMunimentd(program, home(i), passphrase)
		if err != nil {
			return nil, errors.Join(err, n.stop())
		}
		if i == 0 {
			n.child = c
		} else {
			n.others = append(n.others, c)
		}
	}
	return n, n.serves(b.ctx)
}

// runFour: the rate of batches and the time to a receipt on four validators,
// beside the counting application on four validators.
func runFour(b *bench) (results []result, err error) {
	bare, err := b.startBareFour()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	n, err := b.startFour()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	batches, err := b.fourBatches(n, bare)
	if err != nil {
		return nil, err
	}
	receipts, err := b.fourReceipts(n, bare)
	return append([]result{batches}, receipts...), err
}

func (b *bench) fourBatches(n *node, bare bareFour) (result, error) {
	l := load{items: batchItems, txs: b.count(200, 20), conns: 4, streams: 1}
	r := result{name: "anchors in batches of 1,000, four validators", unit: "anchors/s", baseline: "bare CometBFT, counting app on four validators, same bytes",
		target: ratioAtLeast(0.3, "at least 0.3 (aim 0.5)"), clients: l.clients(), note: "all on one machine and one disk"}
	for round := range b.rounds {
		before := bare.processorTime()
		answer, err := bare.ask(fmt.Sprintf("load %d %d %d", b.count(1000, 50), batchItems, 300))
		if err != nil {
			return result{}, fmt.Errorf("bare CometBFT: %w", err)
		}
		anchors := answer.Rate * answer.Seconds * batchItems
		r.base, r.baseCPU = append(r.base, answer.Rate*batchItems), append(r.baseCPU, (bare.processorTime()-before).Seconds()*1e6/anchors)
		r.baseDisk = float64(answer.Disk) / anchors
		m, err := b.submitTo(n, l)
		if err != nil {
			return result{}, err
		}
		r.add(m)
		b.logf("round %d: ours %s, bare %s anchors/s", round+1, number(r.ours[round]), number(r.base[round]))
	}
	return r, nil
}

func (b *bench) fourReceipts(n *node, bare bareFour) ([]result, error) {
	const name = "one anchor to its receipt, four validators, 3 of 4 cosigned, one each second"
	p50 := result{name: name + ", p50", unit: "ms", baseline: "bare commit on four, p50", target: atMost(120, "120 ms"), clients: "1"}
	p95 := result{name: name + ", p95", unit: "ms", baseline: "bare commit on four, p95", target: atMost(300, "300 ms"), clients: "1"}
	var ours, base, commits samples
	half := time.NewTicker(500 * time.Millisecond)
	defer half.Stop()
	for round := range b.rounds {
		var oursNow, baseNow samples
		for range b.count(20, 3) {
			<-half.C
			answer, err := bare.ask("one")
			if err != nil {
				return nil, fmt.Errorf("bare CometBFT: %w", err)
			}
			baseNow = append(baseNow, answer.Seconds*1000)
			<-half.C
			if oursNow, commits, err = b.receipt(n, oursNow, commits); err != nil {
				return nil, err
			}
		}
		p50.ours, p50.base = append(p50.ours, oursNow.median()), append(p50.base, baseNow.median())
		ours, base = append(ours, oursNow...), append(base, baseNow...)
		b.logf("round %d: ours %s, bare %s ms", round+1, number(oursNow.median()), number(baseNow.median()))
	}
	p50.note = fmt.Sprintf("of that until committed %s ms", number(commits.median()))
	p95.ours, p95.base, p95.note = samples{ours.quantile(0.95)}, samples{base.quantile(0.95)}, fmt.Sprintf("of %d", len(ours))
	return []result{p50, p95}, nil
}

func (f bareFour) stop() error {
	var errs []error
	for _, c := range f {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}
