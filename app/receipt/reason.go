package receipt

import "fmt"

// Outcome is the result of a verification.
type Outcome string

// The outcomes.
const (
	Passed        Outcome = "PASSED"        // everything stated was checked
	Indeterminate Outcome = "INDETERMINATE" // nothing contradicts, but it is not shown
	Failed        Outcome = "FAILED"        // something contradicts
)

// Reason is a stable code that says why the outcome is not PASSED. The steps
// that give them are in docs/spec/receipt.md.
type Reason string

// The reasons.
const (
	Malformed       Reason = "MALFORMED"
	UnknownOrigin   Reason = "UNKNOWN_ORIGIN"
	UnknownSigner   Reason = "UNKNOWN_SIGNER"
	NoQuorum        Reason = "NO_QUORUM"
	BadCosignature  Reason = "BAD_COSIGNATURE"
	EntryNotInTree  Reason = "ENTRY_NOT_IN_TREE"
	PartNotInTree   Reason = "PART_NOT_IN_TREE"
	EraContradicted Reason = "ERA_CONTRADICTED"
	KeysRetired     Reason = "KEYS_RETIRED"
	NotNextEra      Reason = "NOT_NEXT_ERA"    // of handovers: it does not open the era that follows
	UnknownWitness  Reason = "UNKNOWN_WITNESS" // likewise: the name of a witness is missing
	UnknownEntry    Reason = "UNKNOWN_ENTRY"
	PartUnexpected  Reason = "PART_UNEXPECTED"
	PartMissing     Reason = "PART_MISSING"
	WrongNetwork    Reason = "WRONG_NETWORK"
	BlockElsewhere  Reason = "BLOCK_ELSEWHERE"
	TxElsewhere     Reason = "TX_ELSEWHERE"
	KeyMismatch     Reason = "KEY_MISMATCH"
	BadTxSignature  Reason = "BAD_TX_SIGNATURE"
	TxContradicted  Reason = "TX_CONTRADICTED"
	ClocksDisagree  Reason = "CLOCKS_DISAGREE"
	NotLastBlock    Reason = "NOT_LAST_BLOCK"
	StateNotProven  Reason = "STATE_NOT_PROVEN"

	// Of legality files. Those that the ledger has too mean the same.
	LockContradicted Reason = "LOCK_CONTRADICTED"
	NotDue           Reason = "NOT_DUE"
	NoRule           Reason = "NO_RULE"
	OneByOne         Reason = "ONE_BY_ONE"
	WrongRole        Reason = "WRONG_ROLE"
	SameOffice       Reason = "SAME_OFFICE"
	MissingApproval  Reason = "MISSING_APPROVAL"
	NoticePeriod     Reason = "NOTICE_PERIOD"
	NoticeMissing    Reason = "NOTICE_MISSING"

	// Of files of several proofs.
	OtherRecord           Reason = "RECEIPT_OF_ANOTHER"     // a part is about a different record
	StoodHeld             Reason = "HELD"                   // a hold stood on a record that was locked
	StatementAltered      Reason = "STATEMENT_ALTERED"      // a certificate does not say what its proof gives
	ReportContradicted    Reason = "REPORT_CONTRADICTED"    // a report is not the one that was signed, or contradicts it
	ReportsDue            Reason = "REPORTS_DUE"            // not everybody who must report has
	RedactionContradicted Reason = "REDACTION_CONTRADICTED" // a redaction is not the one that was decided
)

// Outcome gives the outcome that the reason leads to.
func (r Reason) Outcome() Outcome {
	switch r {
	case UnknownOrigin, UnknownSigner, NoQuorum, KeysRetired, UnknownEntry, PartMissing, ClocksDisagree, ReportsDue, UnknownWitness:
		return Indeterminate
	}
	return Failed
}

// Refusal is the error of a check that did not hold.
type Refusal struct {
	Reason Reason
	Detail string // one sentence
}

// Error gives the detail and the code.
func (r *Refusal) Error() string { return fmt.Sprintf("%s (%s)", r.Detail, r.Reason) }

func refuse(r Reason, format string, args ...any) error {
	return &Refusal{Reason: r, Detail: fmt.Sprintf(format, args...)}
}
