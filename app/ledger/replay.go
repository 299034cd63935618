package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	"github.com/muniment/muniment/app/record"
)

// ErrUnfinished says that a log ends within a block, or before its first one.
var ErrUnfinished = errors.New("the log ends within a block")

// ErrNewerRules says that a log goes on by rules that this program does not know.
var ErrNewerRules = errors.New("this program knows older rules only")

// Difference is the first place at which a log is not what the rules make of
// the entries before it.
type Difference struct {
	Entry record.Index
	Why   string // a clause, as "the signature is not by key 0f..."
}

// Error gives the place and the reason.
func (d *Difference) Error() string { return fmt.Sprintf("entry %d: %s", d.Entry, d.Why) }

// Replayed is what a log gives when it is carried out anew.
type Replayed struct {
	View         View // after the last block
	Root         record.Hash
	Blocks       int64 // that left entries, genesis among them
	Transactions int64 // that left entries
	Signatures   int64 // of transactions, each verified with the key that was registered then
	Anchors      int64
	Jumps        int64
	Misbehavior  int64 // entries of validators that signed two things of which they may sign one
	Refusals     int64 // that are entries
	Locks        []ReplayedLock
}

// ReplayedLock is a disposition that was locked.
type ReplayedLock struct {
	Entry       record.Index // of the lock
	Disposition record.Index
	Records     int64
}

// Replay carries a log out anew from its entries alone (docs/spec/replay.md):
// it starts from the genesis entries, rebuilds what was signed, judges every
// transaction by the rules, and wants the same entries, refusals and state
// roots included. What was refused without an entry is not in a log, nor are
// the heights and times of empty blocks: a step of time is judged by the longest
// that they allow.
//
// The slices that log yields stay as they are until their block is over. After
// every block the function after, which may be nil, is told its changes. An
// error is a [*Difference], wraps [ErrUnfinished] or [ErrNewerRules], or comes
// from log.
func (m Machine) Replay(log iter.Seq2[[]byte, error], after func(Changes)) (Replayed, error) {
	r := &replay{machine: m, after: after}
	r.machine.Verify = func(public ed25519.PublicKey, message, signature []byte) bool {
		good := m.Verify(public, message, signature)
		if good {
			r.out.Signatures++
		}
		return good
	}
	for raw, err := range log {
		if err != nil {
			return Replayed{}, err
		}
		r.logged = append(r.logged, raw)
		if record.KindOf(raw) != record.KindBlock {
			continue
		}
		if err := r.block(); err != nil {
			return Replayed{}, err
		}
		r.first += int64(len(r.logged))
		r.logged = r.logged[:0]
	}
	if r.view == nil || len(r.logged) > 0 {
		return Replayed{}, fmt.Errorf("%d entries after the last block: %w", len(r.logged), ErrUnfinished)
	}
	r.out.View = r.view
	return r.out, nil
}

// replay is a replay under way.
type replay struct {
	machine Machine
	after   func(Changes)
	view    View                // nil before genesis
	first   int64               // index of logged[0]
	logged  [][]byte            // entries of the block in progress
	reader  record.AnchorReader // so that a million anchors share their codes
	out     Replayed
}

// replayedTx is a transaction as the log has it.
type replayedTx struct {
	at      int // of its entry in logged
	entry   record.TxEntry
	refusal Code // that the log recorded; OK: it was accepted
}

// differs says what is wrong with an entry of the block.
func (r *replay) differs(at int, format string, args ...any) error {
	return &Difference{Entry: record.Index(r.first + int64(at)), Why: fmt.Sprintf(format, args...)}
}

// parse reads an entry of the block.
func (r *replay) parse(at int) (record.Entry, error) {
	e, err := record.ParseEntry(r.logged[at])
	if err != nil {
		return nil, r.differs(at, "it is no entry: %v", err)
	}
	return e, nil
}

// block replays the entries up to a block entry.
func (r *replay) block() error {
	last := len(r.logged) - 1
	e, err := r.parse(last)
	if err != nil {
		return err
	}
	end, ok := e.(record.BlockEntry)
	if !ok {
		return r.differs(last, "it is no block entry")
	}
	if r.view == nil {
		return r.genesis(end)
	}
	if err := r.known(end.Height); err != nil { // before entries are read that only others know
		return err
	}
	var jump record.JumpEntry
	at := 0
	if record.KindOf(r.logged[0]) == record.KindJump {
		if e, err = r.parse(0); err != nil {
			return err
		}
		jump, at = e.(record.JumpEntry), 1
	}
	misbehavior, err := r.misbehavior(at)
	if err != nil {
		return err
	}
	at += len(misbehavior)
	var txs []replayedTx
	var raws [][]byte
	for at < last {
		tx, raw, err := r.transaction(at)
		if err != nil {
			return err
		}
		txs, raws = append(txs, tx), append(raws, raw)
		at += 1 + int(tx.entry.Count)
	}
	if err := r.rest(end, jump); err != nil {
		return err
	}
	changes, results, err := r.machine.Apply(r.view, Block{Height: end.Height, Time: end.Time, Txs: raws, Misbehavior: misbehavior})
	if err != nil {
		return r.differs(0, "its block cannot be carried out: %v", err)
	}
	if err := r.compareJump(changes); err != nil {
		return err
	}
	for i, result := range results {
		if err := r.compareResult(txs[i], result); err != nil {
			return err
		}
	}
	r.out.Transactions += int64(len(txs))
	return r.close(changes)
}

// known refuses to judge a block by other rules than those that it is under.
func (r *replay) known(height int64) error {
	version, err := VersionAt(r.view, height)
	if err != nil {
		return r.differs(0, "its block cannot be carried out: %v", err)
	}
	if known := r.machine.Rules; known > 0 && version > known {
		return fmt.Errorf("from entry %d on, block %d, the log goes by version %d of the rules: %w", r.first, height, version, ErrNewerRules)
	}
	return nil
}

// genesis replays the block of height 0.
func (r *replay) genesis(end record.BlockEntry) error {
	e, err := r.parse(0)
	if err != nil {
		return err
	}
	g, ok := e.(record.GenesisEntry)
	if !ok {
		return r.differs(0, "a log begins with a genesis entry")
	}
	facts := GenesisFacts{Network: g.Network, ChainID: g.ChainID, Origin: g.Origin, Time: g.Time}
	for at := 1; at < len(r.logged)-1; at++ {
		e, err := r.parse(at)
		if err != nil {
			return err
		}
		stated, ok := e.(record.FactEntry)
		if !ok {
			return r.differs(at, "it stands among the facts of genesis and is none")
		}
		fact, err := record.ParseFact(stated.Fact)
		if err != nil {
			return r.differs(at, "it states no fact: %v", err)
		}
		facts.Facts = append(facts.Facts, fact)
	}
	changes, err := Genesis(facts)
	if err != nil {
		return r.differs(len(r.logged)-1, "it closes a genesis that cannot be: %v", err)
	}
	r.view = Blank()
	return r.close(changes)
}

// transaction rebuilds what was signed, byte for byte.
func (r *replay) transaction(at int) (replayedTx, []byte, error) {
	none := func(err error) (replayedTx, []byte, error) { return replayedTx{}, nil, err }
	e, err := r.parse(at)
	if err != nil {
		return none(err)
	}
	entry, ok := e.(record.TxEntry)
	if !ok {
		return none(r.differs(at, "it belongs to no transaction"))
	}
	if entry.Count > int64(len(r.logged)-2-at) {
		return none(r.differs(at, "the transaction has %d items, its block ends before", entry.Count))
	}
	tx, body := replayedTx{at: at, entry: entry}, entry.Body
	items := r.logged[at+1 : at+1+int(entry.Count)]
	if len(body) == 0 {
		if body, err = r.anchorBody(at, entry, items); err != nil {
			return none(err)
		}
	}
	if sha256.Sum256(body) != entry.BodyHash {
		return none(r.differs(at, "the body that its entries give is not the one that was signed"))
	}
	if len(items) == 1 && record.KindOf(items[0]) == record.KindRefusal {
		e, err := r.parse(at + 1)
		if err != nil {
			return none(err)
		}
		tx.refusal = Code(e.(record.RefusalEntry).Code)
	}
	raw, err := record.AssembleTx(body, entry.KeyID, entry.Signature[:])
	if err != nil {
		return none(r.differs(at, "it gives no transaction: %v", err))
	}
	return tx, raw, nil
}

// anchorBody rebuilds the body of a batch of anchors.
func (r *replay) anchorBody(at int, entry record.TxEntry, items [][]byte) ([]byte, error) {
	anchors := make([]record.AnchorEntry, len(items))
	for i, raw := range items {
		if err := r.reader.Read(raw); err != nil {
			return nil, r.differs(at+1+i, "it is no anchor, and its transaction anchors records")
		}
		anchors[i] = r.reader.Entry
		if i > 0 && (anchors[i].Series != anchors[0].Series || anchors[i].Custody != anchors[0].Custody) {
			return nil, r.differs(at+1+i, "it has another series or custody than the rest of its transaction")
		}
	}
	body, err := record.RebuildAnchorBody(r.view.Head().Network, entry, anchors)
	if err != nil {
		return nil, r.differs(at, "no body can be rebuilt from its entries: %v", err)
	}
	return body, nil
}

// rest brings the ledger to the height before a block. Empty blocks left
// nothing, but they carried time along: each by no more than a step that needs
// no jump entry, but for the steps to blocks 1 and 2, which nobody judges.
func (r *replay) rest(end record.BlockEntry, jump record.JumpEntry) error {
	head, last := r.view.Head(), len(r.logged)-1
	empty := end.Height - 1 - head.Height
	switch {
	case empty < 0:
		return r.differs(last, "its height is %d, after a block of height %d", end.Height, head.Height)
	case end.Time < head.Time:
		return r.differs(last, "its time is %d ns before that of the last block", head.Time-end.Time)
	case empty == 0:
		return nil
	}
	until := end.Time
	if jump.Height == end.Height {
		until = jump.Before
	}
	if head.Height >= 2 {
		p, err := ParametersOf(r.view)
		if err != nil {
			return r.differs(last, "its block cannot be carried out: %v", err)
		}
		step := min(int64(stepAllowed), int64(p.JumpSeconds)*1e9)
		if gap := until - head.Time; gap/step > empty || gap/step == empty && gap%step > 0 {
			until = head.Time + empty*step
		}
	}
	head.Height, head.Time = end.Height-1, max(head.Time, until)
	r.view = Overlay(r.view, Changes{
		Height: head.Height, Time: head.Time, FirstIndex: head.Size, Size: head.Size,
		Frontier: r.view.Frontier(), StateRoot: r.view.StateRoot(), Head: head,
	})
	return nil
}
