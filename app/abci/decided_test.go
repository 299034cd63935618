package abci

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

func nodeFact(name string, power uint32) *record.Node {
	return &record.Node{
		NodeKey: publicOf(name), ValidatorKey: publicOf(name + "/validator"),
		CosignerKey: publicOf(name + "/cosigner"), LogKey: publicOf(name + "/log"), Power: power,
	}
}

func addressOf(name string) [20]byte {
	public := publicOf(name)
	sum := sha256.Sum256(public[:])
	return [20]byte(sum[:20])
}

// four makes a chain of four validators, v-1 to v-4, at height 1.
func four(t *testing.T, change func(*Options)) *chain {
	t.Helper()
	c := newChain(t, func(o *Options) {
		var facts []record.Fact
		for _, f := range o.Genesis.Facts {
			if _, ok := f.(*record.Node); !ok {
				facts = append(facts, f)
			}
		}
		for i := range 4 {
			facts = append(facts, nodeFact(fmt.Sprint("v-", i+1), 10))
		}
		o.Genesis.Facts = facts
		if change != nil {
			change(o)
		}
	})
	r := c.initRequest()
	r.Validators = validators(t, map[string]int64{"v-1/validator": 10, "v-2/validator": 10, "v-3/validator": 10, "v-4/validator": 10})
	if _, err := c.app.InitChain(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	c.block()
	return c
}

// decide carries out a block in which both offices state a fact, on a commit by
// the named validators.
func (c *chain) decide(fact record.Fact, by ...string) *types.ResponseFinalizeBlock {
	c.t.Helper()
	hash, err := record.FactHash(fact)
	if err != nil {
		c.t.Fatal(err)
	}
	head := c.app.View().Head()
	nonce := fmt.Sprint(head.Height)
	r := &types.RequestFinalizeBlock{Height: head.Height + 1, Time: c.time, Txs: [][]byte{
		sign(c.t, "CLERK", "propose "+nonce, today+1, &record.ProposeChange{Fact: fact}),
		sign(c.t, "IT", "approve "+nonce, today+1, &record.ApproveChange{Proposal: record.Index(head.Size) + 1, FactHash: hash}),
	}}
	for i := range 4 {
		name := fmt.Sprint("v-", i+1)
		address, flag := addressOf(name+"/validator"), cmtproto.BlockIDFlagNil
		if slices.Contains(by, name) {
			flag = cmtproto.BlockIDFlagCommit
		}
		r.DecidedLastCommit.Votes = append(r.DecidedLastCommit.Votes, types.VoteInfo{Validator: types.Validator{Address: address[:], Power: 10}, BlockIdFlag: flag})
	}
	answer, err := c.app.FinalizeBlock(context.Background(), r)
	if err != nil {
		c.t.Fatal(err)
	}
	c.commit()
	return answer
}

// wants compares updates with powers by name, and their order.
func wants(t *testing.T, what string, got []types.ValidatorUpdate, want map[string]int64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d updates, want %d", what, len(got), len(want))
	}
	for name, power := range want {
		public := publicOf(name)
		if !slices.ContainsFunc(got, func(u types.ValidatorUpdate) bool {
			return slices.Equal(u.PubKey.GetEd25519(), public[:]) && u.Power == power
		}) {
			t.Errorf("%s: %s with power %d is missing in %v", what, name, power, got)
		}
	}
	if !slices.IsSortedFunc(got, func(a, b types.ValidatorUpdate) int {
		return slices.Compare(a.PubKey.GetEd25519(), b.PubKey.GetEd25519())
	}) {
		t.Errorf("%s: the updates are not in the order of their keys", what)
	}
}

func TestValidatorUpdates(t *testing.T) {
	c := four(t, nil)
	all := []string{"v-1", "v-2", "v-3", "v-4"}
	if r := c.block(anchor(t, "DPW", today+1, "a")); len(r.ValidatorUpdates) != 0 || r.ConsensusParamUpdates != nil {
		t.Errorf("an anchor changes validators: %v %v", r.ValidatorUpdates, r.ConsensusParamUpdates)
	}
	wants(t, "admission", c.decide(nodeFact("v-5", 10), all...).ValidatorUpdates, map[string]int64{"v-5/validator": 10})
	wants(t, "a node without power", c.decide(nodeFact("archive", 0), all...).ValidatorUpdates, nil)
	wants(t, "power", c.decide(nodeFact("v-1", 11), all...).ValidatorUpdates, map[string]int64{"v-1/validator": 11})
	other := nodeFact("v-1", 11)
	other.ValidatorKey = publicOf("v-1/other validator")
	wants(t, "key", c.decide(other, all...).ValidatorUpdates, nil) // 30 of 51 are known to be live
	gone := nodeFact("v-5", 0)
	gone.Removed = true
	wants(t, "removal", c.decide(gone, all...).ValidatorUpdates, map[string]int64{"v-5/validator": 0})
	wants(t, "key again", c.decide(other, all...).ValidatorUpdates, map[string]int64{"v-1/validator": 0, "v-1/other validator": 11})
	if len(c.fatal) != 0 {
		t.Errorf("fatal: %v", c.fatal)
	}
}

// TestLiveValidatorsDecide: who did not sign the commit that the block carries
// does not count, and a vote for nothing is no signature.
func TestLiveValidatorsDecide(t *testing.T) {
	c := four(t, nil)
	r := c.decide(nodeFact("v-5", 10), "v-1", "v-2", "v-3")
	if got := codes(r); got != "OK QUORUM_AT_RISK " || len(r.ValidatorUpdates) != 0 {
		t.Errorf("got %s and %v", got, r.ValidatorUpdates)
	}
	if got := codes(c.decide(nodeFact("v-5", 10), "v-1", "v-2", "v-3", "v-4")); got != "OK OK " {
		t.Errorf("with all: %s", got)
	}
}

// TestDecidedIsDecided has the block store and the engine's call say the same.
func TestDecidedIsDecided(t *testing.T) {
	one, two := addressOf("v-1/validator"), addressOf("v-2/validator")
	vote := func(block byte) *cmttypes.Vote {
		hash := slices.Repeat([]byte{block}, 32)
		return &cmttypes.Vote{
			Type: cmtproto.PrecommitType, Height: 6, ValidatorAddress: two[:], Timestamp: start,
			BlockID: cmttypes.BlockID{Hash: hash, PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash}},
		}
	}
	stored := &cmttypes.Block{
		Header: cmttypes.Header{Height: 8, Time: start.Add(time.Second)}, Data: cmttypes.Data{Txs: cmttypes.Txs{{1}, {2}}},
		LastCommit: &cmttypes.Commit{Height: 7, Signatures: []cmttypes.CommitSig{
			{BlockIDFlag: cmttypes.BlockIDFlagCommit, ValidatorAddress: one[:]}, {BlockIDFlag: cmttypes.BlockIDFlagNil, ValidatorAddress: two[:]},
			{BlockIDFlag: cmttypes.BlockIDFlagAbsent},
		}},
		Evidence: cmttypes.EvidenceData{Evidence: cmttypes.EvidenceList{
			&cmttypes.DuplicateVoteEvidence{VoteA: vote(1), VoteB: vote(2), ValidatorPower: 10, TotalVotingPower: 40, Timestamp: start},
		}},
	}
	called := &types.RequestFinalizeBlock{
		Height: 8, Time: start.Add(time.Second), Txs: [][]byte{{1}, {2}}, Misbehavior: stored.Evidence.Evidence.ToABCI(),
		DecidedLastCommit: types.CommitInfo{Votes: []types.VoteInfo{
			{Validator: types.Validator{Address: one[:]}, BlockIdFlag: cmtproto.BlockIDFlagCommit},
			{Validator: types.Validator{Address: two[:]}, BlockIdFlag: cmtproto.BlockIDFlagNil},
			{Validator: types.Validator{Address: make([]byte, 20)}, BlockIdFlag: cmtproto.BlockIDFlagAbsent},
		}},
	}
	want := []ledger.Misbehavior{{Validator: two, Height: 6}}
	for name, b := range map[string]ledger.Block{"stored": Decided(stored), "called": decided(called)} {
		if b.Height != 8 || b.Time != start.Add(time.Second).UnixNano() || fmt.Sprint(b.Txs) != "[[1] [2]]" || !slices.Equal(b.Misbehavior, want) {
			t.Errorf("%s: got %+v", name, b)
		}
		if !b.Live(one) || b.Live(two) || b.Live([20]byte{}) {
			t.Errorf("%s: live are %t, %t, %t; want the first alone", name, b.Live(one), b.Live(two), b.Live([20]byte{}))
		}
	}
	if Decided(&cmttypes.Block{LastCommit: &cmttypes.Commit{}}).Live != nil || decided(&types.RequestFinalizeBlock{}).Live != nil {
		t.Error("the first block, which carries no commit, says who is live")
	}
}

// TestEvidenceIsRecorded has a block show evidence against a validator.
func TestEvidenceIsRecorded(t *testing.T) {
	c := four(t, nil)
	size := c.app.View().Head().Size
	at := addressOf("v-3/validator")
	r := &types.RequestFinalizeBlock{Height: 2, Time: c.time, Misbehavior: []types.Misbehavior{{
		Type: types.MisbehaviorType_DUPLICATE_VOTE, Validator: types.Validator{Address: at[:], Power: 10}, Height: 1,
	}}}
	if _, err := c.app.FinalizeBlock(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	c.commit()
	raw, err := c.app.View().Entry(record.Index(size))
	if err != nil {
		t.Fatal(err)
	}
	e, err := record.ParseEntry(raw)
	public := publicOf("v-3/validator")
	if want := (record.MisbehaviorEntry{Validator: record.KeyIDOf(public[:]), Height: 1}); err != nil || e != want {
		t.Errorf("entry %d is %+v, %v; want %+v", size, e, err, want)
	}
}

// TestUpgrade: the last block before the first of another version tells the
// engine, and a program that does not know that version stops there.
func TestUpgrade(t *testing.T) {
	for _, known := range []uint32{1, 2} {
		c := four(t, func(o *Options) { o.KnownRules = known })
		r := c.decide(&record.Upgrade{Version: 2, Height: 20}, "v-1", "v-2", "v-3", "v-4")
		if got := codes(r); got != "OK OK " || r.ConsensusParamUpdates != nil {
			t.Fatalf("the decision: %s, %v", got, r.ConsensusParamUpdates)
		}
		for h := int64(3); h < 19; h++ {
			if r := c.block(); r.ConsensusParamUpdates != nil {
				t.Errorf("block %d changes the parameters to %v", h, r.ConsensusParamUpdates)
			}
		}
		r = c.finalize()
		if p := r.ConsensusParamUpdates; p == nil || p.Version == nil || p.Version.App != 2 || p.Block != nil || p.Evidence != nil || p.Validator != nil || p.Abci != nil {
			t.Errorf("block 19 changes the parameters to %v, want version 2 alone", p)
		}
		_, err := c.app.Commit(context.Background(), &types.RequestCommit{})
		if head := c.disk.view.Head(); head.Height != 19 {
			t.Errorf("the last block on disk is %d, want 19", head.Height)
		}
		if known == 1 {
			c.refusesRules(err)
			continue
		}
		if err != nil || len(c.fatal) != 0 {
			t.Errorf("a program that knows version 2: %v, %v", err, c.fatal)
		}
		if r := c.block(); r.ConsensusParamUpdates != nil {
			t.Errorf("block 20 changes the parameters to %v", r.ConsensusParamUpdates)
		}
		info, err := c.app.Info(context.Background(), &types.RequestInfo{})
		if err != nil || info.AppVersion != 2 {
			t.Errorf("got %+v, %v", info, err)
		}
	}
}

// refusesRules checks how a program ends that knows version 1, after block 19,
// whose commit gave err.
func (c *chain) refusesRules(err error) {
	c.t.Helper()
	const want = "the network applies rules version 2 from block 20 on: this program knows older rules only"
	if !errors.Is(err, ErrRules) || len(c.fatal) != 1 || c.fatal[0].Error() != want {
		c.t.Errorf("got %v and %v, want %q", err, c.fatal, want)
	}
	if err := CheckRules(c.disk.view, 1); !errors.Is(err, ErrRules) {
		c.t.Errorf("at the next start: %v", err)
	}
	if _, err := c.app.FinalizeBlock(context.Background(), &types.RequestFinalizeBlock{Height: 20, Time: c.time}); !errors.Is(err, ErrRules) {
		c.t.Errorf("block 20: %v", err)
	}
}
