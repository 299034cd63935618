package ledger

import "fmt"

// Code is the outcome of a transaction. The numbers are part of consensus and
// never change; docs/spec/ledger.md says what to do about each.
type Code uint32

// The codes.
const (
	OK                  Code = 0
	CodeInternal        Code = 1 // this node cannot answer; never the outcome of a block
	CodeMalformed       Code = 2
	CodeTooLarge        Code = 3
	CodeWrongNetwork    Code = 4
	CodeExpired         Code = 5
	CodeTooFarAhead     Code = 6
	CodeUnknownKey      Code = 7
	CodeWrongKeyUse     Code = 8
	CodeKeySuspended    Code = 9
	CodeOfficeSuspended Code = 10
	CodeBadSignature    Code = 11
	CodeNonceReused     Code = 12

	CodeWrongRole         Code = 20
	CodeWrongOffice       Code = 21
	CodeUnknownSeries     Code = 22
	CodeSeriesInactive    Code = 23
	CodeUnknownCustody    Code = 24
	CodeBadDay            Code = 25
	CodeDuplicateInBatch  Code = 26
	CodeAlreadyAnchored   Code = 27
	CodeUnknownRecord     Code = 28
	CodeAlreadySuperseded Code = 29
	CodeAssessmentOverdue Code = 30
	CodeBatchedSeries     Code = 31
	CodeNotBatched        Code = 32
	CodeBatchExists       Code = 33
	CodeNoRule            Code = 34

	CodeNotGoverning      Code = 40
	CodeUnsupportedChange Code = 41
	CodeBadFact           Code = 42
	CodeUnknownOffice     Code = 43
	CodeKeyRegistered     Code = 44
	CodeNoChange          Code = 45
	CodeLockout           Code = 46
	CodeUnknownProposal   Code = 47
	CodeWrongFact         Code = 48
	CodeProposalExecuted  Code = 49
	CodeProposalExpired   Code = 50
	CodeAlreadyApproved   Code = 51
	CodeUnknownTarget     Code = 52
	CodeAlreadySuspended  Code = 53
	CodeBadHeight         Code = 54
	CodeRuleStated        Code = 55
	CodeWrongRoot         Code = 56
	CodeShorterThanState  Code = 57
	CodeBadEffectiveDay   Code = 58
	CodeBadAssessment     Code = 59
	CodeVersionAdopted    Code = 60
	CodeWrongAuditDay     Code = 61
	CodeUnknownJump       Code = 62
	CodeWrongAuthority    Code = 63

	CodeUnknownHold        Code = 70
	CodeHoldReleased       Code = 71
	CodeUnknownIssue       Code = 72
	CodeIssueResolved      Code = 73
	CodeOpenIssues         Code = 74
	CodeSameOffice         Code = 75
	CodeHeld               Code = 80
	CodeNotDue             Code = 81
	CodeMissingApproval    Code = 82
	CodeFrozen             Code = 83
	CodeNoticePeriod       Code = 84
	CodeNoticeMissing      Code = 85
	CodeOneByOne           Code = 86
	CodeAlreadyLocked      Code = 87
	CodeUnknownDisposition Code = 90
	CodeDispositionClosed  Code = 91
	CodeWrongHash          Code = 92
	CodeNotAuthorized      Code = 93
	CodeWrongSeries        Code = 94
	CodeNotLocked          Code = 95
	CodeAlreadyReported    Code = 96
	CodeNoReportDue        Code = 97
	CodeQuota              Code = 98
	CodeTooManyDecisions   Code = 99

	CodeUnknownNode      Code = 110
	CodeQuorumAtRisk     Code = 111
	CodeCustodianStays   Code = 112
	CodeUnknownCustodian Code = 113
	CodeTooManyMembers   Code = 114
	CodeOfficeQuota      Code = 115
	CodeUpgradePending   Code = 116
)

var codeNames = map[Code]string{
	OK:                  "OK",
	CodeInternal:        "INTERNAL",
	CodeMalformed:       "MALFORMED",
	CodeTooLarge:        "TOO_LARGE",
	CodeWrongNetwork:    "WRONG_NETWORK",
	CodeExpired:         "EXPIRED",
	CodeTooFarAhead:     "TOO_FAR_AHEAD",
	CodeUnknownKey:      "UNKNOWN_KEY",
	CodeWrongKeyUse:     "WRONG_KEY_USE",
	CodeKeySuspended:    "KEY_SUSPENDED",
	CodeOfficeSuspended: "OFFICE_SUSPENDED",
	CodeBadSignature:    "BAD_SIGNATURE",
	CodeNonceReused:     "NONCE_REUSED",

	CodeWrongRole:         "WRONG_ROLE",
	CodeWrongOffice:       "WRONG_OFFICE",
	CodeUnknownSeries:     "UNKNOWN_SERIES",
	CodeSeriesInactive:    "SERIES_INACTIVE",
	CodeUnknownCustody:    "UNKNOWN_CUSTODY",
	CodeBadDay:            "BAD_DAY",
	CodeDuplicateInBatch:  "DUPLICATE_IN_BATCH",
	CodeAlreadyAnchored:   "ALREADY_ANCHORED",
	CodeUnknownRecord:     "UNKNOWN_RECORD",
	CodeAlreadySuperseded: "ALREADY_SUPERSEDED",
	CodeAssessmentOverdue: "ASSESSMENT_OVERDUE",
	CodeBatchedSeries:     "BATCHED_SERIES",
	CodeNotBatched:        "NOT_BATCHED",
	CodeBatchExists:       "BATCH_EXISTS",
	CodeNoRule:            "NO_RULE",

	CodeNotGoverning:      "NOT_GOVERNING",
	CodeUnsupportedChange: "UNSUPPORTED_CHANGE",
	CodeBadFact:           "BAD_FACT",
	CodeUnknownOffice:     "UNKNOWN_OFFICE",
	CodeKeyRegistered:     "KEY_REGISTERED",
	CodeNoChange:          "NO_CHANGE",
	CodeLockout:           "LOCKOUT",
	CodeUnknownProposal:   "UNKNOWN_PROPOSAL",
	CodeWrongFact:         "WRONG_FACT",
	CodeProposalExecuted:  "PROPOSAL_EXECUTED",
	CodeProposalExpired:   "PROPOSAL_EXPIRED",
	CodeAlreadyApproved:   "ALREADY_APPROVED",
	CodeUnknownTarget:     "UNKNOWN_TARGET",
	CodeAlreadySuspended:  "ALREADY_SUSPENDED",
	CodeBadHeight:         "BAD_HEIGHT",
	CodeRuleStated:        "RULE_STATED",
	CodeWrongRoot:         "WRONG_ROOT",
	CodeShorterThanState:  "SHORTER_THAN_STATE",
	CodeBadEffectiveDay:   "BAD_EFFECTIVE_DAY",
	CodeBadAssessment:     "BAD_ASSESSMENT",
	CodeVersionAdopted:    "VERSION_ADOPTED",
	CodeWrongAuditDay:     "WRONG_AUDIT_DAY",
	CodeUnknownJump:       "UNKNOWN_JUMP",
	CodeWrongAuthority:    "WRONG_AUTHORITY",

	CodeUnknownHold:        "UNKNOWN_HOLD",
	CodeHoldReleased:       "HOLD_RELEASED",
	CodeUnknownIssue:       "UNKNOWN_ISSUE",
	CodeIssueResolved:      "ISSUE_RESOLVED",
	CodeOpenIssues:         "OPEN_ISSUES",
	CodeSameOffice:         "SAME_OFFICE",
	CodeHeld:               "HELD",
	CodeNotDue:             "NOT_DUE",
	CodeMissingApproval:    "MISSING_APPROVAL",
	CodeFrozen:             "FROZEN",
	CodeNoticePeriod:       "NOTICE_PERIOD",
	CodeNoticeMissing:      "NOTICE_MISSING",
	CodeOneByOne:           "ONE_BY_ONE",
	CodeAlreadyLocked:      "ALREADY_LOCKED",
	CodeUnknownDisposition: "UNKNOWN_DISPOSITION",
	CodeDispositionClosed:  "DISPOSITION_CLOSED",
	CodeWrongHash:          "WRONG_HASH",
	CodeNotAuthorized:      "NOT_AUTHORIZED",
	CodeWrongSeries:        "WRONG_SERIES",
	CodeNotLocked:          "NOT_LOCKED",
	CodeAlreadyReported:    "ALREADY_REPORTED",
	CodeNoReportDue:        "NO_REPORT_DUE",
	CodeQuota:              "QUOTA",
	CodeTooManyDecisions:   "TOO_MANY_DECISIONS",

	CodeUnknownNode:      "UNKNOWN_NODE",
	CodeQuorumAtRisk:     "QUORUM_AT_RISK",
	CodeCustodianStays:   "CUSTODIAN_STAYS",
	CodeUnknownCustodian: "UNKNOWN_CUSTODIAN",
	CodeTooManyMembers:   "TOO_MANY_MEMBERS",
	CodeOfficeQuota:      "OFFICE_QUOTA",
	CodeUpgradePending:   "UPGRADE_PENDING",
}

// String gives the stable reason, as "ALREADY_ANCHORED".
func (c Code) String() string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("CODE_%d", uint32(c))
}

// Codes lists every code, ascending.
func Codes() []Code {
	var codes []Code
	for c := OK; c <= CodeUpgradePending; c++ {
		if _, ok := codeNames[c]; ok {
			codes = append(codes, c)
		}
	}
	return codes
}
