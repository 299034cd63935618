//lint:file-ignore U1000 what is unused here is used under the tag chaos

package chaos

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/muniment/muniment/app/record"
)

// The offices.
const (
	auditor    = record.Code("AUDITOR")
	clerk      = record.Code("CLERK")
	counsel    = record.Code("COUNSEL")
	department = record.Code("DPW")
	it         = record.Code("IT")
	series     = record.Code("DEMO-MINUTES")
)

func keyOf(office, use string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + office + " " + use))
	return ed25519.NewKeyFromSeed(seed[:])
}

func keyFact(office record.Code, use record.KeyUse, name string) *record.Key {
	return &record.Key{
		Office: office, Use: use, Status: record.StatusActive,
		PublicKey: [32]byte(keyOf(string(office), name).Public().(ed25519.PublicKey)),
	}
}

// A kind is what an operation does.
type kind string

// The kinds. The first ones are transactions.
const (
	anchors  kind = "anchor"
	holds    kind = "hold"
	resolves kind = "resolve"
	releases kind = "release"
	proposes kind = "propose"
	approves kind = "approve"
	locks    kind = "lock"
	others   kind = "other" // transactions of the tests themselves, without times

	reads    kind = "read"    // where is the record with this commitment?
	receipts kind = "receipt" // of the entry Index
	deposits kind = "deposit" // Content, with the custodian Node
	openings kind = "open"    // the content of a record
)

func (k kind) transaction() bool {
	return k != reads && k != receipts && k != deposits && k != openings
}

// Outcomes of an operation.
const (
	outcomeOK      = "ok"
	outcomeFail    = "fail"    // refused: it must leave no trace
	outcomeUnknown = "unknown" // no answer came: it may be in the log, once
)

// Events of a line.
const (
	called   = "call"
	returned = "return"
)

// An operation is a line of the recorder: a call, or its answer. A transaction
// without an answer may be called again, at another node; its lines have one ID.
type operation struct {
	ID    string        `json:"id"`
	Event string        `json:"event"`
	At    time.Duration `json:"at"` // since the city began, nanoseconds
	Try   int           `json:"try"`
	Node  int           `json:"node"` // machine
	Kind  kind          `json:"kind"`

	Office      record.Code    `json:"office,omitempty"`
	Commitments []hexBytes     `json:"commitments,omitempty"` // anchor, read
	Records     []record.Index `json:"records,omitempty"`     // hold, propose
	About       record.Index   `json:"about,omitempty"`       // entry of a hold or a disposition

	Outcome string       `json:"outcome,omitempty"`
	Reason  string       `json:"reason,omitempty"`
	Index   record.Index `json:"index,omitempty"` // of the first item; of the record that was read
	Height  int64        `json:"height,omitempty"`
	Locked  bool         `json:"locked,omitempty"`  // a record that was read
	Content string       `json:"content,omitempty"` // deposited, or given out
}

// nonce gives the nonce of a transaction, which follows from its operation alone:
// so the log tells which operation made an entry.
func (o operation) nonce() record.Nonce {
	hash := sha256.Sum256([]byte(o.ID))
	return record.Nonce(hash[:16])
}

// hexBytes is written in hexadecimal.
type hexBytes [32]byte

func (h hexBytes) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", h[:]), nil }

func (h *hexBytes) UnmarshalText(text []byte) error {
	var b []byte
	if n, err := fmt.Sscanf(string(text), "%x", &b); n != 1 || err != nil || len(b) != len(h) {
		return fmt.Errorf("%q is not 64 hex digits", text)
	}
	copy(h[:], b)
	return nil
}

// An attempt is all that a recorder knows of one operation.
type attempt struct {
	operation               // the last line; Outcome is set
	called    time.Duration // first call
	returned  time.Duration // last answer; for ever where the outcome is unknown
	tries     int
}

// always is when an operation returns that never did.
const always = time.Duration(1<<63 - 1)

// readHistory reads what a recorder has written, in the order of the first calls.
func readHistory(path string) ([]*attempt, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []operation
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var o operation
		if err := json.Unmarshal(scanner.Bytes(), &o); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, o)
	}
	if err := scanner.Err(); err != nil {
		return nil, err
	}
	return gather(lines)
}

// gather puts the lines of each operation together.
//
// What was refused at its first try has no effect. What was refused after a try
// without an answer may have one: the first try may be in a mempool still.
func gather(lines []operation) ([]*attempt, error) {
	byID := map[string]*attempt{}
	var all []*attempt
	for i, o := range lines {
		a := byID[o.ID]
		switch {
		case o.Event == called && a == nil:
			a = &attempt{operation: o, called: o.At}
			byID[o.ID], all = a, append(all, a)
		case a == nil:
			return nil, fmt.Errorf("line %d: %s was answered and not called", i+1, o.ID)
		}
		switch {
		case o.Event == called:
			a.tries++
			a.Outcome, a.returned = outcomeUnknown, always
		case o.Outcome == outcomeFail && a.tries > 1 && o.Kind.transaction():
			a.Reason = o.Reason
		case o.Event == returned:
			a.operation = o
			if a.returned = o.At; o.Outcome == outcomeUnknown {
				a.returned = always
			}
		default:
			return nil, fmt.Errorf("line %d: event %q", i+1, o.Event)
		}
	}
	return all, nil
}
