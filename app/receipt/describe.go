package receipt

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/muniment/muniment/app/record"
)

// describe names the kind of an entry and lists its values in plain words.
func describe(e record.Entry) (kind string, fields []Field) {
	add := func(name, value string) { fields = append(fields, Field{name, value}) }
	number := func(name string, v int64) { add(name, strconv.FormatInt(v, 10)) }
	hash := func(name string, v []byte) { add(name, hex.EncodeToString(v)) }
	switch e := e.(type) {
	case record.GenesisEntry:
		kind = "genesis"
		hash("network", e.Network[:])
		add("chain id", e.ChainID)
		add("origin", e.Origin)
		add("time", clock(e.Time))
	case record.FactEntry:
		kind = "fact"
		add("about", describeFact(e.Fact))
		hash("fact", e.Fact)
	case record.BlockEntry:
		kind = "block"
		number("height", e.Height)
		add("time", clock(e.Time))
		number("first entry", int64(e.First))
		hash("state root", e.StateRoot[:])
	case record.TxEntry:
		kind = "transaction"
		hash("key id", e.KeyID[:])
		hash("body hash", e.BodyHash[:])
		number("items", e.Count)
	case record.JumpEntry:
		kind = "jump of block time"
		number("height", e.Height)
		add("before", clock(e.Before))
		add("after", clock(e.After))
	case record.AnchorEntry:
		kind = "anchor"
		add("office", string(e.Office))
		add("series", string(e.Series))
		add("custody", custody(e.Custody))
		hash("commitment", e.Commitment[:])
		add("date", date(e.Day, e.Flags))
	case record.SupersedeEntry:
		kind = "supersession"
		add("office", string(e.Office))
		number("record", int64(e.Record))
		number("by", int64(e.By))
	case record.ProposalEntry:
		kind = "proposal"
		add("office", string(e.Office))
		hash("fact hash", e.FactHash[:])
	case record.ApprovalEntry:
		kind = "approval"
		add("office", string(e.Office))
		number("proposal", int64(e.Proposal))
		hash("fact hash", e.FactHash[:])
	case record.SuspensionEntry:
		kind = "suspension"
		add("office", string(e.Office))
		hash("key id", e.KeyID[:])
		number("since height", e.SinceHeight)
	}
	return kind, fields
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
		return "node " + NodeID(f.NodeKey[:])
	}
	return "unknown"
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
	return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly)
}
