package custody

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// Config is what a Custody is told. View, Now and Custodian are required.
type Config struct {
	View      func() ledger.View // the state after the last committed block
	Now       func() time.Time   // the custodian's own clock
	Custodian record.KeyID       // id of this node's custodian key

	// Behind tells whether the ledger of this node may be older than those of
	// others; nil: never. No content is read while it is.
	Behind func() bool
	// Submit signs a report with the custodian's key and returns when the ledger has
	// it, or had one before. It may be called by several at once. Nil: reports stay here.
	Submit func(ctx context.Context, m *record.ReportErasure) error
	// Depart does the same with the message that this custodian leaves a set. Nil: it
	// leaves none.
	Depart func(ctx context.Context, m *record.LeaveCustody) error

	MaxContent int64 // bytes of one content; 0: 64 MiB
	MaxMemory  int64 // bytes for all contents in memory at once; 0: 512 MiB
}

const (
	defaultMaxContent = 64 << 20
	defaultMaxMemory  = 512 << 20
)

// Custody keeps the contents of departments.
type Custody struct {
	config   Config
	vault    *vault.Vault
	rings    *keyring.Keyring
	log      *vault.AccessLog
	memory   *memory
	arrivals *memory // what of it parcels may have
	titles   *catalogue

	contents contents

	// seal is commitment.Seal, but for the test that proves that a scan for
	// content would find it.
	seal func(enc [32]byte, rid [16]byte, index uint32, kind commitment.Kind, payload []byte) ([]byte, error)

	releases gate       // what is filed or given out, between the look at the ledger and the write that says so
	filing   sync.Mutex // held while a redaction is filed

	deposits   gate // deposits between their look at the log and their last write
	quarantine quarantine
	erasing    sync.Mutex // held by Erase; taken before sweeping
	strays     strays     // with erasing held; nil: not looked for yet
	buried     bool       // what a restored vault has again is buried; guarded by sweeping
	verdicts   verdicts

	mu       sync.Mutex
	underway map[deposited]bool      // deposits and parcels that have not been answered
	pending  map[deposited]vault.RID // deposits that wait for their anchor
	followed record.Index            // how far the log has been followed
	leaving  map[record.Code]bool    // sets that this custodian is about to leave
	news     chan struct{}           // closed at the next anchor
	sweeping sync.Mutex              // held by CatchUp, and by Erase while it changes something
}

// deposited names a deposit as the ledger will.
type deposited struct {
	office     record.Code
	commitment record.Commitment
}

// New makes a Custody of open stores, which stay the caller's to close. Call
// CatchUp before serving and Follow while serving.
func New(v *vault.Vault, k *keyring.Keyring, l *vault.AccessLog, config Config) (*Custody, error) {
	if config.MaxContent == 0 {
		config.MaxContent = defaultMaxContent
	}
	if config.MaxMemory == 0 {
		config.MaxMemory = defaultMaxMemory
	}
	c := &Custody{
		config: config, vault: v, rings: k, log: l, memory: newMemory(config.MaxMemory), arrivals: newMemory(config.MaxMemory / 2), seal: commitment.Seal,
		titles:   &catalogue{offices: map[record.Code]map[vault.RID]entry{}},
		contents: contents{offices: map[record.Code]*contentIndex{}},
		underway: map[deposited]bool{}, pending: map[deposited]vault.RID{}, leaving: map[record.Code]bool{}, news: make(chan struct{}),
	}
	waiting, err := v.Overdue(lastDay)
	if err != nil {
		return nil, fmt.Errorf("read deposits that wait for their anchor: %w", err)
	}
	for _, r := range waiting {
		c.pending[deposited{r.Office, r.Commitment}] = r.RID
	}
	return c, nil
}

// lastDay is after every day that a deposit can name.
const lastDay record.Day = 1<<31 - 1

// Ref names a record.
type Ref struct {
	Office     record.Code
	Commitment record.Commitment
}

// Holds tells whether content of a record can be opened here. It opens nothing.
func (c *Custody) Holds(office record.Code, commitment record.Commitment) (bool, error) {
	r, ok, err := c.vault.Find(office, commitment)
	if err != nil || !ok {
		return false, err
	}
	if err = c.barred(r); err == nil {
		_, ok, err = c.state(r)
	}
	switch reason, _ := ReasonOf(err); reason {
	case Destroyed, Locked, Quarantined, Behind, UnknownCustody:
		return false, nil
	}
	return ok, err
}

// Records counts the records and deposits that are kept here.
func (c *Custody) Records() (uint64, error) { return c.vault.Count() }

// AccessHead gives the head of the access log, to be anchored.
func (c *Custody) AccessHead() vault.Head { return c.log.Head() }

// Actions and outcomes of the access log.
const (
	actionDeposit    = "deposit"
	actionRead       = "read"
	actionSegments   = "segments"
	actionPlan       = "plan"
	actionCopy       = "copy"
	actionEvidence   = "evidence"
	actionFile       = "file"
	actionRedactions = "redactions"
	actionSearch     = "search"
	actionTransfer   = "transfer" // sent to another custodian
	actionKeep       = "keep"     // came from another custodian

	outcomeAllowed   = "allowed"
	outcomeDenied    = "denied"
	outcomeAbsent    = "absent"
	outcomeDestroyed = "destroyed"
	outcomeBarred    = "barred" // locked, in quarantine, of a set that was left, or the ledger is behind

	noPurpose Purpose = "-"
)

// audit writes a line of the access log and returns when it is on disk.
func (c *Custody) audit(caller Caller, action string, rid vault.RID, purpose Purpose, outcome string) error {
	synced, err := c.startAudit(caller, action, rid, purpose, outcome)
	if err != nil {
		return err
	}
	return auditUnavailable(synced())
}

// startAudit writes a line of the access log and gives what returns when it is on
// disk.
func (c *Custody) startAudit(caller Caller, action string, rid vault.RID, purpose Purpose, outcome string) (synced func() error, err error) {
	synced, err = c.log.Start(vault.Line{
		Time: c.config.Now().Unix(), Account: string(caller.Office) + "/" + caller.Account,
		Action: action, RID: rid, Purpose: string(purpose), Outcome: outcome,
	})
	return synced, auditUnavailable(err)
}

func auditUnavailable(err error) error {
	if err == nil {
		return nil
	}
	return refuseFor(err, AuditUnavailable, "the access log cannot be written, so nothing is opened: try again later")
}
