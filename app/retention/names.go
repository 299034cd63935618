package retention

import (
	"fmt"
	"slices"
	"strings"
)

// Event is what starts or ends a period. Created and Audited are told by
// [Facts.Created] and [Facts.Audits]; the others by [Facts.Events].
type Event uint8

const (
	Created    Event = iota + 1 // the record was made; its date
	Closed                      // the case or file was closed
	Audited                     // the fiscal year of the record was audited
	Superseded                  // another record took its place
	Terminated                  // employment or contract ended
	Resolved                    // the matter was resolved
	ListEnded                   // end of the life of a list
	Demolished                  // end of the life of a structure
	Accredited                  // the next accreditation
	Election                    // day of the election
	Left                        // the student left the district or graduated
	Suspended                   // the project was suspended
	Completed                   // the project was completed
	NeedEnded                   // the office needs the record no longer
	Inactive                    // the record became inactive
	Disposed                    // final disposition of a charge
)

// YearKind is which year ends.
type YearKind uint8

const (
	CalendarYear YearKind = iota + 1 // ends 31 December
	FiscalYear                       // starts on the first of Facts.FiscalStart
)

// Kind is the form of a rule.
type Kind uint8

const (
	None       Kind = iota + 1 // transitory: due at any time
	Permanent                  // kept for good by the schedule
	Indefinite                 // kept for good by local policy
	After                      // Count Unit after Event; with Count 0 and Unit 0: until Event
	YearEnd                    // Count Unit after the end of the Year in which Event lies
	Later                      // the latest of Rules
	Earlier                    // the earliest of Rules
	Follow                     // as the rule of Series, or of the series named for the record
	Merge                      // as the file of Series into which the record was merged
	Need                       // until NeedEnded, at most Count Unit after Created
	Review                     // as Rules[0], and archival review before destruction
	Notice                     // as Rules[0], and Count Unit of notice before destruction
)

// Status is what a rule says of a record on a day.
type Status uint8

const (
	Due     Status = iota + 1 // the period is over
	NotYet                    // the period ends on a known day
	Waiting                   // facts are missing
	Never                     // kept for good
)

var (
	unitNames  = []string{"days", "months", "years"}
	yearNames  = []string{"calendar", "fiscal"}
	kindNames  = []string{"none", "permanent", "indefinite", "after", "year end", "later", "earlier", "follow", "merge", "need", "review", "notice"}
	eventNames = []string{
		"created", "closed", "audited", "superseded", "terminated", "resolved", "list-ended", "demolished",
		"accredited", "election", "left", "suspended", "completed", "need-ended", "inactive", "disposed",
	}
	statusNames = []string{"due", "not yet", "waiting", "never"}
)

// eventDays says in words which day an event is, for what is missing.
var eventDays = []string{
	"the date of the record",
	"the day on which the case or file was closed",
	"the audit of the fiscal year of the record",
	"the day on which the record was superseded",
	"the day of termination",
	"the day on which the matter was resolved",
	"the day on which the list ended",
	"the day on which the structure was demolished",
	"the day of the next accreditation",
	"the day of the election",
	"the day of leaving or graduating",
	"the day on which the project was suspended",
	"the day on which the project was completed",
	"the day on which the need ended",
	"the day on which the record became inactive",
	"the day of the final disposition of the charge",
}

// nameOf gives the name of a number that counts from 1, or a word for one that
// has no name.
func nameOf(names []string, n uint8) string {
	if n == 0 || int(n) > len(names) {
		return fmt.Sprintf("unknown(%d)", n)
	}
	return names[n-1]
}

// Events lists all events in the order of their numbers.
func Events() []Event {
	all := make([]Event, len(eventNames))
	for i := range all {
		all[i] = Event(i + 1)
	}
	return all
}

// ParseEvent reads the name of an event.
func ParseEvent(text string) (Event, error) {
	i := slices.Index(eventNames, text)
	if i < 0 {
		return 0, fmt.Errorf("parse event: %.40q is no event: write one of %s", text, strings.Join(eventNames, ", "))
	}
	return Event(i + 1), nil
}

// ParseStatus reads the name of a status.
func ParseStatus(text string) (Status, error) {
	i := slices.Index(statusNames, text)
	if i < 0 {
		return 0, fmt.Errorf("parse status: %.40q is no status: write one of %s", text, strings.Join(statusNames, ", "))
	}
	return Status(i + 1), nil
}

// Valid tells whether e is one of the events.
func (e Event) Valid() bool { return e >= Created && e <= Disposed }

// String gives the word of the language: created, list-ended.
func (e Event) String() string { return nameOf(eventNames, uint8(e)) }

// Valid tells whether y is one of the years.
func (y YearKind) Valid() bool { return y == CalendarYear || y == FiscalYear }

// String gives calendar or fiscal.
func (y YearKind) String() string { return nameOf(yearNames, uint8(y)) }

// Valid tells whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= None && k <= Notice }

// String gives a word for the kind, for people; rules are written by [Rule.String].
func (k Kind) String() string { return nameOf(kindNames, uint8(k)) }

// Valid tells whether s is one of the statuses.
func (s Status) Valid() bool { return s >= Due && s <= Never }

// String gives due, not yet, waiting or never.
func (s Status) String() string { return nameOf(statusNames, uint8(s)) }
