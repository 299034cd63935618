package receipt

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/muniment/muniment/app/record"
)

// description lists the values of an entry in plain words.
type description []Field

func (d *description) add(name, value string) { *d = append(*d, Field{name, value}) }

func (d *description) number(name string, v int64) { d.add(name, strconv.FormatInt(v, 10)) }

func (d *description) hash(name string, v []byte) { d.add(name, hex.EncodeToString(v)) }

// describe names the kind of an entry and lists its values.
func describe(e record.Entry) (kind string, fields []Field) {
	var d description
	switch e := e.(type) {
	case record.GenesisEntry:
		kind = "genesis"
		d.hash("network", e.Network[:])
		d.add("chain id", e.ChainID)
		d.add("origin", e.Origin)
		d.add("time", clock(e.Time))
	case record.FactEntry:
		kind = "fact"
		d.add("about", describeFact(e.Fact))
		d.hash("fact", e.Fact)
	case record.BlockEntry:
		kind = "block"
		d.number("height", e.Height)
		d.add("time", clock(e.Time))
		d.number("first entry", int64(e.First))
		d.hash("state root", e.StateRoot[:])
	case record.TxEntry:
		kind = "transaction"
		d.hash("key id", e.KeyID[:])
		d.hash("body hash", e.BodyHash[:])
		d.number("items", e.Count)
	case record.JumpEntry:
		kind = "jump of block time"
		d.number("height", e.Height)
		d.add("before", clock(e.Before))
		d.add("after", clock(e.After))
	case record.MisbehaviorEntry:
		kind = "misbehavior of a validator"
		d.hash("validator key id", e.Validator[:])
		d.number("height", e.Height)
	default:
		kind = d.act(e)
	}
	return kind, d
}

// act describes what an office or a custodian did.
func (d *description) act(e record.Entry) (kind string) {
	if office := officeOf(e); office != "" {
		d.add("office", string(office))
	}
	switch e := e.(type) {
	case record.AnchorEntry:
		kind = "anchor"
		d.add("series", string(e.Series))
		d.add("custody", custody(e.Custody))
		d.hash("commitment", e.Commitment[:])
		d.add("date", date(e.Day, e.Flags))
		if e.Flags&record.FlagBatch != 0 {
			kind = "anchor of a batch"
		}
	case record.SupersedeEntry:
		kind = "supersession"
		d.number("record", int64(e.Record))
		d.number("by", int64(e.By))
	case record.ProposalEntry:
		kind = "proposal"
		d.hash("fact hash", e.FactHash[:])
	case record.ApprovalEntry:
		kind = "approval"
		d.number("proposal", int64(e.Proposal))
		d.hash("fact hash", e.FactHash[:])
	case record.SuspensionEntry:
		kind = "suspension"
		d.hash("key id", e.KeyID[:])
		d.number("since height", e.SinceHeight)
	case record.DepartureEntry:
		kind = "departure of a custodian"
		d.hash("custodian key id", e.Custodian[:])
		d.add("custody", string(e.Set))
		d.add("departure", e.Departure.String())
	case record.AcknowledgmentEntry:
		kind = "acknowledgment of a jump of block time"
		d.number("jump", int64(e.Jump))
	default:
		kind = d.ofRecords(e)
	}
	return kind
}

func describeFact(raw []byte) string {
	fact, err := record.ParseFact(raw)
	if err != nil {
		return "unknown" // not reached: ParseEntry parses facts
	}
	switch f := fact.(type) {
	case *record.Parameters:
		return "parameters"
	case *record.Office:
		return "office " + string(f.Code) + " " + f.Status.String()
	case *record.Key:
		return f.Use.String() + " key of " + string(f.Office) + " " + f.Status.String()
	case *record.Governance:
		return "governance of " + f.Subject.String()
	case *record.CustodianSet:
		return "custodian set " + string(f.Code)
	case *record.Series:
		return "series " + string(f.Code) + " " + f.Status.String()
	case *record.Node:
		return describeNode(f)
	case *record.Witnesses:
		return fmt.Sprintf("witnesses: %d, a quorum of %d", len(f.Witnesses), f.Threshold)
	case *record.Upgrade:
		return fmt.Sprintf("rules version %d from height %d", f.Version, f.Height)
	}
	return describeSchedule(fact)
}

// describeNode says what a fact does about a node.
func describeNode(f *record.Node) string {
	switch id := NodeID(f.NodeKey[:]); {
	case f.Removed:
		return "removal of node " + id
	case f.Replaces != record.KeyID{}:
		return "node " + id + " in the place of another"
	default:
		return "node " + id
	}
}

// counted gives a number with its noun, as "1 record" or "2 records".
func counted[T ~int | ~int64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func custody(c record.Code) string {
	if c == "" {
		return "external"
	}
	return string(c)
}

func date(d record.Day, flags uint32) string {
	if flags&record.FlagUndated != 0 {
		return "undated"
	}
	return d.String()
}
