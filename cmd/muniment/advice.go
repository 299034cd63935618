package main

// refusals says in one sentence what each reason of the ledger means for the
// one whose transaction was refused. The reasons are those of
// docs/spec/ledger.md.
var refusals = map[string]string{
	"INTERNAL":         "the node could not judge the transaction",
	"MALFORMED":        "the ledger cannot read the transaction",
	"TOO_LARGE":        "the transaction is larger than the ledger takes",
	"WRONG_NETWORK":    "the transaction was signed for another network",
	"EXPIRED":          "the last day of the transaction has passed",
	"TOO_FAR_AHEAD":    "the last day of the transaction is too far ahead",
	"UNKNOWN_KEY":      "the signing key is not registered",
	"WRONG_KEY_USE":    "the key is not registered for signing",
	"KEY_SUSPENDED":    "the signing key is suspended",
	"OFFICE_SUSPENDED": "the office is suspended",
	"BAD_SIGNATURE":    "the signature is not good",
	"NONCE_REUSED":     "another transaction has the same nonce",

	"WRONG_ROLE":         "the office has no role that allows this",
	"WRONG_OFFICE":       "the series or record is another office's",
	"UNKNOWN_SERIES":     "the series is not registered",
	"SERIES_INACTIVE":    "the series is not active",
	"UNKNOWN_CUSTODY":    "the custodian set is not registered",
	"BAD_DAY":            "a date does not fit the series",
	"DUPLICATE_IN_BATCH": "the batch holds a record twice",
	"ALREADY_ANCHORED":   "the record is already anchored",
	"UNKNOWN_RECORD":     "there is no such record",
	"ALREADY_SUPERSEDED": "the record has a successor already",

	"NOT_GOVERNING":      "the office does not govern this",
	"UNSUPPORTED_CHANGE": "this kind of change is not supported",
	"BAD_FACT":           "the proposed fact is not fit to be registered",
	"UNKNOWN_OFFICE":     "the office is not registered",
	"KEY_REGISTERED":     "the key is registered already, and a key is registered once",
	"NO_CHANGE":          "this is how it stands already",
	"LOCKOUT":            "afterwards too few governing offices could decide anything",
	"UNKNOWN_PROPOSAL":   "there is no such proposal",
	"WRONG_FACT":         "the proposal is about another fact",
	"PROPOSAL_EXECUTED":  "the proposal has been executed",
	"PROPOSAL_EXPIRED":   "the proposal has expired",
	"ALREADY_APPROVED":   "the office has approved the proposal already",
	"UNKNOWN_TARGET":     "there is no such key",
	"ALREADY_SUSPENDED":  "the key is suspended already",
	"BAD_HEIGHT":         "the height is in the future",
}

// adviceOn says what to do next about a reason, of the ledger or of a node.
var adviceOn = map[string]string{
	"EXPIRED":          "run the same command again",
	"TOO_FAR_AHEAD":    "check this computer's clock",
	"WRONG_NETWORK":    "muniment network show tells which network is pinned",
	"UNKNOWN_KEY":      "muniment key list shows the keys: a governing office registers them",
	"KEY_SUSPENDED":    "make new keys and have them registered",
	"OFFICE_SUSPENDED": "ask a governing office",
	"SUSPENDED":        "ask a governing office",
	"DENIED":           "muniment office show CODE lists the roles of an office",
	"WRONG_ROLE":       "muniment office show CODE lists the roles of an office",
	"NOT_GOVERNING":    "muniment office show lists the governing offices",
	"WRONG_OFFICE":     "muniment office show lists the series and their departments",
	"UNKNOWN_SERIES":   "muniment office show lists the series",
	"SERIES_INACTIVE":  "muniment office show lists the series",
	"UNKNOWN_CUSTODY":  "muniment office show lists the custodian sets",
	"UNKNOWN_PROPOSAL": "muniment office show lists the open proposals",
	"PROPOSAL_EXPIRED": "propose it again",
	"LOCKOUT":          "register the new key first, then suspend the old one",
	"NOT_FOUND":        "muniment search TEXT finds records by title and file name",
	"UNAVAILABLE":      "see whether the node runs, then run the same command again",
	"STOPPING":         "run the same command again later",
	"BUSY":             "run the same command again later",
	"DEADLINE":         "run the same command again",
	"OUTCOME_UNKNOWN":  "run the same command again",
	"INTERNAL":         "the node's log says why",

	"UNAUTHENTICATED":     "muniment key list shows the access key: a governing office must have registered it, and this clock must be right",
	"CERTIFICATE_EXPIRED": "check this computer's clock",
}

// refused is the failure of a transaction that the ledger refused.
func refused(reason string) error {
	text := sentence(reason)
	if !stable(reason) {
		reason = "UNKNOWN_REASON"
	}
	return failed(exitRefused, reason, adviceOn[reason], "%s", text)
}

// sentence says what a reason of the ledger means.
func sentence(reason string) string {
	if text, ok := refusals[reason]; ok {
		return text
	}
	return "the ledger refused the transaction"
}
