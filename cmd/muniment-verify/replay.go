package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	rules "github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// replayed is what was found out about a log. Its JSON names are stable. Below
// PASSED only the first fields are there, and the tree where it is cosigned.
type replayed struct {
	Dir     string           `json:"dir"`
	Outcome receipt.Outcome  `json:"outcome"`
	Reasons []receipt.Reason `json:"reasons"` // empty when PASSED
	Detail  string           `json:"detail,omitempty"`
	Entry   *int64           `json:"entry,omitempty"` // the first that is not as it should be
	Network string           `json:"network"`         // SHA-256 of genesis.json in hex
	ChainID string           `json:"chain_id"`
	Origin  string           `json:"origin"`

	TreeSize  int64      `json:"tree_size,omitempty"`
	Root      string     `json:"root,omitempty"` // base64
	Era       int        `json:"era,omitempty"`
	Grade     string     `json:"grade,omitempty"`
	Cosigners string     `json:"cosigners,omitempty"` // as "1 of 1 validators"
	NotAfter  *time.Time `json:"not_after,omitempty"` // by then a quorum had cosigned

	Replay *replayedLog `json:"replay,omitempty"` // PASSED only

	Proven    []string `json:"proven"`
	NotProven []string `json:"not_proven"`
}

// replayedLog is what a log holds that was replayed to its end.
type replayedLog struct {
	Height       int64     `json:"height"`
	Time         time.Time `json:"time"` // of the last block that left entries
	Blocks       int64     `json:"blocks"`
	Transactions int64     `json:"transactions"`
	Signatures   int64     `json:"signatures"`
	Records      int64     `json:"records"` // anchored
	Refusals     int64     `json:"refusals"`
	Jumps        int64     `json:"jumps"`
	Locks        []lock    `json:"locks"`
	Locked       int64     `json:"locked_records"` // by all locks together
	StateRoot    string    `json:"state_root"`     // hex
}

// lock is a disposition that was locked.
type lock struct {
	Entry       record.Index `json:"entry"`
	Disposition record.Index `json:"disposition"`
	Records     int64        `json:"records"`
}

// runReplay is the command replay: the arguments are those after it.
func runReplay(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args)
	if err == nil {
		err = o.checkReplay()
	}
	if done, code := answered(err, stdout, stderr); done {
		return code
	}
	network, err := o.readNetwork()
	if err != nil {
		return unreadable(err, stderr)
	}
	if network, err = o.withProofs(network); err != nil {
		return unreadable(err, stderr)
	}
	r, err := replay(network, o.files[0])
	if err == nil {
		err = o.write(stdout, r, r.text)
	}
	if err != nil {
		complain(stderr, err)
		return exitError
	}
	return exitOf(r.Outcome)
}

func (o options) checkReplay() error {
	switch {
	case o.extract != "":
		return errors.New("a replay extracts nothing: leave --extract out")
	case o.log != "":
		return errors.New("a replay lists no exemptions: leave --exemption-log out")
	case len(o.files) != 1:
		return errors.New("name one folder: that of the mirror")
	}
	return nil
}

// replay verifies a mirror: that its entries are the tree that was cosigned, and
// that the rules make each of them of those before it. An error says that
// nothing was found out.
func replay(n receipt.Network, dir string) (*replayed, error) {
	r := &replayed{Dir: dir, Outcome: receipt.Passed, Reasons: []receipt.Reason{}, Network: hex.EncodeToString(n.ID[:]), ChainID: n.ChainID, Origin: n.Origin,
		Proven: []string{}, NotProven: []string{}}
	m := mirror{dir}
	signed, err := m.checkpoint()
	if err != nil {
		return nil, err
	}
	s, err := n.CheckCheckpoint(signed, nil)
	if refusal, ok := errors.AsType[*receipt.Refusal](err); ok {
		r.end(refusal.Reason.Outcome(), refusal.Reason, refusal.Detail)
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	r.tree(s)
	if held, err := r.holds(m, s.Checkpoint); err != nil || !held {
		return r, err
	}
	machine := rules.Machine{Verify: ed25519.Verify, Rules: rules.MaxVersion}
	got, err := machine.Replay(founded(n, m.entries(s.Checkpoint.Size)), nil)
	difference, differs := errors.AsType[*rules.Difference](err)
	switch {
	case differs:
		r.Entry = (*int64)(&difference.Entry)
		r.end(receipt.Failed, logContradicted, difference.Error())
	case errors.Is(err, rules.ErrUnfinished), errors.Is(err, errEarly):
		r.end(receipt.Indeterminate, logEndsEarly, err.Error())
	case errors.Is(err, rules.ErrNewerRules):
		r.end(receipt.Indeterminate, newerRules, err.Error()+": take a newer muniment-verify")
	case errors.Is(err, errForeign):
		r.Entry = new(int64)
		r.end(receipt.Failed, receipt.WrongNetwork, "entry 0: "+err.Error())
	case err != nil:
		return nil, err
	case got.Root != s.Checkpoint.Root:
		r.end(receipt.Failed, receipt.EntryNotInTree, "the mirror was changed while it was read")
	default:
		r.pass(got, s)
	}
	return r, nil
}

// errForeign says that a log is of another network than the file.
var errForeign = errors.New("the genesis entry is of another network than the network file")

// founded wants a log to begin with the genesis entry of the network.
func founded(n receipt.Network, log iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		first := true
		for raw, err := range log {
			if first && err == nil {
				e, _ := record.ParseEntry(raw) // what is no entry, the replay finds
				if g, ok := e.(record.GenesisEntry); ok && (g.Network != n.ID || g.ChainID != n.ChainID || g.Origin != n.Origin) {
					err = errForeign
				}
			}
			first = false
			if !yield(raw, err) {
				return
			}
		}
	}
}

// end notes an outcome that is not PASSED.
func (r *replayed) end(o receipt.Outcome, reason receipt.Reason, detail string) {
	r.Outcome, r.Reasons, r.Detail = o, []receipt.Reason{reason}, detail
}

// holds tells whether the entries are those of the tree that was cosigned.
func (r *replayed) holds(m mirror, c receipt.Checkpoint) (bool, error) {
	root, err := m.root(c.Size)
	switch {
	case errors.Is(err, errEarly):
		r.end(receipt.Indeterminate, logEndsEarly, err.Error())
		return false, nil
	case err != nil:
		return false, err
	case root == c.Root:
		return true, nil
	}
	const says = "the mirror was damaged or changed: make it anew"
	at, err := m.stranger(c.Size, c.Root)
	if err != nil {
		return false, err
	}
	if at < 0 {
		r.end(receipt.Failed, receipt.EntryNotInTree, "the entries are not those of the tree that was cosigned: "+says)
		return false, nil
	}
	r.Entry = &at
	r.end(receipt.Failed, receipt.EntryNotInTree, fmt.Sprintf("entry %d: it is not the one in the tree that was cosigned: %s", at, says))
	return false, nil
}

// tree notes whose word the tree is.
func (r *replayed) tree(s receipt.Standing) {
	c, by := s.Checkpoint, time.Unix(s.CityTime, 0).UTC()
	r.TreeSize, r.Root, r.Era, r.Grade, r.NotAfter = c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), s.Era, s.Grade, &by
	r.Cosigners = fmt.Sprintf("%d of %d validators", len(s.Validators), s.OfValidators)
}

// pass notes what a replay to the end found.
func (r *replayed) pass(got rules.Replayed, s receipt.Standing) {
	head, root := got.View.Head(), got.View.StateRoot()
	r.Replay = &replayedLog{
		Height: head.Height, Time: time.Unix(0, head.Time).UTC(), Blocks: got.Blocks, Transactions: got.Transactions,
		Signatures: got.Signatures, Records: got.Anchors, Refusals: got.Refusals, Jumps: got.Jumps,
		Locks: []lock{}, StateRoot: hex.EncodeToString(root[:]),
	}
	for _, l := range got.Locks {
		r.Replay.Locks = append(r.Replay.Locks, lock(l))
		r.Replay.Locked += l.Records
	}
	r.Proven = append(r.Proven,
		fmt.Sprintf("the %d entries are the tree that %s cosigned", r.TreeSize, r.Cosigners),
		fmt.Sprintf("%d transactions were signed, each with a key that the ledger listed then, and the signed bodies give exactly these entries", got.Transactions),
		"the rules of the network allow every entry, and give every refusal, every due day and every state root in the log",
		"no record was locked for disposition while a hold stood, before it was due, or without the approvals and the notice that its rules want")
	if s.Grade == receipt.GradeWitnessed {
		r.Proven = append(r.Proven, fmt.Sprintf("%d of %d witnesses outside the network cosigned the tree", len(s.Witnesses), s.OfWitnesses))
	} else {
		r.NotProven = append(r.NotProven, "that witnesses outside the network saw this tree: the grade is city")
	}
	if s.OfValidators == 1 {
		r.NotProven = append(r.NotProven, "that no other history was shown elsewhere: a single validator answers for this tree")
	}
	r.NotProven = append(r.NotProven,
		"that the records' contents exist, or what they say: the log has commitments alone",
		"the times of blocks, beyond their order and the jumps that the log states: they are the validators' word, and empty blocks are not in the log",
		"that nothing else was asked for: a refusal that is no refusal receipt leaves no entry",
		"that erasures took place: reports of them are the custodians' word")
}

// text renders the report for people.
func (r *replayed) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s: %s", printable(r.Dir), r.Outcome)
	for _, reason := range r.Reasons {
		fmt.Fprintf(&b, " %s", reason)
	}
	b.WriteByte('\n')
	if r.Detail != "" {
		line("because", "%s", printable(r.Detail))
	}
	line("network", "%s, %s", r.ChainID, r.Origin)
	if r.TreeSize > 0 {
		line("tree", "%d entries, root %s", r.TreeSize, r.Root)
		line("grade", "%s, %s", r.Grade, r.Cosigners)
		line("not after", "%s (clocks of the cosigners)", r.NotAfter.Format(time.RFC3339))
	}
	if l := r.Replay; l != nil {
		line("entries", "%d in %d blocks, the last at height %d, %s", r.TreeSize, l.Blocks, l.Height, l.Time.Format(time.RFC3339))
		line("records", "%d anchored", l.Records)
		line("transactions", "%d", l.Transactions)
		line("signatures", "%d checked", l.Signatures)
		line("refusals", "%d that are entries", l.Refusals)
		line("jumps", "%d of block time", l.Jumps)
		line("locks", "%d of dispositions, with %d records", len(l.Locks), l.Locked)
		line("state root", "%s", l.StateRoot)
	}
	for _, s := range r.Proven {
		line("proven", "%s", s)
	}
	for _, s := range r.NotProven {
		line("not proven", "%s", s)
	}
	return b.String()
}
