package node

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// ErrOverride is returned for a signed override that lets nobody in here.
var ErrOverride = errors.New("override lets nobody in here")

// Override is the file by which an office lets nodes connect that the ledger of
// this home does not list (docs/spec/override.md).
func (h Home) Override() string { return h.path("override.mun") }

// JudgeOverride says why an override lets nobody in, by the state of a ledger and
// a clock: nil if it does.
func JudgeOverride(o receipt.Override, v ledger.View, network [sha256.Size]byte, now time.Time) error {
	if err := standing(o, network, now); err != nil {
		return err
	}
	key, ok, err := ledger.KeyOf(v, o.Key)
	if err != nil {
		return err
	}
	if !ok || key.Use != record.UseSigning || key.Suspended != 0 || key.Status != record.StatusActive {
		return fmt.Errorf("%w: key %x is no active signing key of an office", ErrOverride, o.Key[:8])
	}
	if err := o.Verify(key.PublicKey); err != nil {
		return fmt.Errorf("%w: %w", ErrOverride, err)
	}
	office, ok, err := ledger.OfficeOf(v, key.Office)
	if err != nil {
		return err
	}
	governance, _, err := ledger.GovernanceOf(v, record.SubjectSecurity)
	if err != nil {
		return err
	}
	if !ok || office.Status != record.StatusActive || !slices.Contains(governance.Offices, key.Office) {
		return fmt.Errorf("%w: office %s does not decide about security", ErrOverride, key.Office)
	}
	return nil
}

// standing says what can be said of an override without a ledger: whether it is of
// this network, and whether its last day is neither over nor too far ahead.
func standing(o receipt.Override, network [sha256.Size]byte, now time.Time) error {
	if o.Network != network {
		return fmt.Errorf("%w: it is of network %x", ErrOverride, o.Network[:8])
	}
	switch today := record.LedgerDay(now.UnixNano()); {
	case today > o.Until:
		return fmt.Errorf("%w: its last day was %s", ErrOverride, o.Until)
	case o.Until-today > receipt.OverrideDays+1: // the ledger's day may be yesterday's
		return fmt.Errorf("%w: its last day %s is more than %d days ahead", ErrOverride, o.Until, receipt.OverrideDays)
	}
	return nil
}

// PutOverride puts a signed override into the home, in the place of the one before,
// unless it is of another network or its day is over. Whether its key may let
// anybody in is for the node to judge, by its ledger.
func (h Home) PutOverride(text []byte, now time.Time) (receipt.Override, error) {
	o, err := receipt.ParseOverride(text)
	if err != nil {
		return receipt.Override{}, err
	}
	genesis, err := os.ReadFile(h.Genesis())
	if err != nil {
		return receipt.Override{}, err
	}
	if err := standing(o, sha256.Sum256(genesis), now); err != nil {
		return receipt.Override{}, err
	}
	return o, replaceFile(h.Override(), text, nil)
}

// readOverride reads the override of a home, false where there is none.
func (h Home) readOverride() (receipt.Override, bool, error) {
	info, err := os.Stat(h.Override())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return receipt.Override{}, false, nil
	case err != nil:
		return receipt.Override{}, false, err
	case info.Size() > receipt.MaxOverrideBytes:
		return receipt.Override{}, false, fmt.Errorf("%w: it has %d bytes", ErrOverride, info.Size())
	}
	text, err := os.ReadFile(h.Override())
	if err != nil {
		return receipt.Override{}, false, err
	}
	o, err := receipt.ParseOverride(text)
	return o, err == nil, err
}

// allowed says whether a peer may connect that the ledger does not list: an office
// lets it in, or this node is catching up, and what it trusts lists the peer. The
// file is read and judged anew each time.
func (n *Node) allowed(id string) bool {
	if n.pinned(id) {
		return true
	}
	o, ok, err := n.home.readOverride()
	if err == nil && ok {
		err = JudgeOverride(o, n.app.View(), n.network.ID, n.now())
	}
	n.overrides.tell(n.log, o, ok, err)
	return ok && err == nil && slices.Contains(o.Nodes, id)
}

// pinned says, while this node is catching up, whether the network file of its home
// or the last handover that it has names a peer. Its ledger may be from before any
// node that runs now, and would know nobody who could give it the blocks.
func (n *Node) pinned(id string) bool {
	if n.engine == nil || !n.engine.ConsensusReactor().WaitSync() {
		return false
	}
	network := n.cosigning.network()
	return slices.ContainsFunc(network.Nodes, func(one receipt.Node) bool { return one.ID == id }) ||
		slices.ContainsFunc(network.Eras[len(network.Eras)-1].Validators, func(v receipt.Validator) bool { return v.NodeID == id })
}

// overrides is what the log was last told of the override.
type overrides struct {
	mu   sync.Mutex
	said string
}

// tell says what comes of the file, once.
func (s *overrides) tell(log *slog.Logger, o receipt.Override, ok bool, err error) {
	say := ""
	switch {
	case err != nil:
		say = err.Error()
	case ok:
		say = fmt.Sprint("holds until ", o.Until, " for ", o.Nodes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if say == s.said {
		return
	}
	s.said = say
	switch {
	case err != nil:
		log.Warn("signed override is not followed", "err", err)
	case ok:
		log.Warn("signed override holds: nodes connect that the ledger does not list", "nodes", o.Nodes, "until", o.Until.String())
	default:
		log.Info("signed override is gone")
	}
}
