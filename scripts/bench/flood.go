package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// How an office floods each node of its network: so many connections, each with
// so many calls at once and so many streams, which take what the node takes.
const (
	floodConns   = 8
	floodCalls   = 160
	floodStreams = 4
	// floodParts is in how many parts a flood comes. Before each the other office is
	// alone for a while, so that what others do on this machine tells on both alike.
	floodParts = 5
)

// floodOrder tells a child whom to flood, as whom, and with what.
type floodOrder struct {
	Addresses   []string
	Servers     [][]byte // their certificates, DER
	Certificate []byte   // of the account, DER
	Key         []byte   // its seed
	Network     record.Network
	Signing     []byte // seed of the office's key
	Txs         int
}

const floodOrderFile = "order.json"

// floodReport is what became of the transactions of a flood.
type floodReport struct {
	Answers map[string]int // by reason; "OK" got in
	Sent    int
	Seconds float64
	Error   string
}

// serveFlood is the child: it signs everything at the first line, and hands a part of
// it in at each further one.
func serveFlood(dir string, in *bufio.Scanner, out *json.Encoder) error {
	text, err := os.ReadFile(filepath.Join(dir, floodOrderFile))
	if err != nil {
		return err
	}
	var o floodOrder
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	today := record.LedgerDay(time.Now().UnixNano())
	s := &signer{network: o.Network, key: ed25519.NewKeyFromSeed(o.Signing), today: today, day: today, random: newRandom()}
	var txs [][]byte
	for in.Scan() {
		var report floodReport
		if in.Text() == "sign" {
			txs, err = s.transactions(o.Txs, 1)
		} else {
			part := min(len(txs), o.Txs/floodParts)
			report, err = o.flood(txs[:part])
			txs = txs[part:]
		}
		if err != nil {
			report.Error = err.Error()
		}
		if err := out.Encode(report); err != nil {
			return err
		}
	}
	return in.Err()
}

// flooding is a flood under way.
type flooding struct {
	txs  [][]byte
	next atomic.Int64

	mu      sync.Mutex
	answers map[string]int
}

// take gives the next transaction; each is handed in once.
func (f *flooding) take() ([]byte, bool) {
	i := f.next.Add(1) - 1
	if i >= int64(len(f.txs)) {
		return nil, false
	}
	return f.txs[i], true
}

func (f *flooding) count(reason string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[reason] += n
}

// flood hands the transactions in to all nodes, over all connections at once.
func (o *floodOrder) flood(txs [][]byte) (floodReport, error) {
	client := tls.Certificate{Certificate: [][]byte{o.Certificate}, PrivateKey: ed25519.NewKeyFromSeed(o.Key)}
	f := &flooding{txs: txs, answers: make(map[string]int)}
	ctx := context.Background()
	var all sync.WaitGroup
	begin := time.Now()
	for i, address := range o.Addresses {
		conns, err := dial(address, client, o.Servers[i], floodConns)
		if err != nil {
			return floodReport{}, err
		}
		defer func() { _ = hangUp(conns) }()
		for _, conn := range conns {
			departments := apiv1.NewDepartmentsClient(conn)
			for range floodCalls {
				all.Go(func() { f.calls(ctx, departments) })
			}
			for range floodStreams {
				all.Go(func() { f.streams(ctx, departments) })
			}
		}
	}
	all.Wait()
	return floodReport{Answers: f.answers, Sent: len(txs), Seconds: time.Since(begin).Seconds()}, nil
}

// calls hands transactions in one by one.
func (f *flooding) calls(ctx context.Context, departments apiv1.DepartmentsClient) {
	for tx, ok := f.take(); ok; tx, ok = f.take() {
		r, err := departments.Submit(ctx, &apiv1.SubmitRequest{Transaction: tx})
		f.count(reasonOf(r.GetReason(), err), 1)
	}
}

// streams hands transactions in over one stream after the other: a refusal ends it,
// and with it those that are under way.
func (f *flooding) streams(ctx context.Context, departments apiv1.DepartmentsClient) {
	for more := true; more; {
		more = f.stream(ctx, departments)
	}
}

func (f *flooding) stream(ctx context.Context, departments apiv1.DepartmentsClient) (more bool) {
	tx, ok := f.take()
	if !ok {
		return false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := departments.SubmitStream(ctx)
	if err != nil {
		f.count(reasonOf("", err), 1)
		return true
	}
	sent, window := make(chan int, 1), make(chan struct{}, 64) // as many as the node has under way of a stream
	go func() {
		n := 0
		for ; ok; tx, ok = f.take() {
			n++
			select {
			case window <- struct{}{}:
			case <-stream.Context().Done():
			}
			if stream.Send(&apiv1.SubmitStreamRequest{Submit: &apiv1.SubmitRequest{Transaction: tx}}) != nil {
				break
			}
		}
		_ = stream.CloseSend()
		sent <- n
	}()
	for answered := 0; ; answered++ {
		r, err := stream.Recv()
		if err == nil {
			f.count(r.Submit.GetReason(), 1)
			<-window
			continue
		}
		if cut := <-sent - answered; cut > 0 {
			f.count(reasonOf("", err), 1)
			f.count("cut off with it", cut-1)
		}
		return true
	}
}

// reasonOf gives the reason of an answer, or that of a refused call.
func reasonOf(reason string, err error) string {
	if err == nil {
		return reason
	}
	s := grpcstatus.Convert(err)
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return s.Code().String()
}

// startFlooder makes a child that is to flood a network as the department.
func (b *bench) startFlooder(n *node, txs int) (*child, error) {
	dir, err := os.MkdirTemp(b.dir, "flood-")
	if err != nil {
		return nil, err
	}
	account := n.clients[department]
	o := floodOrder{
		Certificate: account.Certificate[0], Key: account.PrivateKey.(ed25519.PrivateKey).Seed(),
		Network: n.network.ID, Signing: n.signing[department].Seed(), Txs: txs,
	}
	for _, one := range n.network.Nodes {
		o.Addresses, o.Servers = append(o.Addresses, one.Address), append(o.Servers, one.Certificate)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, floodOrderFile), text, 0o600); err != nil {
		return nil, err
	}
	return b.startChildIn("flood", dir)
}

// ordered has the flooder do a thing.
func ordered(flooder *child, line string) (report floodReport, err error) {
	if err = flooder.ask(line, &report); err == nil && report.Error != "" {
		err = errors.New(report.Error)
	}
	return report, err
}

// others is another office at work: it anchors one record after the other at a
// steady rate, whether those before are committed or not.
type others struct {
	conn     *grpc.ClientConn
	signer   *signer
	receipts samples // ms until the receipt is there
	commits  samples // ms until it is committed
}

// otherRate is how often it does.
const otherRate = 20 // each second

// work anchors until done is closed.
func (o *others) work(ctx context.Context, done <-chan struct{}) error {
	tick := time.NewTicker(time.Second / otherRate)
	defer tick.Stop()
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for open := true; open; {
		select {
		case <-done:
			open = false
			continue
		case <-tick.C:
		}
		tx, err := o.signer.anchors(1)
		if err != nil {
			return err
		}
		all.Go(func() {
			begin := time.Now()
			committed, _, err := anchorAndReceipt(ctx, o.conn, tx)
			took := time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			o.receipts, o.commits = append(o.receipts, milliseconds(took)), append(o.commits, milliseconds(committed.Sub(begin)))
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// floodRound is what one round gave: another office's times, without and with.
type floodRound struct {
	without, with others
	report        floodReport
	flooder       time.Duration // its processor time
}

// runFlood: how long another office waits for its receipts while one office hands
// in 100,000 transactions at all four nodes at once, beside how long it waits when
// it is alone.
func runFlood(b *bench) (results []result, err error) {
	n, err := b.startFour()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	conns, err := n.dial(small, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = hangUp(conns) }()
	txs := b.count(100_000, 2_000)
	if b.flood > 0 {
		txs = b.flood
	}
	name := fmt.Sprintf("one anchor to its receipt beside another office's %s transactions, four validators, %d each second", number(float64(txs)), otherRate)
	p50 := result{name: name + ", p50", unit: "ms", baseline: "the same without the flood, p50", clients: "1"}
	p95 := result{name: name + ", p95", unit: "ms", baseline: "the same without the flood, p95", clients: "1"}
	p99 := result{name: name + ", p99", unit: "ms", baseline: "the same without the flood, p99", target: ratioAtMost(2, "at most 2"), clients: "1"}
	p99.note = fmt.Sprintf("the flood: %d connections, %d calls and %d streams at once, in %d parts", floodConns*validators, floodConns*validators*floodCalls, floodConns*validators*floodStreams, floodParts)
	answers := make(map[string]int)
	var seconds samples
	for round := range b.rounds {
		r, err := b.floodRound(n, conns[0], txs)
		if err != nil {
			return nil, err
		}
		for at, row := range map[float64]*result{0.5: &p50, 0.95: &p95, 0.99: &p99} {
			row.ours, row.base = append(row.ours, r.with.receipts.quantile(at)), append(row.base, r.without.receipts.quantile(at))
		}
		for reason, n := range r.report.Answers {
			answers[reason] += n
		}
		seconds = append(seconds, r.report.Seconds)
		b.logf("round %d: with %s of %d, without %s of %d; until committed %s and %s; flood %s s, its own CPU %s s: %s", round+1,
			quantiles(r.with.receipts), len(r.with.receipts), quantiles(r.without.receipts), len(r.without.receipts), quantiles(r.with.commits), quantiles(r.without.commits),
			number(r.report.Seconds), number(r.flooder.Seconds()), reasons(r.report.Answers, 1))
	}
	p50.note = fmt.Sprintf("the flood lasts %s s; of it in each round: %s", number(seconds.median()), reasons(answers, b.rounds))
	return []result{p50, p95, p99}, nil
}

func (b *bench) floodRound(n *node, conn *grpc.ClientConn, txs int) (r floodRound, err error) {
	flooder, err := b.startFlooder(n, txs)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, flooder.stop()) }()
	if _, err := ordered(flooder, "sign"); err != nil {
		return r, err
	}
	used := flooder.processorTime()
	r.without, r.with = others{conn: conn, signer: n.signerFor(small)}, others{conn: conn, signer: n.signerFor(small)}
	r.report.Answers = make(map[string]int)
	for range floodParts {
		alone := make(chan struct{})
		time.AfterFunc(time.Duration(b.count(10, 1))*time.Second, func() { close(alone) })
		if err := r.without.work(b.ctx, alone); err != nil {
			return r, fmt.Errorf("the other office alone: %w", err)
		}
		if err := r.part(b.ctx, flooder); err != nil {
			return r, err
		}
	}
	r.flooder = flooder.processorTime() - used
	if away := r.report.Answers["Unavailable"]; away > 0 {
		return r, fmt.Errorf("a node was away from %d transactions of the flood", away)
	}
	return r, nil
}

// part is a part of the flood, and the other office's work meanwhile.
func (r *floodRound) part(ctx context.Context, flooder *child) error {
	over := make(chan struct{})
	var part floodReport
	var flooded error
	go func() {
		defer close(over)
		part, flooded = ordered(flooder, "flood")
	}()
	err := r.with.work(ctx, over)
	<-over
	if err != nil {
		err = fmt.Errorf("the other office beside the flood: %w", err)
	}
	for reason, n := range part.Answers {
		r.report.Answers[reason] += n
	}
	r.report.Sent, r.report.Seconds = r.report.Sent+part.Sent, r.report.Seconds+part.Seconds
	return errors.Join(err, flooded)
}

// quantiles gives p50, p95 and p99.
func quantiles(s samples) string {
	return number(s.quantile(0.5)) + "/" + number(s.quantile(0.95)) + "/" + number(s.quantile(0.99)) + " ms"
}

// reasons lists answers, so many in each of the rounds.
func reasons(answers map[string]int, rounds int) string {
	var list []string
	for reason, n := range answers {
		list = append(list, fmt.Sprintf("%s %s", reason, number(float64(n)/float64(rounds))))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
