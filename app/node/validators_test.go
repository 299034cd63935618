package node

import (
	"bytes"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	cmtcrypto "github.com/cometbft/cometbft/crypto"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
	"github.com/muniment/muniment/tests/ports"
)

// decide has both governing offices state a fact, at different nodes, and gives
// the height of the approval, and its code.
func (c *city) decide(nonce string, fact record.Fact, at, then *Node) (int64, ledger.Code) {
	c.t.Helper()
	hash, err := record.FactHash(fact)
	if err != nil {
		c.t.Fatal(err)
	}
	proposed, _ := submit(c.t, at, decision(c.t, at, "CLERK", nonce, &record.ProposeChange{Fact: fact}))
	eventually(c.t, "the proposal at the other node", func() bool { return then.View().Head().Size > int64(proposed.TxIndex)+1 })
	approval := decision(c.t, then, "IT", nonce, &record.ApproveChange{Proposal: proposed.TxIndex + 1, FactHash: hash})
	result, height, err := then.Submit(waiting(c.t), approval)
	if err != nil {
		c.t.Fatalf("approve %s: %v", nonce, err)
	}
	return height, result.Code
}

// decideSoon tries again while a vote of a live validator came too late for the
// commit that the block carries.
func (c *city) decideSoon(nonce string, fact record.Fact, at, then *Node) int64 {
	c.t.Helper()
	for try := range 50 {
		height, code := c.decide(fmt.Sprint(nonce, try), fact, at, then)
		switch code {
		case ledger.OK:
			return height
		case ledger.CodeQuorumAtRisk:
		default:
			c.t.Fatalf("%s: %v", nonce, code)
		}
	}
	c.t.Fatalf("%s: the quorum was at risk each time", nonce)
	return 0
}

// join makes a node that the ledger does not list, with the files of the network.
func (c *city) join() (i int, keys Keys) {
	c.t.Helper()
	home := Home(c.t.TempDir())
	keys, err := MakeKeys(home, testKeyOptions())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := Join(home, read(c.t, c.homes[0].Genesis()), read(c.t, c.homes[0].Network())); err != nil {
		c.t.Fatal(err)
	}
	config := testConfig()
	config.P2P.Listen = ports.Free(c.t)
	for j, id := range c.ids {
		config.P2P.Peers = append(config.P2P.Peers, id+"@"+c.configs[j].P2P.Listen)
	}
	c.homes, c.configs, c.ids, c.nodes = append(c.homes, home), append(c.configs, config), append(c.ids, keys.ID()), append(c.nodes, nil)
	return len(c.homes) - 1, keys
}

// powers gives the engine's validators of a height, by key.
func powers(t testing.TB, n *Node, height int64) map[[32]byte]int64 {
	t.Helper()
	set, err := sm.NewStore(cometdb.New(n.db, cometdb.PrefixState), sm.StoreOptions{}).LoadValidators(height)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[[32]byte]int64)
	for _, v := range set.Validators {
		all[[32]byte(v.PubKey.Bytes())] = v.VotingPower
	}
	return all
}

// changing signs with one validator key before a height and with another from it on.
type changing struct {
	types.PrivValidator
	next func() int64 // height of the next block
	from func() int64 // 0: not known yet
	then cmted25519.PrivKey
}

func (s changing) later(height int64) bool { return s.from() != 0 && height >= s.from() }

// GetPubKey is asked after each block.
func (s changing) GetPubKey() (cmtcrypto.PubKey, error) {
	if s.later(s.next()) {
		return s.then.PubKey(), nil
	}
	return s.PrivValidator.GetPubKey()
}

func (s changing) SignVote(chainID string, v *cmtproto.Vote) (err error) {
	if !s.later(v.Height) {
		return s.PrivValidator.SignVote(chainID, v)
	}
	v.Signature, err = s.then.Sign(types.VoteSignBytes(chainID, v))
	return err
}

func (s changing) SignProposal(chainID string, p *cmtproto.Proposal) (err error) {
	if !s.later(p.Height) {
		return s.PrivValidator.SignProposal(chainID, p)
	}
	p.Signature, err = s.then.Sign(types.ProposalSignBytes(chainID, p))
	return err
}

// followed checks on every running node that the engine has other validators than
// those wanted before height h+2, and these from it on.
func (c *city) followed(what string, h int64, want map[[32]byte]int64) {
	c.t.Helper()
	for i, n := range c.nodes {
		if n == nil {
			continue
		}
		eventually(c.t, what+": blocks go on", func() bool { return n.View().Head().Height >= h+3 })
		if before := powers(c.t, n, h+1); maps.Equal(before, want) {
			c.t.Errorf("%s, node %d: the engine followed before height %d", what, i, h+2)
		}
		if got := powers(c.t, n, h+2); !maps.Equal(got, want) {
			c.t.Errorf("%s, node %d: at height %d the validators are %v, want %v", what, i, h+2, got, want)
		}
	}
}

// TestValidatorsComeAndGo admits a fifth validator to a network of four, removes
// one of the first, gives another one a new key, and is refused a change that
// would leave too few live ones. The engine follows two heights after each, on
// every node alike, and the blocks give the same state once more.
func TestValidatorsComeAndGo(t *testing.T) {
	const heartbeat = 300 * time.Millisecond
	c := newCity(t, 4)
	var effective atomic.Int64
	var second atomic.Pointer[Node]
	newKey := cmted25519.GenPrivKey()
	keys, want := make([]Keys, 4), map[[32]byte]int64{}
	for i := range 4 {
		o := Options{Heartbeat: heartbeat}
		if i == 1 {
			o.signing = func(p types.PrivValidator) types.PrivValidator {
				return changing{PrivValidator: p, then: newKey, from: effective.Load, next: func() int64 {
					if n := second.Load(); n != nil {
						return n.View().Head().Height + 1
					}
					return 0
				}}
			}
		}
		c.nodes[i] = openWith(t, c.homes[i], c.configs[i], o)
		keys[i] = c.nodes[i].Keys()
		want[public(keys[i].Validator)] = 10
	}
	second.Store(c.nodes[1])
	for _, n := range c.nodes[:4] {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}

	fifth, fifthKeys := c.join()
	h := c.decideSoon("admit ", fifthKeys.Fact(10), c.nodes[0], c.nodes[2])
	want[public(fifthKeys.Validator)] = 10
	c.followed("admission", h, want)
	c.nodes[fifth] = open(t, c.homes[fifth], c.configs[fifth], heartbeat)
	if err := c.nodes[fifth].Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fifth votes", func() bool {
		return signed(c.nodes[0], c.nodes[0].View().Head().Height, cmted25519.PrivKey(fifthKeys.Validator).PubKey().Address())
	})

	gone := keys[3].Fact(0)
	gone.Removed = true
	h = c.decideSoon("remove ", gone, c.nodes[1], c.nodes[fifth])
	delete(want, public(keys[3].Validator))
	removed := c.nodes[3]
	c.nodes[3] = nil
	c.followed("removal", h, want)
	eventually(t, "the one that was removed is alone", func() bool { return removed.Status().Peers == 0 })

	changed := keys[1].Fact(10)
	changed.ValidatorKey = [32]byte(newKey.PubKey().Bytes())
	h = c.decideSoon("key ", changed, c.nodes[2], c.nodes[0])
	effective.Store(h + 2)
	delete(want, public(keys[1].Validator))
	want[changed.ValidatorKey] = 10
	c.followed("another key", h, want)
	eventually(t, "a commit with the new key", func() bool {
		return signed(c.nodes[0], c.nodes[0].View().Head().Height, newKey.PubKey().Address())
	})

	if err := c.nodes[2].Stop(); err != nil {
		t.Fatal(err)
	}
	c.nodes[2] = nil
	last := c.nodes[0].View().Head().Height
	eventually(t, "three of four go on", func() bool { return c.nodes[0].View().Head().Height >= last+3 })
	tooMany := keys[0].Fact(0)
	tooMany.Removed = true
	if height, code := c.decide("too many", tooMany, c.nodes[0], c.nodes[1]); code != ledger.CodeQuorumAtRisk || height == 0 {
		t.Errorf("removal of a live one while another is down: %v at height %d, want %v in a block", code, height, ledger.CodeQuorumAtRisk)
	}
	submit(t, c.nodes[fifth], anchor(t, c.nodes[fifth], "by the fifth"))
	c.agree()
	if err := c.nodes[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := Rebuild(c.homes[0], state.Options{Exit: func(int) {}}, func(int64, int64) {}); err != nil {
		t.Errorf("the blocks, replayed: %v", err)
	}
}

// signed says whether the commit of a height has a signature for its block by the
// validator of an address.
func signed(n *Node, height int64, address []byte) bool {
	commit := n.engine.BlockStore().LoadSeenCommit(height)
	if commit == nil {
		return false
	}
	for _, s := range commit.Signatures {
		if s.BlockIDFlag == types.BlockIDFlagCommit && bytes.Equal(s.ValidatorAddress, address) {
			return true
		}
	}
	return false
}

// agree waits until all running nodes have the same tree.
func (c *city) agree() {
	c.t.Helper()
	eventually(c.t, "the same tree everywhere", func() bool {
		heads := map[[32]byte]bool{}
		for _, n := range c.nodes {
			if n != nil {
				heads[n.View().Head().AppHash] = true
			}
		}
		return len(heads) == 1
	})
}
