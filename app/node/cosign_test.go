package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

const testOrigin = "records.example.org/test"

// treeView is a view of which only the log's head counts.
type treeView struct {
	ledger.View
	size     int64
	frontier []record.Hash
}

func (v treeView) Frontier() []record.Hash { return v.frontier }

// Value says that the first era is in force.
func (v treeView) Value(key []byte) ([]byte, bool, error) {
	switch string(key) {
	case string(ledger.StateKeyEras()):
		return []byte{0x82, 1, 1}, true, nil
	case string(ledger.StateKeyEra(1)):
		value, err := eraBytes(ledger.Era{Number: 1})
		return value, true, err
	}
	return nil, false, nil
}

func (v treeView) Head() ledger.Head {
	body := record.CheckpointBody(testOrigin, v.size, rootOf(v.frontier))
	return ledger.Head{Size: v.size, Origin: testOrigin, AppHash: record.AppHash(body)}
}

// treeOf gives a tree of a size; another fork gives another root.
func treeOf(size int64, fork byte) treeView {
	hash := sha256.Sum256(fmt.Appendf(nil, "%d %d", size, fork))
	return treeView{size: size, frontier: []record.Hash{hash}}
}

// party is one node's cosigning.
type party struct {
	*cosigning
	alarms []error
	broken error // why the process would have ended
}

// parties gives the cosigning of some validators and, last, of a node without power.
func parties(t *testing.T, validators int) []*party {
	t.Helper()
	var all []Keys
	first := ledger.Era{Number: 1}
	network := receipt.Network{ChainID: "muniment-test-1", Origin: testOrigin, Eras: []receipt.Era{{}}}
	for i := range validators + 1 {
		key := func(use string) ed25519.PrivateKey { return officeKey(fmt.Sprintf("party %d %s", i, use)) }
		k := Keys{Node: key("node"), Validator: key("validator"), Cosigner: key("cosigner"), Log: key("log")}
		all = append(all, k)
		first.Nodes = append(first.Nodes, ledger.EraNode{NodeKey: public(k.Node), LogKey: public(k.Log), CosignerKey: public(k.Cosigner), Validator: i < validators})
		network.Eras[0].Logs = append(network.Eras[0].Logs, public(k.Log))
		if i < validators {
			network.Eras[0].Validators = append(network.Eras[0].Validators, receipt.Validator{NodeID: k.ID(), Cosigner: public(k.Cosigner)})
		}
	}
	ps := make([]*party, len(all))
	for i, k := range all {
		path := filepath.Join(t.TempDir(), "cosigner.state")
		if err := CreateCosignerState(path); err != nil {
			t.Fatal(err)
		}
		state, err := OpenCosignerState(path, noFatal(t))
		if err != nil {
			t.Fatal(err)
		}
		p := new(party)
		trust, err := openTrust(filepath.Join(t.TempDir(), "eras"), network)
		if err != nil {
			t.Fatal(err)
		}
		p.cosigning = newCosigning(trust, k, state, history{}, slog.New(slog.NewTextHandler(io.Discard, nil)),
			func() time.Time { return time.Unix(1_900_000_000, 0) }, func(err error) { p.alarms = append(p.alarms, err) }, noFatal(t))
		p.reigns = []reign{{Era: first}}
		ps[i] = p
	}
	return ps
}

func (p *party) signs(t *testing.T, v ledger.View) []byte {
	t.Helper()
	tree, err := p.sign(v)
	if err == nil {
		err = p.keep(tree)
	}
	if err != nil {
		t.Fatal(err)
	}
	signed, _ := p.gathered()
	return signed
}

// ready gives the size of the newest tree with the quorum.
func (p *party) ready() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest.Size
}

func TestThreeOfFourMakeACheckpoint(t *testing.T) {
	ps := parties(t, 4)
	v := treeOf(10, 0)
	a := ps[0]
	a.signs(t, v)
	if err := a.add(ps[1].signs(t, v)); err != nil {
		t.Fatal(err)
	}
	if a.ready() != 0 {
		t.Error("two of four made a checkpoint")
	}
	if err := a.add(ps[2].signs(t, v)); err != nil {
		t.Fatal(err)
	}
	if a.ready() != 10 || !a.complete() {
		t.Error("three of four made no checkpoint")
	}
	c, err := a.cosigned(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.network().CheckCheckpoint(c.Signed, nil)
	if err != nil || len(s.Validators) != 3 || s.OfValidators != 4 || c.Root != v.frontier[0] {
		t.Errorf("got %+v, %v", s, err)
	}
	for range 3 { // the fourth comes late and is taken in, once
		if err := a.add(ps[3].signs(t, v)); err != nil {
			t.Fatal(err)
		}
	}
	if c, _ = a.cosigned(t.Context(), 10); c.Size != 10 {
		t.Fatal("no checkpoint")
	}
	if s, err = a.network().CheckCheckpoint(c.Signed, nil); err != nil || len(s.Validators) != 4 {
		t.Errorf("with the fourth: %+v, %v", s, err)
	}
	// A node without power gathers, and adds its log signature alone.
	observer := ps[4]
	observer.signs(t, v)
	if observer.ready() != 0 {
		t.Error("a node without power counted itself")
	}
	if err := observer.add(c.Signed); err != nil || observer.ready() != 10 {
		t.Errorf("the observer is at %d, %v", observer.ready(), err)
	}
	alone, err := receipt.SignCheckpoint(c.Signed[:bytes.Index(c.Signed, []byte("\n\n"))+1], observer.keys.Log)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := receipt.Assemble(c.Signed[:bytes.Index(c.Signed, []byte("\n\n"))+1], alone)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.add(signed); !errors.Is(err, ErrNoCosignature) {
		t.Errorf("a signature without power: got %v, want %v", err, ErrNoCosignature)
	}
	for i, p := range ps {
		if len(p.alarms) > 0 {
			t.Errorf("party %d: alarms %v", i, p.alarms)
		}
	}
}

// TestCosignaturesThatComeEarly are kept until this node has the tree, one per
// validator.
func TestCosignaturesThatComeEarly(t *testing.T) {
	ps := parties(t, 4)
	a := ps[0]
	for size := int64(1); size <= 20; size++ {
		for _, p := range ps[1:4] {
			if err := a.add(p.signs(t, treeOf(size, 0))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(a.heard) != 3 {
		t.Errorf("%d early cosignatures are kept, want one for each of 3", len(a.heard))
	}
	a.signs(t, treeOf(20, 0))
	if a.ready() != 20 || len(a.heard) != 0 {
		t.Errorf("at %d with %d early cosignatures left", a.ready(), len(a.heard))
	}
	for size := int64(21); size <= 21+2*rememberedTrees; size++ {
		a.signs(t, treeOf(size, 0))
	}
	if len(a.trees) != rememberedTrees {
		t.Errorf("%d trees are kept, want %d", len(a.trees), rememberedTrees)
	}
}

// TestAForkIsAnAlarm: another validator has signed another tree of a size that
// this node has, before or after it heard of it.
func TestAForkIsAnAlarm(t *testing.T) {
	ps := parties(t, 4)
	a := ps[0]
	a.signs(t, treeOf(10, 0))
	if err := a.add(ps[1].signs(t, treeOf(10, 1))); !errors.Is(err, ErrForked) || len(a.alarms) != 1 {
		t.Errorf("after: got %v and alarms %v", err, a.alarms)
	}
	if err := a.add(ps[1].signs(t, treeOf(11, 1))); err != nil {
		t.Fatal(err)
	}
	a.signs(t, treeOf(11, 0))
	if len(a.alarms) != 2 || !errors.Is(a.alarms[1], ErrForked) {
		t.Errorf("before: alarms %v", a.alarms)
	}
	if a.ready() != 0 {
		t.Error("a forked cosignature counted")
	}
}

func TestWhatIsNotCosigned(t *testing.T) {
	a := parties(t, 1)[0]
	a.signs(t, treeOf(10, 0))
	if a.ready() != 10 {
		t.Fatal("one of one made no checkpoint")
	}
	wrong := treeOf(11, 0)
	for name, c := range map[string]struct {
		view ledger.View
		want error
	}{
		"a smaller tree":            {treeOf(9, 0), ErrTreeShrinks},
		"another tree of its size":  {treeOf(10, 1), ErrTreeForks},
		"a root without an AppHash": {struct{ rooted }{rooted{wrong, record.Hash{1}}}, ErrRootDiffers},
	} {
		if tree, err := a.sign(c.view); !errors.Is(err, c.want) || tree != nil {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if a.ready() != 10 {
		t.Error("a refused tree was served")
	}
	for name, signed := range map[string][]byte{
		"nothing":        nil,
		"junk":           []byte("junk\n"),
		"another origin": []byte("other\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— other AAAAAAAA\n"),
	} {
		if err := a.add(signed); err == nil {
			t.Errorf("%s was taken for cosignatures", name)
		}
	}
}

// rooted has the head of one tree and the frontier of another.
type rooted struct {
	treeView
	other record.Hash
}

func (r rooted) Frontier() []record.Hash { return []record.Hash{r.other} }

// TestCosigningRuns drives the loop: it signs the newest tree offered, skips
// those overtaken, and tells who waits.
func TestCosigningRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := parties(t, 1)[0]
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		got := make(chan int64, 1)
		go func() {
			c, err := a.cosigned(ctx, 12)
			if err != nil {
				t.Error(err)
			}
			got <- c.Size
		}()
		for _, size := range []int64{10, 11, 13, 12} {
			a.offer(treeOf(size, 0))
		}
		go func() { a.run(ctx); close(ended) }()
		synctest.Wait()
		if size := <-got; size != 13 || a.state.Size() != 13 || len(a.trees) != 1 {
			t.Errorf("served %d, signed %d, %d trees; want 13 alone", size, a.state.Size(), len(a.trees))
		}
		a.offer(treeOf(12, 0))
		a.offer(treeOf(13, 0))
		synctest.Wait()
		a.offer(treeOf(14, 0))
		synctest.Wait()
		if a.ready() != 14 || len(a.alarms) != 0 {
			t.Errorf("at %d with alarms %v", a.ready(), a.alarms)
		}
		cancel()
		<-ended
		if _, err := a.cosigned(ctx, 15); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
		if c, err := a.cosigned(ctx, 0); err != nil || c.Size != 14 {
			t.Errorf("newest is %d, %v", c.Size, err)
		}
	})
}

func TestRootOf(t *testing.T) {
	a, b, c := record.Hash{1}, record.Hash{2}, record.Hash{3}
	node := func(l, r record.Hash) record.Hash {
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
	if got, want := rootOf([]record.Hash{a, b, c}), node(a, node(b, c)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := rootOf([]record.Hash{a}); got != a {
		t.Errorf("got %v, want %v", got, a)
	}
	if got, want := rootOf(nil), record.Hash(sha256.Sum256(nil)); got != want {
		t.Errorf("empty tree: got %v, want %v", got, want)
	}
}
