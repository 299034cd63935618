// Package retention is the language in which a schedule says how long records
// are kept, and the calendar and judgement that go with it.
//
// [Parse] reads a rule from its one spelling, such as
//
//	later of (3 years after created, until audited)
//
// and [Evaluate] says what the rule means for one record on one day: due, not
// yet (and from which day), waiting for facts that are missing, or never; and
// why, in plain words. [NotShorter] tells whether a local rule keeps at least
// as long as a state rule, whatever the facts. The specification, with its
// grammar, is docs/spec/retention.md; vectors are in
// docs/spec/vectors/retention.json.
//
// Invariants:
//   - Everything is a pure function of its arguments: no clock, no time zone.
//   - The last day of a period counts in full: a record is due from the day
//     after it.
//   - What is unknown, unreadable or circular keeps a record. No error, limit
//     or missing fact makes one due.
//   - A later fact of the same kind never makes a record due earlier.
//   - A rule has one spelling: Parse(r.String()) gives r, and Parse(s) gives a
//     rule whose String is s.
package retention
