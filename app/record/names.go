package record

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/retention"
)

// Domain tags: what is hashed or signed under a name of its own.
const (
	txDomain  = "muniment/v1/tx\n"  // signatures of transactions
	keyDomain = "muniment/v1/key\n" // key ids
)

// Hash is a hash of the log tree (RFC 6962), 32 bytes.
type Hash = tlog.Hash

// Commitment is the SHA-256 digest in the CID of a record's manifest, 32 bytes.
// It is a record's identity.
type Commitment [32]byte

// KeyID names a registered Ed25519 key, 32 bytes.
type KeyID [32]byte

// KeyIDOf gives SHA-256("muniment/v1/key\n" || public), for a 32-byte public key.
func KeyIDOf(public []byte) KeyID {
	return sha256.Sum256(append([]byte(keyDomain), public...))
}

// Network is the identity of a network: the SHA-256 of its genesis.json.
type Network [32]byte

// Nonce is 16 random bytes that make a transaction unique.
type Nonce [16]byte

// Index is the position of an entry in the log, from 0.
type Index int64

// Day is a civil day (UTC) as days since 1970-01-01; earlier days are negative.
type Day = retention.Day

// LedgerDay is the day on which consensus acts at a block time given in Unix
// nanoseconds: the UTC civil day of (time minus 12 hours). It is never early
// anywhere on Earth.
func LedgerDay(unixNanos int64) Day {
	const halfDay, day = 12 * 3600 * 1e9, 24 * 3600 * 1e9
	t := unixNanos - halfDay
	d := t / day
	if t%day < 0 {
		d--
	}
	return Day(d)
}

// Code is a registered code: an office, a series or a custodian set.
type Code string

// MaxCodeBytes is the length of the longest code.
const MaxCodeBytes = 16

// Valid tells whether c has the form [A-Z0-9][A-Z0-9.-]{0,15} and at least one
// letter, so that no social security or telephone number is a code.
func (c Code) Valid() bool {
	if len(c) == 0 || len(c) > MaxCodeBytes {
		return false
	}
	letter := false
	for i := range len(c) {
		b := c[i]
		switch {
		case b >= 'A' && b <= 'Z':
			letter = true
		case b >= '0' && b <= '9':
		case (b == '.' || b == '-') && i > 0:
		default:
			return false
		}
	}
	return letter
}

// Role is what an office may do. The numbers are those of ledger.proto.
type Role uint8

// The roles of offices.
const (
	RoleDepartment Role = iota + 1
	RoleClerk
	RoleCounsel
	RoleChiefAdmin
	RoleStateRecords
	RoleStateArchivist
	RoleLibraryCEO
	RoleAuditor
	RoleIT
	RoleProcurement
	RoleGovernor
	RoleOperator
)

var roleNames = [...]string{"", "DEPARTMENT", "CLERK", "COUNSEL", "CHIEF_ADMIN", "STATE_RECORDS", "STATE_ARCHIVIST",
	"LIBRARY_CEO", "AUDITOR", "IT", "PROCUREMENT", "GOVERNOR", "OPERATOR"}

// Roles lists every role, ascending.
func Roles() []Role {
	all := make([]Role, 0, len(roleNames)-1)
	for i := range len(roleNames) - 1 {
		all = append(all, Role(i+1))
	}
	return all
}

// Valid tells whether r is a known role.
func (r Role) Valid() bool { return r >= 1 && int(r) < len(roleNames) }

// String gives the name of the role, as "CHIEF_ADMIN".
func (r Role) String() string {
	if !r.Valid() {
		return fmt.Sprintf("ROLE_%d", uint8(r))
	}
	return roleNames[r]
}

// ParseRole reads the name of a role.
func ParseRole(name string) (Role, error) {
	for _, r := range Roles() {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, fmt.Errorf("role %q: %w: use one of %s", name, ErrMalformed, strings.Join(roleNames[1:], ", "))
}

// Status is the state of an office, a key or a series.
type Status uint8

// The states. A suspended key is never active again.
const (
	StatusActive Status = iota + 1
	StatusSuspended
	StatusInactive
)

// Valid tells whether s is a known status.
func (s Status) Valid() bool { return s >= StatusActive && s <= StatusInactive }

// String gives the name of the status.
func (s Status) String() string {
	return nameOf(uint8(s), "STATUS", "ACTIVE", "SUSPENDED", "INACTIVE")
}

// KeyUse is what a key is registered for.
type KeyUse uint8

// The uses of keys.
const (
	UseSigning KeyUse = iota + 1 // signs transactions
	UseAccess                    // issues account certificates
)

// Valid tells whether u is a known use.
func (u KeyUse) Valid() bool { return u == UseSigning || u == UseAccess }

// String gives the name of the use.
func (u KeyUse) String() string { return nameOf(uint8(u), "USE", "SIGNING", "ACCESS") }

// Subject is what a governing decision is about.
type Subject uint8

// The subjects.
const (
	SubjectRecords  Subject = iota + 1
	SubjectSecurity         // offices and keys
)

// Valid tells whether s is a known subject.
func (s Subject) Valid() bool { return s == SubjectRecords || s == SubjectSecurity }

// String gives the name of the subject.
func (s Subject) String() string { return nameOf(uint8(s), "SUBJECT", "RECORDS", "SECURITY") }

// Granularity is how exactly a series states dates.
type Granularity uint8

// The granularities.
const (
	GranularityDay Granularity = iota + 1
	GranularityMonth
	GranularityYear
)

// Valid tells whether g is a known granularity.
func (g Granularity) Valid() bool { return g >= GranularityDay && g <= GranularityYear }

// String gives the name of the granularity.
func (g Granularity) String() string {
	return nameOf(uint8(g), "GRANULARITY", "DAY", "MONTH", "YEAR")
}

func nameOf(v uint8, kind string, names ...string) string {
	if v == 0 || int(v) > len(names) {
		return fmt.Sprintf("%s_%d", kind, v)
	}
	return names[v-1]
}
