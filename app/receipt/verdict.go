package receipt

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/muniment/muniment/app/record"
)

// Verdict is what a verification found. Its JSON names are stable. Below
// PASSED it holds the outcome, the reasons and the network alone: nothing that
// was not checked to the end.
type Verdict struct {
	Outcome Outcome  `json:"outcome"`
	Reasons []Reason `json:"reasons"`          // empty when PASSED
	Detail  string   `json:"detail,omitempty"` // the reason as one sentence

	Network string `json:"network"` // SHA-256 of genesis.json in hex
	ChainID string `json:"chain_id"`
	Origin  string `json:"origin"`

	Kind   string       `json:"kind,omitempty"` // of the entry, as "anchor"
	Index  int64        `json:"index"`          // of the entry
	Fields []Field      `json:"fields,omitempty"`
	Entry  record.Entry `json:"-"`
	Leaf   string       `json:"leaf_hash,omitempty"` // base64

	TreeSize int64  `json:"tree_size,omitempty"`
	Root     string `json:"root,omitempty"` // base64
	Era      int    `json:"era,omitempty"`
	Grade    string `json:"grade,omitempty"`

	Cosigners  string   `json:"cosigners,omitempty"` // as "1 of 1 validators"
	Validators []string `json:"validators,omitempty"`
	Witnesses  []string `json:"witnesses,omitempty"`

	NotBefore   *Moment `json:"not_before,omitempty"`   // PASSED only, then always
	NotAfter    *Moment `json:"not_after,omitempty"`    // likewise
	WitnessedBy *Moment `json:"witnessed_by,omitempty"` // grade witnessed only
	BlockHeight int64   `json:"block_height"`
	BlockIndex  int64   `json:"block_index"`

	Signed *Signed `json:"signed,omitempty"` // signed acts only
	State  *State  `json:"state,omitempty"`  // state receipts only

	Legality    *Legality    `json:"legality,omitempty"`    // legality files and certificates only
	Certificate *Certificate `json:"certificate,omitempty"` // certificates only

	Proven    []string `json:"proven"`
	NotProven []string `json:"not_proven"`

	message record.Message // of the signed body, where that is known
}

// Field is one value of an entry.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Moment is a time and where it comes from.
type Moment struct {
	Time   time.Time `json:"time"`
	Source string    `json:"source"`
}

// Signed says who signed the act.
type Signed struct {
	Office      record.Code `json:"office"`              // empty for a custodian
	Custodian   bool        `json:"custodian,omitempty"` // the key is the custodian key of a node
	KeyID       string      `json:"key_id"`              // hex
	KeyIndex    int64       `json:"key_index"`
	TxIndex     int64       `json:"tx_index"`
	Items       int64       `json:"items"`
	InBody      bool        `json:"in_body"` // the signed body was seen and states the entry
	NotAfterDay record.Day  `json:"not_after_day"`
}

// State is what the state tree held.
type State struct {
	Key     string `json:"key"` // hex
	Present bool   `json:"present"`
	Value   string `json:"value,omitempty"` // hex
	key     []byte
	value   []byte
}

// Bytes gives the value, nil if there was none.
func (s State) Bytes() []byte { return s.value }

func newVerdict(n Network) *Verdict {
	return &Verdict{Reasons: []Reason{}, Network: hex.EncodeToString(n.ID[:]), ChainID: n.ChainID, Origin: n.Origin, Proven: []string{}, NotProven: []string{}}
}

func (v *Verdict) proven(format string, args ...any) {
	v.Proven = append(v.Proven, fmt.Sprintf(format, args...))
}

func (v *Verdict) notProven(format string, args ...any) {
	v.NotProven = append(v.NotProven, fmt.Sprintf(format, args...))
}

// tree states whose word the tree is, and since when.
func (v *Verdict) tree(s Standing) {
	c := s.Checkpoint
	v.TreeSize, v.Root, v.Era, v.Grade = c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), s.Era, s.Grade
	v.Cosigners = fmt.Sprintf("%d of %d validators", len(s.Validators), s.OfValidators)
	v.Validators, v.Witnesses = cosignerNames(s.Validators), cosignerNames(s.Witnesses)
	v.proven("the tree of %d entries is that of %s: %s cosigned it, and log key %08x signed it", c.Size, c.Origin, v.Cosigners, s.LogKeyHash)
	v.NotAfter = &Moment{Time: time.Unix(s.CityTime, 0).UTC(),
		Source: fmt.Sprintf("clocks of the cosigners: by then %d of %d validators had cosigned", cityThreshold(s.OfValidators), s.OfValidators)}
	if s.OfValidators == 1 {
		v.notProven("that no other history was shown elsewhere: a single validator answers for this tree")
	}
	if s.Grade == GradeWitnessed {
		v.WitnessedBy = &Moment{Time: time.Unix(s.WitnessedTime, 0).UTC(), Source: "clocks of the witnesses: by then their quorum had cosigned"}
		v.proven("%d of %d witnesses outside the network cosigned the tree", len(s.Witnesses), s.OfWitnesses)
	} else {
		v.notProven("that witnesses outside the network saw this tree: the grade is city")
	}
	if s.EraClosed {
		v.proven("the tree is part of the last tree of closed era %d", s.Era)
	}
}

func cosignerNames(cosigned []Cosignature) []string {
	list := make([]string, len(cosigned))
	for i, c := range cosigned {
		list[i] = c.Name
	}
	return list
}

func (v *Verdict) entry(e record.Entry, index int64, raw []byte) {
	leaf := record.LeafHash(raw)
	v.Entry, v.Index, v.Leaf = e, index, base64.StdEncoding.EncodeToString(leaf[:])
	v.Kind, v.Fields = describe(e)
	v.proven("entry %d of the log is this %s", index, v.Kind)
}

// block states in which block the entry was logged, and so since when it can be there.
func (v *Verdict) block(b record.BlockEntry, index int64) {
	v.BlockHeight, v.BlockIndex = b.Height, index
	v.NotBefore = &Moment{Time: time.Unix(0, b.Time).UTC(), Source: fmt.Sprintf("consensus of the validators: time of block %d, entry %d", b.Height, index)}
	v.proven("it was logged in block %d", b.Height)
}

// act states who signed, and what of it was seen.
func (v *Verdict) act(e record.Entry, p parts, m record.Message) {
	v.message = m
	if p.tx == nil {
		v.notProven("that the rules of the network allowed the entry: that is the cosigners' word, a replay of the log checks it")
		return
	}
	v.Signed = &Signed{KeyID: hex.EncodeToString(p.tx.KeyID[:]), KeyIndex: p.keyIndex, TxIndex: p.txIndex,
		Items: p.tx.Count, InBody: m != nil, NotAfterDay: p.tx.NotAfter, Custodian: p.node != nil}
	if p.key != nil {
		v.Signed.Office = p.key.Office
	}
	v.proven("%s signed the transaction at entry %d, with the key that entry %d registered", v.Signed.who(), p.txIndex, p.keyIndex)
	v.body(e, p.tx.Count, m)
	if _, isFact := e.(record.FactEntry); isFact {
		v.notProven("that the approvals sufficed: that is the cosigners' word, a replay of the log counts them")
	}
	v.notProven("that the key was not suspended and the rules allowed the act: that is the cosigners' word, a replay of the log checks it")
}

// body states how what was signed bears on the entry.
func (v *Verdict) body(e record.Entry, items int64, m record.Message) {
	if m == nil {
		v.notProven("that the signed batch of %d items holds this entry: that is the cosigners' word, a replay of the log rebuilds the batch", items)
		return
	}
	v.Fields = append(v.Fields, describeBody(e, m)...)
	switch e.(type) {
	case record.LockEntry, record.ItemEntry:
		v.proven("the signed body asks for this lock, for this network")
		v.notProven("that the records were due, not held, and their disposition approved: a legality file shows it but for the holds, a replay of the log all of it")
	case record.RefusalEntry:
		v.proven("the signed body is the step that was refused, for this network")
		v.notProven("that the reason was right: that is the cosigners' word, a replay of the log checks it")
	case record.HoldEntry, record.ExtensionEntry:
		v.proven("the signed body states this hold and its scope, for this network")
		v.notProven("which locked dispositions it came too late for: that is the cosigners' word, a replay of the log finds them")
	default:
		v.proven("the signed body states exactly this entry, for this network")
	}
}

func (s Signed) who() string {
	if s.Custodian {
		return "a custodian"
	}
	return string(s.Office)
}

// Text renders the verdict for people, a line each, ending with a line feed.
func (v Verdict) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	b.WriteString(string(v.Outcome))
	for _, r := range v.Reasons {
		fmt.Fprintf(&b, " %s", r)
	}
	b.WriteByte('\n')
	if v.Detail != "" {
		line("because", "%s", v.Detail)
	}
	line("network", "%s, %s", v.ChainID, v.Origin)
	if v.Outcome != Passed {
		return b.String()
	}
	line("entry", "%d, %s", v.Index, v.Kind)
	for _, f := range v.Fields {
		line("  "+f.Name, "%s", f.Value)
	}
	if v.State != nil {
		line("state key", "%s (%+q)", v.State.Key, v.State.key)
		line("state value", "%s", v.State.describe())
	}
	switch {
	case v.Certificate != nil:
		v.Certificate.write(line)
	case v.Legality != nil:
		v.Legality.write(line)
	}
	if v.Signed != nil {
		line("signed by", "%s, key %s", v.Signed.who(), v.Signed.KeyID)
	}
	line("grade", "%s, %s", v.Grade, v.Cosigners)
	line("tree", "%d entries, root %s", v.TreeSize, v.Root)
	line("not before", "%s (%s)", v.NotBefore.Time.Format(time.RFC3339Nano), v.NotBefore.Source)
	line("not after", "%s (%s)", v.NotAfter.Time.Format(time.RFC3339), v.NotAfter.Source)
	if v.WitnessedBy != nil {
		line("witnessed by", "%s (%s)", v.WitnessedBy.Time.Format(time.RFC3339), v.WitnessedBy.Source)
	}
	for _, s := range v.Proven {
		line("proven", "%s", s)
	}
	for _, s := range v.NotProven {
		line("not proven", "%s", s)
	}
	return b.String()
}

func (s State) describe() string {
	if !s.Present {
		return "none"
	}
	return s.Value
}

func clock(unixNanos int64) string { return time.Unix(0, unixNanos).UTC().Format(time.RFC3339Nano) }
