package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/rpc"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// The custodians of a set keep the same records. Each tells the others what it has,
// and brings them what they want of it: right after an anchor, and every so often
// whether something happened or not, so that nothing depends on a message that was
// lost. What is underway is not written down anywhere: a round that was cut off is
// found out by the next one.
const (
	copyWorkers  = 4    // parcels to one peer at once
	copyAtOnce   = 4096 // records of one comparison that are brought before the next one
	copyRetry    = time.Second
	copyRetryMax = time.Minute
	// So long without an answer of another custodian, and a person is told: what is
	// deposited meanwhile lies on fewer disks than was meant.
	copyAlarm = 15 * time.Minute
)

var (
	// ErrPeerUnknown is returned where a custodian cannot be found.
	ErrPeerUnknown = errors.New("no address is known of the custodian")
	// ErrNotCopied is returned where a custodian that is to have everything has not.
	ErrNotCopied = errors.New("the other custodians do not have everything")
)

// copying keeps the other custodians up to date.
type copying struct {
	s      *Service
	own    record.KeyID // id of this custodian's key
	every  time.Duration
	wanted *prometheus.GaugeVec // records, by set and custodian
	sent   prometheus.Counter
	failed prometheus.Counter

	mu    sync.Mutex
	peers map[record.KeyID]*colleague // those who share a set with this custodian
}

// colleague is another custodian. One goroutine goes to it.
type colleague struct {
	id      record.KeyID
	turn    chan struct{} // full while somebody goes to it: its goroutine, or one that leaves a set
	wake    chan struct{} // holds a token where something may be new
	heard   chan struct{} // holds a token where it was heard of: it is there
	end     context.CancelFunc
	courier *rpc.Courier // guarded by turn
	sets    map[record.Code]copies
	since   time.Time // of its last answer, or of its appearance
	late    bool      // a person was told that it does not answer
	why     string    // what went wrong last
}

// copies is how far the records of a set are with a colleague.
type copies struct {
	all      [32]byte // of what was compared
	wants    uint64
	answered time.Time // zero: never
}

func (s *Service) newCopying() *copying {
	key := public(s.node.keys.Custodian)
	c := &copying{
		s: s, own: record.KeyIDOf(key[:]), peers: map[record.KeyID]*colleague{},
		wanted: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "muniment_copies_wanted", Help: "Records here that another custodian of the set lacks, or lacks something of.",
		}, []string{"set", "custodian"}),
		sent:   prometheus.NewCounter(prometheus.CounterOpts{Name: "muniment_copies_sent_total", Help: "Records that other custodians have taken since the start."}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: "muniment_copies_failed_total", Help: "Rounds to other custodians that went wrong since the start."}),
	}
	var err error
	if c.every, err = s.node.config.replicateEvery(); err != nil {
		c.every = 10 * time.Second // LoadConfig has refused it; a test may not have called it
	}
	s.node.metrics.registry.MustRegister(c.wanted, c.sent, c.failed)
	return c
}

// run goes to the other custodians until ctx ends, and returns when nobody is under
// way any more.
func (c *copying) run(ctx context.Context) {
	var out sync.WaitGroup
	defer out.Wait()
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		anchored := c.s.custody.Anchored()
		if err := c.assign(ctx, &out); err != nil {
			c.s.node.log.Error("custodians of the sets", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-anchored:
		case <-tick.C:
		}
	}
}

// shared lists the sets that this custodian shares with others, by these.
func (c *copying) shared(view ledger.View) (map[record.KeyID][]record.Code, error) {
	all := map[record.KeyID][]record.Code{}
	prefix := ledger.StateKeyCustodianSet("")
	for value, err := range c.s.node.state.Values(prefix) {
		if err != nil {
			return nil, err
		}
		code := record.Code(value.Key[len(prefix):])
		set, ok, err := ledger.CustodianSetOf(view, code)
		if err != nil {
			return nil, err
		}
		if !ok { // of a later block
			continue
		}
		for _, id := range append([]record.KeyID{c.own}, set.Custodians...) {
			keeps, err := rpc.Keeps(view, code, id)
			if err != nil {
				return nil, err
			}
			if id == c.own && !keeps {
				break
			}
			if id != c.own && keeps {
				all[id] = append(all[id], code)
			}
		}
	}
	return all, nil
}

// assign sees to it that every colleague has a goroutine, and wakes all.
func (c *copying) assign(ctx context.Context, out *sync.WaitGroup) error {
	shared, err := c.shared(c.s.node.View())
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, p := range c.peers {
		for set := range p.sets {
			if !slices.Contains(shared[id], set) {
				delete(p.sets, set)
				c.wanted.DeleteLabelValues(string(set), shortID(id))
			}
		}
		if len(shared[id]) == 0 {
			p.end()
			delete(c.peers, id)
		}
	}
	for id, sets := range shared {
		p := c.peers[id]
		if p == nil {
			p = &colleague{id: id, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), heard: make(chan struct{}, 1), sets: map[record.Code]copies{}, since: c.s.node.now()}
			c.peers[id] = p
			var mine context.Context
			mine, p.end = context.WithCancel(ctx)
			out.Go(func() { c.serve(mine, p) })
		}
		for _, set := range sets {
			if _, known := p.sets[set]; !known {
				p.sets[set] = copies{}
			}
		}
		token(p.wake)
	}
	return nil
}

// token leaves a token, unless one is there.
func token(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// heard is told that a colleague was heard of.
func (c *copying) heard(id record.KeyID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		token(p.heard)
	}
}

// serve goes to a colleague whenever something may be new. After a round that went
// wrong it rests, longer each time, unless the colleague shows that it is there.
func (c *copying) serve(ctx context.Context, p *colleague) {
	defer func() {
		p.turn <- struct{}{} // whoever has it is cut off by ctx, or by its own
		p.part()
		<-p.turn
	}()
	rest := copyRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
		select {
		case <-p.heard: // before this round: it says nothing about what comes
		default:
		}
		if err := c.round(ctx, p); err == nil {
			rest = copyRetry
			continue
		} else if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
			rest = min(2*rest, copyRetryMax)
		case <-p.heard:
			rest = copyRetry
			c.hurry(ctx, p)
		}
		token(p.wake)
	}
}

// hurry has the courier dial at once.
func (c *copying) hurry(ctx context.Context, p *colleague) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	if p.courier != nil {
		p.courier.Hurry()
	}
	<-p.turn
}

// round brings a colleague what it lacks, and notes how it went.
func (c *copying) round(ctx context.Context, p *colleague) (err error) {
	for _, set := range c.setsOf(p) {
		if one := c.bring(ctx, p, set, false); one != nil {
			err = errors.Join(err, one)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := p.why
	if p.why = ""; err != nil {
		p.why = err.Error()
		c.failed.Inc()
		if p.why != before {
			c.s.node.log.Warn("another custodian does not have everything", "custodian", shortID(p.id), "why", p.why)
		}
	}
	if silent := c.s.node.now().Sub(p.since); silent > copyAlarm && !p.late {
		p.late = true
		c.s.node.alarm(fmt.Errorf("custodian %s has not answered for %v: %s", shortID(p.id), silent.Round(time.Second), p.why))
	}
	return err
}

func (c *copying) setsOf(p *colleague) []record.Code {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(p.sets))
}

// bring compares a set with a colleague and brings what it wants until it wants
// nothing, or will not take it. Leaving: by what is here now, not a moment ago, and
// what it has refused before is wanted.
func (c *copying) bring(ctx context.Context, p *colleague, set record.Code, leaving bool) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.meet(p); err != nil {
		return err
	}
	brought := map[custody.Ref]bool{}
	for {
		compared, err := p.courier.Compare(ctx, set, leaving, copyAtOnce)
		if err != nil {
			return fmt.Errorf("compare set %s: %w", set, err)
		}
		c.answered(p, set, compared)
		news := slices.DeleteFunc(compared.First, func(r custody.Ref) bool { return brought[r] })
		switch {
		case compared.Wants == 0:
			return nil
		case len(news) == 0:
			return fmt.Errorf("set %s: %d records were taken and are wanted again", set, compared.Wants)
		}
		if err := c.send(ctx, p, set, news, brought); err != nil {
			return fmt.Errorf("set %s: %w", set, err)
		}
	}
}

// answered notes what a colleague has answered, and sees to it that it is asked again
// for what was anchored meanwhile.
func (c *copying) answered(p *colleague, set record.Code, a rpc.Compared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.since, p.late = c.s.node.now(), false
	if _, shares := p.sets[set]; !shares {
		return
	}
	p.sets[set] = copies{a.All, a.Wants, p.since}
	if a.Again > 0 {
		time.AfterFunc(a.Again, func() { token(p.wake) })
	}
	c.wanted.WithLabelValues(string(set), shortID(p.id)).Set(float64(a.Wants))
}

// send takes records to a colleague, several at once. What it refuses of one record
// does not keep it from the others; where nothing gets through, the rest is not
// tried.
func (c *copying) send(ctx context.Context, p *colleague, set record.Code, refs []custody.Ref, brought map[custody.Ref]bool) error {
	work := make(chan custody.Ref)
	var mu sync.Mutex
	var refused error
	var stop atomic.Bool
	taken := 0
	var out sync.WaitGroup
	for range min(copyWorkers, len(refs)) {
		out.Go(func() {
			for ref := range work {
				err := p.courier.Send(ctx, set, ref)
				if err == nil {
					c.sent.Inc()
					crashpoint("copy: taken")
				}
				mu.Lock()
				switch r, is := errors.AsType[*rpc.Refusal](err); {
				case err == nil:
					taken++
					brought[ref] = true
				case is && ofRecord[custody.Reason(r.Reason)], isOfRecord(err):
					refused = errors.Join(refused, err)
				default:
					stop.Store(true)
					refused = errors.Join(refused, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, ref := range refs {
		if stop.Load() || ctx.Err() != nil {
			break
		}
		work <- ref
	}
	close(work)
	out.Wait()
	if stop.Load() || taken == 0 {
		return firstOf(refused, ctx.Err())
	}
	return nil // the next comparison tells what is still wanted
}

// ofRecord are the reasons that concern one record, and not all that could be sent.
var ofRecord = map[custody.Reason]bool{
	custody.Destroyed: true, custody.PartlyDestroyed: true, custody.Locked: true, custody.NotFound: true, custody.Malformed: true,
	custody.TooLarge: true, custody.TooManyRedactions: true, custody.Damaged: true, custody.Quarantined: true, custody.Busy: true,
	custody.Behind: true, custody.UnknownCustody: true,
}

// isOfRecord tells whether this custodian would not send a record.
func isOfRecord(err error) bool {
	reason, ok := custody.ReasonOf(err)
	return ok && ofRecord[reason]
}

// firstOf gives the first line of an error, or what stands in for it.
func firstOf(err, or error) error {
	if err == nil {
		return or
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
		return many.Unwrap()[0]
	}
	return err
}

// meet sees to it that there is a courier to a colleague, at the address and with
// the certificate that are known of it now. p.turn is held.
func (c *copying) meet(p *colleague) error {
	peer, _, err := c.whereabouts(p.id)
	if err != nil {
		return err
	}
	if p.courier != nil {
		now := p.courier.Peer()
		if now.Node == peer.Node && now.Address == peer.Address && string(now.Certificate) == string(peer.Certificate) {
			return nil
		}
		p.part()
	}
	p.courier, err = c.s.server.Courier(peer)
	return err
}

// part ends the connection to a colleague.
func (p *colleague) part() {
	if p.courier != nil {
		p.courier.Close()
		p.courier = nil
	}
}

// whereabouts tells which node has a custodian's key and where it serves: by its
// card, or else by the network file.
func (c *copying) whereabouts(id record.KeyID) (peer rpc.Peer, node string, err error) {
	nodes, err := ledger.Nodes(c.s.node.View())
	if err != nil {
		return rpc.Peer{}, "", err
	}
	i := slices.IndexFunc(nodes, func(n record.Node) bool {
		custodian, ok := custodianOf(&n)
		return ok && custodian == id
	})
	if i < 0 {
		return rpc.Peer{}, "", fmt.Errorf("custodian %s: %w: no node has its key", shortID(id), ErrPeerUnknown)
	}
	node = receipt.NodeID(nodes[i].NodeKey[:])
	peer = rpc.Peer{Custodian: id, Node: nodes[i].NodeKey}
	if card, ok := c.s.node.members.all()[node]; ok {
		peer.Address, peer.Certificate = card.GRPC, card.Certificate
		return peer, node, nil
	}
	for _, line := range c.s.node.network.Nodes {
		if line.ID == node {
			peer.Address, peer.Certificate = line.Address, line.Certificate
			return peer, node, nil
		}
	}
	return rpc.Peer{}, node, fmt.Errorf("custodian %s: %w: there is no card of node %s", shortID(id), ErrPeerUnknown, node)
}

// handOver returns when every other custodian of a set has everything.
func (c *copying) handOver(ctx context.Context, set record.Code) error {
	shared, err := c.shared(c.s.node.View())
	if err != nil {
		return err
	}
	for id, sets := range shared {
		if !slices.Contains(sets, set) {
			continue
		}
		c.mu.Lock()
		p := c.peers[id]
		c.mu.Unlock()
		if p == nil {
			return fmt.Errorf("custodian %s: %w: this node has not gone to it yet: try again", shortID(id), ErrNotCopied)
		}
		if err := c.bring(ctx, p, set, true); err != nil {
			return fmt.Errorf("custodian %s: %w: %w: nothing was destroyed here: see that its node runs, and leave again then", shortID(id), ErrNotCopied, err)
		}
	}
	return nil
}

// status tells how far the records of each set are. A custodian has everything if it
// wanted nothing when what is here now was compared: nothing is here that was anchored
// and is not in the inventory yet.
func (c *copying) status(ctx context.Context) []*apiv1.CopiesOfSet {
	shared, err := c.shared(c.s.node.View())
	if err != nil {
		return nil
	}
	bySet := map[record.Code]*apiv1.CopiesOfSet{}
	noted := c.s.custody.Noted() // before the inventories are read
	now, current := map[record.Code][32]byte{}, map[record.Code]bool{}
	for _, id := range slices.SortedFunc(maps.Keys(shared), func(a, b record.KeyID) int { return slices.Compare(a[:], b[:]) }) {
		for _, set := range shared[id] {
			s := bySet[set]
			if s == nil {
				s = &apiv1.CopiesOfSet{Set: string(set), Custodians: 1}
				bySet[set] = s
				var err error
				if now[set], s.Records, current[set], err = c.s.server.Inventory(ctx, set); err == nil {
					s.Complete = 1
				}
			}
			at := c.at(id, set, now[set])
			at.Behind = at.Behind || at.Known && !(noted && current[set])
			if s.Custodians++; at.Known && at.Wants == 0 && !at.Behind {
				s.Complete++
			}
			s.Peers = append(s.Peers, at)
		}
	}
	var all []*apiv1.CopiesOfSet
	for _, code := range slices.Sorted(maps.Keys(bySet)) {
		s := bySet[code]
		if s.Complete > 0 && slices.ContainsFunc(s.Peers, func(p *apiv1.CopiesAtPeer) bool { return p.Lacks > 0 }) {
			s.Complete-- // this custodian
		}
		all = append(all, s)
	}
	return all
}

// at tells how far the records of a set are with a custodian.
func (c *copying) at(id record.KeyID, set record.Code, now [32]byte) *apiv1.CopiesAtPeer {
	at := &apiv1.CopiesAtPeer{Custodian: id[:]}
	var err error
	if _, at.Node, err = c.whereabouts(id); err != nil {
		at.Trouble = err.Error()
	}
	at.Lacks, _ = c.s.server.Lacks(id, set)
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	if p == nil {
		return at
	}
	if p.why != "" {
		at.Trouble = p.why
	}
	if done := p.sets[set]; !done.answered.IsZero() {
		at.Known, at.Wants, at.Answered, at.Behind = true, done.wants, done.answered.Unix(), done.all != now
	}
	return at
}

// shortID is how a custodian's key is called in the log.
func shortID(id record.KeyID) string { return fmt.Sprintf("%x", id[:8]) }
