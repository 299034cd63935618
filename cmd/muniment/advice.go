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
	"ASSESSMENT_OVERDUE": "the impact assessment of the series should have been reviewed before",
	"BATCHED_SERIES":     "the series takes no records one by one, but a batch a day",
	"NOT_BATCHED":        "the series takes records one by one, not in batches",
	"BATCH_EXISTS":       "the batch of this ledger day is anchored already",
	"NO_RULE":            "no schedule in force has a rule for the series",

	"NOT_GOVERNING":      "the office has no part in this decision",
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
	"RULE_STATED":        "the version has a rule for the series already",
	"WRONG_ROOT":         "the rules that were stated are not those of the proposal",
	"SHORTER_THAN_STATE": "a local rule keeps records shorter than the state's, or cannot be shown to keep them as long",
	"BAD_EFFECTIVE_DAY":  "the day is too far ahead or back",
	"BAD_ASSESSMENT":     "the impact assessment is not dated before this day, or its review is overdue",
	"VERSION_ADOPTED":    "the version is adopted already",
	"WRONG_AUDIT_DAY":    "the audit is of a day to come, or of none later than the last one posted",
	"UNKNOWN_JUMP":       "there is no such jump of the clock",
	"WRONG_AUTHORITY":    "a schedule is of the state or local for good",

	"UNKNOWN_HOLD":        "there is no such hold",
	"HOLD_RELEASED":       "the hold was released",
	"UNKNOWN_ISSUE":       "the hold has no such issue",
	"ISSUE_RESOLVED":      "the issue is resolved already",
	"OPEN_ISSUES":         "the action is not closed, or an issue is not resolved",
	"SAME_OFFICE":         "the office had another part in this",
	"HELD":                "the record is under hold",
	"NOT_DUE":             "the record is not due",
	"MISSING_APPROVAL":    "an approval is missing, or has expired",
	"FROZEN":              "dispositions are frozen since the clock jumped",
	"NOTICE_PERIOD":       "the notice period is not over",
	"NOTICE_MISSING":      "the person concerned has had no notice, or not long enough",
	"ONE_BY_ONE":          "records from before 1900 and undated ones are disposed of one by one",
	"ALREADY_LOCKED":      "the record is locked for a disposition already",
	"UNKNOWN_DISPOSITION": "there is no such disposition",
	"DISPOSITION_CLOSED":  "the disposition is locked or withdrawn",
	"WRONG_HASH":          "the disposition is another one than was shown",
	"NOT_AUTHORIZED":      "no standing authorization covers this",
	"WRONG_SERIES":        "the series does not fit the record",
	"NOT_LOCKED":          "the disposition is not locked",
	"ALREADY_REPORTED":    "the report is in already",
	"NO_REPORT_DUE":       "no report of this party is due",
	"QUOTA":               "the office had too many dispositions refused on this ledger day",
	"TOO_MANY_DECISIONS":  "so many decisions about parts of the record stand that it takes none more to withhold",
}

// adviceOn says what to do next about a reason, of the ledger or of a node.
var adviceOn = map[string]string{
	"EXPIRED":            "run the same command again",
	"TOO_FAR_AHEAD":      "check this computer's clock",
	"WRONG_NETWORK":      "muniment network show tells which network is pinned",
	"UNKNOWN_KEY":        "muniment key list shows the keys: a governing office registers them",
	"KEY_SUSPENDED":      "make new keys and have them registered",
	"OFFICE_SUSPENDED":   "ask a governing office",
	"SUSPENDED":          "ask a governing office",
	"DENIED":             "muniment office show CODE lists the roles of an office; docs/cli.md says what each role may do",
	"WRONG_ROLE":         "muniment office show CODE lists the roles of an office; docs/cli.md says what each role may do",
	"NOT_GOVERNING":      "muniment office show lists the governing offices, schedule list and series list whose approval is missing",
	"WRONG_OFFICE":       "muniment office show lists the series and their departments",
	"UNKNOWN_OFFICE":     "muniment office show lists the offices",
	"UNKNOWN_RECORD":     "muniment disposition dry-run RECORD... marks what is no record",
	"ALREADY_SUPERSEDED": "supersede the successor: muniment record show RECORD names it",
	"BAD_ASSESSMENT":     "muniment clock shows the ledger day: the assessment is of a day before it",
	"WRONG_AUDIT_DAY":    "muniment clock shows the ledger day, and muniment why RECORD what is posted",
	"UNKNOWN_HOLD":       "muniment hold list --all lists the holds",
	"HOLD_RELEASED":      "place another hold if one is needed",
	"UNKNOWN_ISSUE":      "muniment hold show HOLD lists what is open",
	"DISPOSITION_CLOSED": "muniment disposition show DISPOSITION says what became of it",
	"WRONG_SERIES":       "muniment record show RECORD names its series",
	"UNKNOWN_SERIES":     "muniment series list lists the series",
	"SERIES_INACTIVE":    "muniment series activate proposes to open a series; muniment series list lists them",
	"UNKNOWN_CUSTODY":    "muniment office show lists the custodian sets",
	"UNKNOWN_PROPOSAL":   "muniment office show lists the open proposals",
	"PROPOSAL_EXPIRED":   "propose it again",
	"ASSESSMENT_OVERDUE": "review the assessment, then run muniment series activate with it",
	"BATCHED_SERIES":     "muniment anchor --batch anchors the batch of this ledger day",
	"NOT_BATCHED":        "leave --batch out",
	"BATCH_EXISTS":       "run it again on the next ledger day",
	"NO_RULE":            "muniment schedule list lists the schedules",
	"RULE_STATED":        "raise the version in the authority file",
	"VERSION_ADOPTED":    "raise the version in the authority file",
	"WRONG_ROOT":         "muniment schedule show lists the rules that were stated",
	"SHORTER_THAN_STATE": "muniment series show SERIES shows the rule of the state",
	"WRONG_AUTHORITY":    "give the schedule another code, or say state = true or false as before",
	"HELD":               "muniment why RECORD names the holds",
	"ALREADY_LOCKED":     "muniment record show RECORD says under which disposition, and what became of it",
	"NOT_DUE":            "muniment why RECORD says when it is due, and what is missing",
	"FROZEN":             "muniment clock says what ends it",
	"OPEN_ISSUES":        "muniment hold list shows them",
	"SAME_OFFICE":        "have another office do it",
	"LOCKOUT":            "register the new key first, then suspend the old one",
	"TOO_MANY_DECISIONS": "muniment redact list RECORD shows them: one of them may do",
	"NOT_FOUND":          "muniment search TEXT finds records by title and file name",
	"LOCKED":             "muniment record show RECORD names the disposition; when its custodians have reported, what is left of a redacted record can be read",
	"PARTLY_DESTROYED":   "muniment evidence RECORD -o FILE makes a bundle of what is left",
	"NO_SUCH_REDACTION":  "muniment redact list RECORD shows what is filed; muniment redact withhold or propose files a plan",
	"NO_SUCH_SEGMENT":    "muniment segments RECORD lists what can be hidden",
	"UNAVAILABLE":        "see whether the node runs, then run the same command again",
	"STOPPING":           "run the same command again later",
	"BUSY":               "run the same command again later",
	"DEADLINE":           "run the same command again",
	"OUTCOME_UNKNOWN":    "run the same command again",
	"INTERNAL":           "the node's log says why",

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
