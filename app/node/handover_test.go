package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cometbft/cometbft/p2p"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// site is where a member's cosigning lives: its files outlive it.
type site struct {
	dir  string
	keys *Keys
	file receipt.Network
}

func (c *chronicle) site(k *Keys) *site {
	s := &site{dir: c.t.TempDir(), keys: k, file: c.network}
	if err := CreateCosignerState(filepath.Join(s.dir, "cosigner.state")); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// start begins the cosigning of a site whose ledger stands at a view.
func (c *chronicle) start(s *site, v ledger.View) *party {
	c.t.Helper()
	p := new(party)
	fatal := func(err error) { p.broken = err }
	state, err := OpenCosignerState(filepath.Join(s.dir, "cosigner.state"), fatal)
	if err != nil {
		c.t.Fatal(err)
	}
	trust, err := openTrust(filepath.Join(s.dir, "eras"), s.file)
	if err != nil {
		c.t.Fatal(err)
	}
	p.cosigning = newCosigning(trust, *s.keys, state, history{c.blockAfter, c}, slog.New(slog.NewTextHandler(io.Discard, nil)),
		func() time.Time { return time.Unix(1_900_000_000, 0) }, func(err error) { p.alarms = append(p.alarms, err) }, fatal)
	if err := p.resume(v); err != nil {
		c.t.Fatal(err)
	}
	return p
}

// crew starts the members of the era in force at the last view.
func (c *chronicle) crew() (ps []*party) {
	for _, k := range c.members {
		ps = append(ps, c.start(c.site(k), c.views[len(c.views)-1]))
	}
	return ps
}

// sees has parties learn that the tree of a view is final, and sign it.
func sees(v ledger.View, ps ...*party) {
	for _, p := range ps {
		p.offer(v)
		p.catchUp()
	}
}

// tell has one party tell others all that it would tell its peers, and answer
// what they ask for. It gives false where somebody was cut for it.
func tell(from *party, to ...*party) bool {
	g, s := newGossip(from.cosigning), new(judgeSwitch)
	g.SetSwitch(s)
	for _, p := range to {
		receiver := newGossip(p.cosigning)
		receiver.SetSwitch(s)
		asks := new(listener)
		for _, m := range g.news() {
			receiver.Receive(p2p.Envelope{Src: asks, ChannelID: gossipChannel, Message: m})
		}
		for _, m := range asks.got {
			g.Receive(p2p.Envelope{Src: new(listener), ChannelID: gossipChannel, Message: m})
		}
	}
	return s.cut == 0
}

// all has every party tell every other one, twice.
func all(ps ...*party) {
	for range 2 {
		for _, p := range ps {
			for _, q := range ps {
				if p != q {
					tell(p, q)
				}
			}
		}
	}
}

func quiet(t *testing.T, ps ...*party) {
	t.Helper()
	for i, p := range ps {
		if len(p.alarms) > 0 || p.broken != nil {
			t.Errorf("party %d: alarms %v, broken %v", i, p.alarms, p.broken)
		}
	}
}

// stands checks what parties serve, by the founding file and the handovers alone.
func stands(t *testing.T, c *chronicle, size int64, eras int, ps ...*party) {
	t.Helper()
	for i, p := range ps {
		n := c.network
		for _, text := range p.handoversAfter(1, 100) {
			next, err := n.Extend(text)
			if err != nil {
				t.Fatalf("party %d: %v", i, err)
			}
			n = next
		}
		if len(n.Eras) != eras || p.ready() != size {
			t.Errorf("party %d has %d eras and serves %d entries, want %d and %d", i, len(n.Eras), p.ready(), eras, size)
			continue
		}
		if n.Fingerprint() != p.network().Fingerprint() {
			t.Errorf("party %d: the file is another than its handovers make", i)
		}
		checkpoint, err := p.cosigned(t.Context(), size)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.CheckCheckpoint(checkpoint.Signed, nil); err != nil {
			t.Errorf("party %d serves what the file does not hold good: %v", i, err)
		}
	}
}

// TestHandover: the cosigner and log key of one of four are replaced. The old
// keys answer for the tree that says so, the new ones for those that follow.
func TestHandover(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	v := c.block()
	sees(v, ps...)
	all(ps...)
	stands(t, c, v.head.Size, 1, ps...)

	next := *memberKeys("member 3, later")
	next.Node = c.members[3].Node
	handover := c.opens(c.members[0], c.members[1], c.members[2], &next)
	sees(handover, ps[:3]...) // with the fourth still behind
	later := c.block()
	sees(later, ps[:3]...)
	for _, p := range ps[1:3] { // of the tree after the handover's alone
		signed, _ := p.gathered()
		if err := ps[0].add(signed); err != nil {
			t.Fatal(err)
		}
	}
	stands(t, c, v.head.Size, 1, ps[:3]...) // nobody can know yet which keys are in force
	all(ps[:3]...)
	stands(t, c, later.head.Size, 2, ps[:3]...)

	// The one whose keys are other ones signed with the old keys, and goes on with the new.
	ps[3].keys.Log, ps[3].keys.Cosigner = next.Log, next.Cosigner
	c3 := ps[3]
	sees(handover, c3)
	if len(c3.trees) > 0 && c3.tree(handover.head.Size) != nil {
		t.Error("the old era was signed with keys of the new one")
	}
	sees(later, c3)
	all(ps...)
	stands(t, c, later.head.Size, 2, ps...)
	final := c.block()
	sees(final, ps[0], ps[1], c3) // the fourth counts
	all(ps...)
	stands(t, c, final.head.Size, 2, ps[0], ps[1], c3)
	quiet(t, ps...)

	// What a retired key has signed afterwards counts for nothing.
	old := *c.members[0]
	old.Cosigner = memberKeys("member 3").Cosigner
	body := record.CheckpointBody(testOrigin, final.head.Size, final.frontier[0])
	line, err := receipt.Cosign(body, receipt.CosignerName(testOrigin, next.ID()), old.Cosigner, 1_900_000_000)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := receipt.Assemble(body, line)
	if err != nil {
		t.Fatal(err)
	}
	if err := ps[2].add(signed); !errors.Is(err, ErrNoCosignature) {
		t.Errorf("a cosignature by a retired key: got %v, want %v", err, ErrNoCosignature)
	}
}

// TestAHandoverComesWhileOneSigns: another node brings the handover while this one,
// which is behind, signs the same tree. What it brought stays, on disk too.
func TestAHandoverComesWhileOneSigns(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	site := c.site(c.members[3])
	behind := c.start(site, c.views[0])
	v := c.opens(c.members[0], c.members[1], c.members[2], memberKeys("another"))
	sees(v, ps[:3]...)
	all(ps[:3]...)
	whole := ps[0].handoversAfter(1, 1)
	behind.now = func() time.Time {
		for _, text := range whole {
			if err := behind.addHandover(text); err != nil {
				t.Error(err)
			}
		}
		return time.Unix(1_900_000_000, 0)
	}
	sees(v, behind)
	stands(t, c, v.head.Size, 2, behind)
	quiet(t, behind)
	if drafts, lacking, err := behind.begun(); len(drafts) > 0 || lacking > 0 || err != nil {
		t.Errorf("%d handovers lack signatures, %d eras are known, %v", len(drafts), lacking, err)
	}
	stands(t, c, v.head.Size, 2, c.start(site, v))
}

// TestRemovedNodesStopCosigning: a node that leaves signs the tree that says so,
// and nothing after it, without an alarm on any side.
func TestRemovedNodesStopCosigning(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	handover := c.opens(c.members[:3]...)
	sees(handover, ps...)
	later := c.block()
	sees(later, ps...)
	if got := ps[3].state.Size(); got != handover.head.Size {
		t.Errorf("the removed node signed %d entries last, want %d", got, handover.head.Size)
	}
	all(ps...)
	stands(t, c, later.head.Size, 2, ps[:3]...)
	stands(t, c, handover.head.Size, 2, ps[3])
	quiet(t, ps...)
	if ps[3].validates() || ps[3].validators() != 3 || !ps[0].validates() {
		t.Error("the removed node still counts itself as a validator")
	}
}

// TestTheQuorumOfTheOldEra: as long as it is missing, larger trees are signed and
// not served; stragglers complete the handover and with it all that waited.
func TestTheQuorumOfTheOldEra(t *testing.T) {
	c := newChronicle(t, 4)
	first := c.views[0]
	ps := c.crew()
	sees(first, ps...)
	all(ps...)
	next := []*Keys{c.members[0], c.members[1], memberKeys("x"), memberKeys("y")}
	handover := c.opens(next...)
	sees(handover, ps[:2]...)
	second := c.opens(c.members[0], c.members[1], c.members[2], memberKeys("z"))
	x := c.start(c.site(memberKeys("x")), handover) // a new member, which has signed nothing
	later := c.block()
	for _, v := range []ledger.View{second, later} {
		sees(v, ps[0], ps[1], x)
	}
	all(ps[0], ps[1], x)
	stands(t, c, first.head.Size, 1, ps[0], ps[1])
	if x.ready() != 0 || ps[0].complete() {
		t.Errorf("the new member serves %d entries before it could be believed", x.ready())
	}
	sees(handover, ps[2]) // one of the old era comes back
	tell(ps[2], ps[0])
	all(ps[0], ps[1], x)
	stands(t, c, later.head.Size, 3, ps[0], ps[1], x)
	quiet(t, ps[0], ps[1], ps[2], x)
}

// TestHandoversReachThoseWhoLackThem: a node that joins with the founding file, or
// with one that is up to date, gets and keeps all handovers.
func TestHandoversReachThoseWhoLackThem(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	for i := range 2 * handoversAtOnce {
		members := slices.Clone(c.members)
		members[3] = memberKeys(fmt.Sprint("fourth ", i))
		sees(c.opens(members...), ps[:3]...)
		all(ps[:3]...)
	}
	last := c.block()
	sees(last, ps[:3]...)
	all(ps[:3]...)
	stands(t, c, last.head.Size, 2*handoversAtOnce+1, ps[:3]...)
	for name, file := range map[string]receipt.Network{"the founding file": c.network, "a file that is up to date": ps[0].network()} {
		s := c.site(c.members[3])
		s.file = file
		late := c.start(s, last)
		for range 4 {
			all(ps[0], late)
		}
		sees(last, late)
		all(ps[0], late)
		stands(t, c, last.head.Size, 2*handoversAtOnce+1, late)
		quiet(t, late)
		again := c.start(s, last)
		if got := again.network().Fingerprint(); got != ps[0].network().Fingerprint() || len(again.handoversAfter(1, 100)) != 2*handoversAtOnce {
			t.Errorf("%s: after a restart the network is another, with %d handovers", name, len(again.handoversAfter(1, 100)))
		}
		if again.ready() == 0 {
			t.Errorf("%s: after a restart nothing is served", name)
		}
	}
}

// TestHandoverAfterACrash fails every durable step of the signing of a handover
// tree. Whatever is on disk then, the restarted node signs it before any larger one.
func TestHandoverAfterACrash(t *testing.T) {
	broken := errors.New("disk is broken")
	for _, part := range []string{"cosigner state", "handover", "handover with the quorum"} {
		steps := []string{beforeWrite, beforeSync, beforeRename, beforeDirectory}
		if part != "cosigner state" {
			steps = append(steps, beforeFolder)
		}
		for _, step := range steps {
			t.Run(part+", "+step, func(t *testing.T) {
				c := newChronicle(t, 4)
				ps := c.crew()
				own := c.site(c.members[0])
				p := c.start(own, c.views[0])
				members := slices.Clone(c.members)
				members[3] = memberKeys("fourth")
				handover := c.opens(members...)
				later := c.block()
				sees(handover, ps[1:3]...)
				sees(later, ps[1:3]...)
				all(ps[1:3]...)
				fail := func(at string) error {
					if at == step {
						return broken
					}
					return nil
				}
				switch part {
				case "cosigner state":
					p.state.at = fail
					p.offer(handover)
				case "handover":
					p.trust.at = fail
					p.offer(handover)
				default:
					p.offer(handover)
					p.trust.at = fail
					tell(ps[1], p)
				}
				if !errors.Is(p.broken, broken) {
					t.Fatalf("the node goes on: %v", p.broken)
				}
				if p.ready() > c.views[0].head.Size {
					t.Error("what is not on disk is served")
				}
				p = c.start(own, handover) // the next block was not written
				p.offer(handover)
				if p.tree(handover.head.Size) == nil || p.state.Size() != handover.head.Size {
					if p.trust.eras() != 2 {
						t.Fatal("the last tree of the era was skipped")
					}
				}
				sees(later, p)
				all(p, ps[1], ps[2])
				stands(t, c, later.head.Size, 2, p, ps[1], ps[2])
				quiet(t, p, ps[1], ps[2])
			})
		}
	}
}

// TestAHandoverOutlivesARestart: the ledger is far past the handover, the old
// quorum comes only then, and this node's part in it is on disk.
func TestAHandoverOutlivesARestart(t *testing.T) {
	c := newChronicle(t, 4)
	sites := []*site{}
	ps := []*party{}
	for _, k := range c.members {
		sites = append(sites, c.site(k))
		ps = append(ps, c.start(sites[len(sites)-1], c.views[0]))
	}
	members := slices.Clone(c.members)
	members[3] = memberKeys("fourth")
	handover := c.opens(members...)
	sees(handover, ps[0])
	later := c.block()
	sees(later, ps[0])
	if got := ps[0].state.Size(); got != later.head.Size {
		t.Fatalf("signed %d entries, want %d", got, later.head.Size)
	}
	p := c.start(sites[0], later)
	sees(later, p)
	sees(handover, ps[1], ps[2])
	tell(ps[1], p)
	tell(ps[2], p)
	stands(t, c, handover.head.Size, 2, p)
	quiet(t, p)
	text, err := os.ReadFile(handoverFile(p.trust.dir, 2))
	if err != nil || !bytes.Contains(text, []byte(receipt.CosignerName(testOrigin, c.members[0].ID()))) {
		t.Errorf("the handover lacks this node's cosignature, %v", err)
	}

	// A damaged file is left out with an alarm, and the others have it.
	if err := os.WriteFile(handoverFile(p.trust.dir, 2), bytes.Replace(text, []byte("index"), []byte("Index"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	again := c.start(sites[0], later)
	if len(again.alarms) != 1 || again.trust.eras() != 1 {
		t.Errorf("a damaged handover: alarms %v, %d eras", again.alarms, again.trust.eras())
	}
	all(again, p)
	stands(t, c, handover.head.Size, 2, again)
}

// TestNoFalseAlarms: a cosigner state that is behind or ahead of the ledger.
func TestNoFalseAlarms(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	members := slices.Clone(c.members)
	members[3] = memberKeys("fourth")
	handover := c.opens(members...)
	sees(handover, ps[:3]...)
	later := c.block()
	sees(later, ps[:3]...)
	all(ps[:3]...)

	behind := c.start(c.site(c.members[1]), c.views[0]) // nothing signed yet, and it catches up
	sees(handover, behind)
	sees(later, behind)
	all(behind, ps[0])
	stands(t, c, later.head.Size, 2, behind)

	ahead := c.site(c.members[1])
	state, err := OpenCosignerState(filepath.Join(ahead.dir, "cosigner.state"), noFatal(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := state.Admit(later.head.Size, later.frontier[0], 1_900_000_000); err != nil {
		t.Fatal(err)
	}
	p := c.start(ahead, c.views[0]) // its ledger was lost, and comes again
	p.offer(handover)
	if p.tree(handover.head.Size) != nil {
		t.Error("a smaller tree was signed after a larger one")
	}
	sees(later, p)
	all(p, ps[0])
	stands(t, c, later.head.Size, 2, p)
	quiet(t, behind, p, ps[0])
}

// TestAForkedHandoverIsAnAlarm: the old quorum has signed another last tree than
// this node has. Somebody's ledger is not the network's.
func TestAForkedHandoverIsAnAlarm(t *testing.T) {
	c, other := newChronicle(t, 4), newChronicle(t, 4)
	ps, qs := c.crew(), other.crew()
	other.block() // another history
	members := slices.Clone(c.members)
	members[3] = memberKeys("fourth")
	handover := c.opens(members...)
	forked := other.opens(members...)
	sees(forked, qs[:3]...)
	all(qs[:3]...)
	stands(t, other, forked.head.Size, 2, qs[:3]...)

	sees(handover, ps[0])
	if err := ps[0].addHandover(qs[0].handoversAfter(1, 1)[0]); err != nil {
		t.Fatal(err)
	}
	if len(ps[0].alarms) != 1 || !errors.Is(ps[0].alarms[0], ErrForked) {
		t.Errorf("after it signed its own: alarms %v", ps[0].alarms)
	}
	if err := ps[1].addHandover(qs[0].handoversAfter(1, 1)[0]); err != nil {
		t.Fatal(err)
	}
	sees(handover, ps[1])
	if len(ps[1].alarms) != 1 || !errors.Is(ps[1].alarms[0], ErrForked) {
		t.Errorf("before it has the tree: alarms %v", ps[1].alarms)
	}
	filed := c.site(c.members[2])
	filed.file = qs[0].network()
	p := c.start(filed, c.views[0])
	sees(handover, ps[2], ps[3], p)
	if len(p.alarms) == 0 || !errors.Is(p.alarms[0], ErrForked) {
		t.Errorf("against the network file: alarms %v", p.alarms)
	}
}

// TestHandoversOfOthersAreJudged: a peer that sends what is no state receipt is
// cut; one that sends another one is not, and nothing comes of it.
func TestHandoversOfOthersAreJudged(t *testing.T) {
	c := newChronicle(t, 4)
	ps := c.crew()
	members := slices.Clone(c.members)
	members[3] = memberKeys("fourth")
	handover := c.opens(members...)
	sees(handover, ps[:3]...)
	all(ps[:3]...)
	good := ps[0].handoversAfter(1, 1)[0]
	p := ps[3]
	g, s := newGossip(p.cosigning), new(judgeSwitch)
	g.SetSwitch(s)
	for _, m := range []struct {
		name string
		text []byte
		cut  int
	}{
		{"junk", []byte("junk"), 1},
		{"nothing", []byte{}, 1},
		{"too large", make([]byte, receipt.MaxReceiptBytes+1), 1},
		{"with a byte changed", append(bytes.Clone(good[:len(good)-10]), append([]byte{'A'}, good[len(good)-9:]...)...), 0},
	} {
		before := s.cut
		g.Receive(p2p.Envelope{Src: new(listener), Message: &gossipMessage{Handover: m.text}})
		if got := s.cut - before; got != m.cut || p.trust.eras() != 1 {
			t.Errorf("%s: the peer was cut %d times, want %d; %d eras", m.name, got, m.cut, p.trust.eras())
		}
	}
	for range 2 {
		g.Receive(p2p.Envelope{Src: new(listener), Message: &gossipMessage{Handover: good}})
	}
	if p.trust.eras() != 2 {
		t.Error("a good handover was not taken over")
	}
	asks := new(listener)
	for _, eras := range []uint32{1, 2, 3, 1 << 31} {
		g.Receive(p2p.Envelope{Src: asks, Message: &gossipMessage{Eras: eras}})
	}
	if len(asks.got) != 1 || !bytes.Equal(asks.got[0].Handover, good) {
		t.Errorf("%d answers to those who lack handovers, want 1", len(asks.got))
	}
}
