package record

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Action is the final action on records.
type Action uint8

// The actions.
const (
	ActionDestroy   Action = iota + 1
	ActionTransfer         // to an archive, which takes over custody
	ActionPermanent        // designated permanent after review; never destroyed
	ActionRedact           // parts of one record are erased; the rest lives on
)

// Valid tells whether a is a known action.
func (a Action) Valid() bool { return a >= ActionDestroy && a <= ActionRedact }

// String gives the name of the action, as "DESTROY".
func (a Action) String() string {
	return nameOf(uint8(a), "ACTION", "DESTROY", "TRANSFER", "PERMANENT", "REDACT")
}

// Outcome is what a reporter did under a lock.
type Outcome uint8

// The outcomes.
const (
	OutcomeDone      Outcome = iota + 1 // erased, taken over or designated, but for the records listed as preserved
	OutcomePreserved                    // nothing was done: all are preserved
)

// Valid tells whether o is a known outcome.
func (o Outcome) Valid() bool { return o == OutcomeDone || o == OutcomePreserved }

// String gives the name of the outcome.
func (o Outcome) String() string { return nameOf(uint8(o), "OUTCOME", "DONE", "PRESERVED") }

// ProposeDisposition asks for the final action on records of one series of the
// signer's department. The proposal's body hash is what approvals bind.
type ProposeDisposition struct {
	Series   Code
	Action   Action
	To       Code    // office that takes custody over; with ActionTransfer only
	Standing Index   // fact entry of a standing authorization; 0: approvals are asked for
	Records  []Index // ascending
	// Redaction is the hash of the list of what is erased (commitment.Redaction),
	// since positions name people too. With ActionRedact, which is about one record
	// and has no standing authorization; zero with any other action.
	Redaction [32]byte
}

// ApproveDisposition approves a proposed disposition, bound to its body.
type ApproveDisposition struct {
	Disposition Index
	Hash        [32]byte
}

// WithdrawDisposition ends a disposition that is not locked.
type WithdrawDisposition struct{ Disposition Index }

// RecordNotice states that the persons concerned were notified on a day.
type RecordNotice struct {
	Disposition Index
	Day         Day
}

// LockDisposition makes a disposition final, bound to its body.
type LockDisposition struct {
	Disposition Index
	Hash        [32]byte
}

// ReportErasure states what one of those who must report did.
type ReportErasure struct {
	Disposition Index
	Outcome     Outcome
	Preserved   []Index  // of its records, ascending; with OutcomeDone only
	Report      [32]byte // SHA-256 of the report (ErasureReport), which stays off-chain; zero: none
	Claim       Claim    // what is claimed of what was erased; 0: nothing. With OutcomeDone only
}

// Claim is what may be said of content that was erased (docs/forgetting.md). C2 is not claimed by this software.
type Claim uint8

const (
	// ClaimFiles: no file of the keyring holds what opened it. Old copies of files,
	// free blocks of the medium and snapshots hold that sealed, under a key that
	// whoever has the root key can still unwrap there.
	ClaimFiles Claim = 1
	// ClaimKey: besides, the key that unwraps these left-over copies was inside a
	// device that has destroyed it. They open for nobody.
	ClaimKey Claim = 3
)

// Valid tells whether c is a known level.
func (c Claim) Valid() bool { return c == ClaimFiles || c == ClaimKey }

// String gives the level's name, "C1" or "C3".
func (c Claim) String() string { return fmt.Sprintf("C%d", uint8(c)) }

// Says gives what the level means: its name, a colon, and sentences on one line.
// Programs, certificates and docs use these words and no stronger ones.
func (c Claim) Says() string {
	const (
		files = "No file of the custodian's keyring holds a key that opens what was erased: every file was searched. "
		never = "Nothing is claimed about overwritten media, or about copies that were given out."
	)
	switch c {
	case ClaimFiles:
		return "C1: " + files +
			"Older copies of those files (free space of the disk, snapshots, backups) may still hold such keys, sealed: " +
			"they open for whoever has them and the key file with its passphrase. " + never
	case ClaimKey:
		return "C3: " + files +
			"Older copies of those files (free space of the disk, snapshots, backups) hold such keys only sealed under a key that was made inside a device and destroyed there: " +
			"they open for nobody, as long as no copy of the device itself was kept. " + never
	}
	return "no claim: Nothing is said about keys that open what was erased."
}

// Withhold states that an office decided to withhold parts of a record from
// copies, by the hash of a list of them (commitment.Redaction). It binds nobody:
// nothing is erased, and a later decision may be another one.
type Withhold struct {
	Record    Index
	Redaction [32]byte
}

// AcknowledgeJump is a governing office's word that the clock is right again.
type AcknowledgeJump struct{ Jump Index }

func (m *ProposeDisposition) messageNumber() protowire.Number { return 32 }

func (m *ProposeDisposition) appendMessage(b []byte) []byte {
	b = appendVarint(appendCode(b, 1, m.Series), 2, uint64(m.Action))
	b = appendVarint(appendCode(b, 3, m.To), 4, uint64(m.Standing))
	return appendHash(appendIndexes(b, 5, m.Records), 6, m.Redaction)
}

// appendHash writes a hash; zero is none and takes no field.
func appendHash(b []byte, number protowire.Number, hash [32]byte) []byte {
	if hash == [32]byte{} {
		return b
	}
	return appendBytes(b, number, hash[:])
}

func (m *ProposeDisposition) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.code(&m.Series)
	case 2:
		v, err := f.enum()
		m.Action = Action(v)
		return err
	case 3:
		return f.code(&m.To)
	case 4:
		return f.index(&m.Standing)
	case 5:
		return f.indexes(&m.Records)
	case 6:
		return f.fixed(m.Redaction[:])
	}
	return f.unknown()
}

func (m *ProposeDisposition) checkMessage() error {
	redacts := m.Action == ActionRedact
	switch {
	case !m.Series.Valid() || !m.Action.Valid() || m.Standing < 0:
		return malformed("disposition: series, action or standing authorization")
	case (m.To != "") != (m.Action == ActionTransfer) || m.To != "" && !m.To.Valid():
		return malformed("disposition: a transfer names the office that takes over, and nothing else does")
	case len(m.Records) == 0 || !ascendingIndexes(m.Records):
		return malformed("disposition: records")
	case redacts != (m.Redaction != [32]byte{}) || redacts && (len(m.Records) != 1 || m.Standing != 0):
		return malformed("disposition: a redaction is of one record, names what it erases, and has no standing authorization; nothing else names a redaction")
	}
	return nil
}

func (m *ApproveDisposition) messageNumber() protowire.Number { return 33 }

func (m *ApproveDisposition) appendMessage(b []byte) []byte {
	return appendBytes(appendVarint(b, 1, uint64(m.Disposition)), 2, m.Hash[:])
}

func (m *ApproveDisposition) visitMessage(f field) error {
	return f.bound(&m.Disposition, &m.Hash)
}

func (m *ApproveDisposition) checkMessage() error { return named(m.Disposition) }

// bound reads a message that names an entry and the hash of what it says.
func (f field) bound(i *Index, hash *[32]byte) error {
	switch f.number {
	case 1:
		return f.index(i)
	case 2:
		return f.fixed(hash[:])
	}
	return f.unknown()
}

// named wants the index of an entry that can be meant.
func named(i Index) error {
	if i <= 0 {
		return malformed("the entry that is meant is not named")
	}
	return nil
}

func (m *WithdrawDisposition) messageNumber() protowire.Number { return 34 }

func (m *WithdrawDisposition) appendMessage(b []byte) []byte {
	return appendVarint(b, 1, uint64(m.Disposition))
}

func (m *WithdrawDisposition) visitMessage(f field) error {
	if f.number == 1 {
		return f.index(&m.Disposition)
	}
	return f.unknown()
}

func (m *WithdrawDisposition) checkMessage() error { return named(m.Disposition) }

func (m *RecordNotice) messageNumber() protowire.Number { return 35 }

func (m *RecordNotice) appendMessage(b []byte) []byte {
	return appendDay(appendVarint(b, 1, uint64(m.Disposition)), 2, m.Day)
}

func (m *RecordNotice) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.index(&m.Disposition)
	case 2:
		return f.day(&m.Day)
	}
	return f.unknown()
}

func (m *RecordNotice) checkMessage() error { return named(m.Disposition) }

func (m *LockDisposition) messageNumber() protowire.Number { return 36 }

func (m *LockDisposition) appendMessage(b []byte) []byte {
	return appendBytes(appendVarint(b, 1, uint64(m.Disposition)), 2, m.Hash[:])
}

func (m *LockDisposition) visitMessage(f field) error { return f.bound(&m.Disposition, &m.Hash) }

func (m *LockDisposition) checkMessage() error { return named(m.Disposition) }

func (m *ReportErasure) messageNumber() protowire.Number { return 37 }

func (m *ReportErasure) appendMessage(b []byte) []byte {
	b = appendVarint(appendVarint(b, 1, uint64(m.Disposition)), 2, uint64(m.Outcome))
	b = appendHash(appendIndexes(b, 3, m.Preserved), 4, m.Report)
	return appendVarint(b, 5, uint64(m.Claim))
}

func (m *ReportErasure) visitMessage(f field) error {
	switch f.number {
	case 1:
		return f.index(&m.Disposition)
	case 2:
		v, err := f.enum()
		m.Outcome = Outcome(v)
		return err
	case 3:
		return f.indexes(&m.Preserved)
	case 4:
		return f.fixed(m.Report[:])
	case 5:
		v, err := f.enum()
		m.Claim = Claim(v)
		return err
	}
	return f.unknown()
}

func (m *ReportErasure) checkMessage() error {
	if m.Claim != 0 && (!m.Claim.Valid() || m.Outcome != OutcomeDone) {
		return malformed("report: claim")
	}
	if !m.Outcome.Valid() || !ascendingIndexes(m.Preserved) || m.Outcome == OutcomePreserved && len(m.Preserved) > 0 {
		return malformed("report: outcome or preserved records")
	}
	return named(m.Disposition)
}

func (m *AcknowledgeJump) messageNumber() protowire.Number { return 51 }

func (m *AcknowledgeJump) appendMessage(b []byte) []byte { return appendVarint(b, 1, uint64(m.Jump)) }

func (m *AcknowledgeJump) visitMessage(f field) error {
	if f.number == 1 {
		return f.index(&m.Jump)
	}
	return f.unknown()
}

func (m *AcknowledgeJump) checkMessage() error { return named(m.Jump) }

func (m *Withhold) messageNumber() protowire.Number { return 40 }

func (m *Withhold) appendMessage(b []byte) []byte {
	return appendBytes(appendVarint(b, 1, uint64(m.Record)), 2, m.Redaction[:])
}

func (m *Withhold) visitMessage(f field) error { return f.bound(&m.Record, &m.Redaction) }

func (m *Withhold) checkMessage() error {
	if m.Redaction == [32]byte{} {
		return malformed("withholding: names no redaction")
	}
	return named(m.Record)
}
