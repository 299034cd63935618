package ledger_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestTranscripts plays testdata/*.txt. Rewrite them with -rewrite and read the
// difference as you would read code. The language:
//
//	genesis [entries] [state|network] founds the demonstration city, with the offices of stateFacts, or four nodes
//	block date=D [time=HH:MM:SS]     applies the transactions of the lines that follow, at noon by default
//	pass blocks=N [step=SECONDS]     applies empty blocks, 30 seconds apart by default
//	check date=D                     judges one transaction without applying it
//	office, key, proposal, record    show the state
//
// A transaction is a line: anchor, supersede, propose, approve, suspend, or
// send, which sends again what was named with as=NAME. by=OFFICE signs with the
// office's key, key=NAME with another one; until=D is its last day (two days
// after the block by default), nonce=NAME fixes the nonce. An index is a number,
// or the name of an earlier transaction and stands for its first item; NAME+1 is
// the second. In answers, TRANSACTION+COUNT are the entries of an accepted
// transaction. Further lines and commands are in the files transcript_*_test.go.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 7 {
		t.Fatalf("found %d transcripts, want at least 7: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := &script{names: map[string]string{}, sent: map[string][]byte{}, at: map[string]record.Index{}}
			datadriven.RunTest(t, file, s.play)
		})
	}
}

// script is a transcript being played.
type script struct {
	*city
	date  string                  // of the block in the making
	names map[string]string       // what a commitment, a key id or a hash is called
	sent  map[string][]byte       // transactions that were given a name
	at    map[string]record.Index // first items of those that were accepted
}

func (s *script) play(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	args := map[string]string{}
	for _, a := range d.CmdArgs {
		args[a.Key] = strings.Join(a.Vals, ",")
	}
	var out strings.Builder
	switch d.Cmd {
	case "genesis":
		facts := demoFacts()
		if _, state := args["state"]; state {
			facts = stateFacts()
		}
		if _, network := args["network"]; network {
			facts = networkFacts()
		}
		s.city = found(t, facts)
		if _, all := args["entries"]; all {
			s.printEntries(t, &out, s.genesis)
		}
		s.printHead(&out)
	case "block":
		s.date = args["date"]
		var txs [][]byte
		for line := range strings.Lines(d.Input) {
			txs = append(txs, s.tx(t, line))
		}
		s.network(args)
		when := dayOf(s.date).Unix()*1e9 + clock(t, args["time"])
		changes, results := s.apply(t, when, txs...)
		for i, r := range results {
			fmt.Fprintln(&out, resultLine(r))
			for name, raw := range s.sent {
				if r.Code == ledger.OK && bytes.Equal(raw, txs[i]) {
					s.at[name] = r.TxIndex + 1
				}
			}
		}
		s.printEntries(t, &out, changes)
		s.printHead(&out)
	case "pass":
		s.pass(t, &out, args)
	case "check":
		s.date = args["date"]
		tx := s.tx(t, d.Input)
		h := ledger.Header{Height: s.view.Head().Height + 1, Time: at(s.date)}
		fmt.Fprintln(&out, s.machine.Check(s.view, h, tx))
	default:
		s.show(t, &out, d.Cmd, args)
	}
	return out.String()
}

func clock(t *testing.T, s string) int64 {
	if s == "" {
		return 12 * 3600 * 1e9
	}
	parsed, err := time.Parse(time.TimeOnly, s)
	if err != nil {
		t.Fatal(err)
	}
	return int64(parsed.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)))
}

// tx makes the transaction that a line tells of.
func (s *script) tx(t *testing.T, line string) []byte {
	t.Helper()
	words := strings.Fields(line)
	args, rest := map[string]string{}, []string{}
	for _, w := range words[1:] {
		if key, value, ok := strings.Cut(w, "="); ok {
			args[key] = value
		} else {
			rest = append(rest, w)
		}
	}
	if words[0] == "send" {
		return s.sent[rest[0]]
	}
	signer := args["by"]
	if args["key"] != "" {
		signer = args["key"]
	}
	until := day(s.date) + 2
	if args["until"] != "" {
		until = day(args["until"])
	}
	m := s.message(t, words[0], args, rest)
	raw := s.sign(t, signer, until, m)
	if args["nonce"] != "" {
		raw = sign(t, signer, record.Nonce([]byte(fmt.Sprintf("%-16s", args["nonce"]))), until, m)
	}
	switch args["damage"] {
	case "signature":
		raw[len(raw)-1] ^= 1
	case "end":
		raw = append(raw, 0)
	case "size":
		raw = append(raw, make([]byte, record.MaxAnchorTxBytes)...)
	case "network":
		raw = foreign(t, signer, until, m)
	}
	if args["as"] != "" {
		s.sent[args["as"]] = raw
	}
	return raw
}

func (s *script) message(t *testing.T, kind string, args map[string]string, rest []string) record.Message {
	t.Helper()
	switch kind {
	case "anchor":
		m := &record.AnchorRecords{Series: record.Code(args["series"]), Custody: record.Code(args["custody"])}
		for _, w := range rest {
			name, date, _ := strings.Cut(w, "@")
			it := record.AnchorItem{Commitment: commitment(name)}
			if date == "" {
				it.Flags = record.FlagUndated
			} else {
				it.Day = day(date)
			}
			s.names[string(it.Commitment[:])] = name
			m.Items = append(m.Items, it)
		}
		return m
	case "supersede":
		return &record.SupersedeRecord{Record: s.index(t, args["record"]), By: s.index(t, args["with"])}
	case "propose":
		return &record.ProposeChange{Fact: s.fact(t, args)}
	case "approve":
		m := &record.ApproveChange{Proposal: s.index(t, args["proposal"])}
		if p, ok, err := ledger.ProposalOf(s.view, m.Proposal); err != nil {
			t.Fatal(err)
		} else if ok && args["fact"] == "" {
			m.FactHash, _ = record.FactHash(p.Fact)
		}
		return m
	case "suspend":
		since, _ := strconv.ParseInt(args["since"], 10, 64)
		return &record.SuspendKey{KeyID: keyID(args["target"]), SinceHeight: since}
	case "leave":
		return &record.LeaveCustody{Set: record.Code(args["set"]), Departure: departure(args["departure"])}
	}
	m := s.holdMessage(t, kind, args, rest)
	if m == nil {
		m = s.scheduleMessage(t, kind, args, rest)
	}
	if m == nil {
		m = s.dispositionMessage(t, kind, args, rest)
	}
	if m == nil {
		t.Fatalf("no transaction is called %q", kind)
	}
	return m
}

func (s *script) fact(t *testing.T, args map[string]string) record.Fact {
	t.Helper()
	status := record.StatusActive
	if args["status"] == "SUSPENDED" {
		status = record.StatusSuspended
	}
	var fact record.Fact
	switch {
	case args["office"] != "":
		o := &record.Office{Code: record.Code(args["office"]), Status: status}
		for name := range strings.SplitSeq(args["roles"], ",") {
			role, err := record.ParseRole(name)
			if err != nil {
				t.Fatal(err)
			}
			o.Roles = append(o.Roles, role)
		}
		fact = o
	case args["register"] != "":
		use := record.UseSigning
		if args["use"] == "ACCESS" {
			use = record.UseAccess
		}
		fact = &record.Key{Office: record.Code(args["of"]), Use: use, PublicKey: publicKey(args["register"]), Status: status}
	case args["series"] != "":
		fact = &record.Series{Code: record.Code(args["series"]), Granularity: record.GranularityDay, Status: status}
	default:
		if fact = s.memberFact(t, args); fact == nil {
			fact = s.scheduleFact(t, args)
		}
		if fact == nil {
			t.Fatalf("no fact in %v", args)
		}
	}
	return fact
}

// index reads an entry index: a number, or the name of a transaction.
func (s *script) index(t *testing.T, word string) record.Index {
	t.Helper()
	name, further, _ := strings.Cut(word, "+")
	if at, ok := s.at[name]; ok {
		n, _ := strconv.Atoi(further)
		return at + record.Index(n)
	}
	i, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		t.Fatalf("read an index: %v", err)
	}
	return record.Index(i)
}

// foreign signs a message for another network.
func foreign(t *testing.T, signer string, until record.Day, m record.Message) []byte {
	t.Helper()
	body, err := record.NewBody(record.Network{1}, record.Nonce{}, until, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(privateKey(signer), body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func resultLine(r ledger.Result) string {
	switch {
	case r.Code == ledger.OK:
		return fmt.Sprintf("%s %d+%d", r.Code, r.TxIndex, r.Count)
	case r.Code == ledger.CodeAlreadyAnchored && r.Bad < 0:
		return fmt.Sprintf("%s at %d", r.Code, r.TxIndex)
	case r.Code == ledger.CodeAlreadyAnchored:
		return fmt.Sprintf("%s item %d, at %d", r.Code, r.Bad, r.TxIndex)
	case r.Bad >= 0:
		return fmt.Sprintf("%s item %d", r.Code, r.Bad)
	}
	return r.Code.String()
}

func (s *script) printHead(out *strings.Builder) {
	h := s.view.Head()
	root := s.view.StateRoot()
	fmt.Fprintf(out, "height %d size %d state %x app %x\n", h.Height, h.Size, root[:4], h.AppHash[:4])
}

func (s *script) printEntries(t *testing.T, out *strings.Builder, c ledger.Changes) {
	t.Helper()
	for i, raw := range c.Entries {
		e, err := record.ParseEntry(raw)
		if err != nil {
			t.Fatalf("entry %d: %v", c.FirstIndex+int64(i), err)
		}
		fmt.Fprintf(out, "  %d %s\n", c.FirstIndex+int64(i), s.entryLine(t, e))
	}
}

func (s *script) entryLine(t *testing.T, e record.Entry) string {
	t.Helper()
	switch e := e.(type) {
	case record.GenesisEntry:
		return fmt.Sprintf("genesis %s %s %s", e.ChainID, e.Origin, moment(e.Time))
	case record.FactEntry:
		f, err := record.ParseFact(e.Fact)
		if err != nil {
			t.Fatal(err)
		}
		return "fact " + s.factLine(f)
	case record.BlockEntry:
		return fmt.Sprintf("block %d %s from %d state %x", e.Height, moment(e.Time), e.First, e.StateRoot[:4])
	case record.TxEntry:
		return fmt.Sprintf("tx by %s until %s count %d body %d bytes", s.keyName(e.KeyID), date(e.NotAfter), e.Count, len(e.Body))
	case record.JumpEntry:
		return fmt.Sprintf("jump %d from %s to %s", e.Height, moment(e.Before), moment(e.After))
	case record.AnchorEntry:
		when := date(e.Day)
		if e.Flags == record.FlagUndated {
			when = "undated"
		}
		if e.Flags == record.FlagBatch {
			return fmt.Sprintf("batch %s %s %q %s %s", e.Office, e.Series, e.Custody, s.names[string(e.Commitment[:])], when)
		}
		return fmt.Sprintf("anchor %s %s %q %s %s", e.Office, e.Series, e.Custody, s.names[string(e.Commitment[:])], when)
	case record.SupersedeEntry:
		return fmt.Sprintf("supersession %s %d by %d", e.Office, e.Record, e.By)
	case record.ProposalEntry:
		return fmt.Sprintf("proposal %s fact %x", e.Office, e.FactHash[:4])
	case record.ApprovalEntry:
		return fmt.Sprintf("approval %s of %d fact %x", e.Office, e.Proposal, e.FactHash[:4])
	case record.SuspensionEntry:
		return fmt.Sprintf("suspension %s of %s since %d", e.Office, s.keyName(e.KeyID), e.SinceHeight)
	}
	line := s.memberEntryLine(e)
	if line == "" {
		line = s.holdEntryLine(e)
	}
	if line == "" {
		line = s.dispositionEntryLine(e)
	}
	if line == "" {
		t.Fatalf("entry of type %T", e)
	}
	return line
}

func (s *script) factLine(f record.Fact) string {
	switch f := f.(type) {
	case *record.Office:
		return fmt.Sprintf("office %s %v %s", f.Code, f.Roles, f.Status)
	case *record.Key:
		return fmt.Sprintf("key %s of %s %s %s", s.keyName(f.ID()), f.Office, f.Use, f.Status)
	case *record.Governance:
		return fmt.Sprintf("governance %s %v threshold %d required %v", f.Subject, f.Offices, f.Threshold, f.Required)
	case *record.Series:
		return fmt.Sprintf("series %s %s %v %s", f.Code, f.Granularity, f.Departments, f.Status)
	case *record.Parameters:
		return fmt.Sprintf("parameters %+v", *f)
	}
	if line := s.memberFactLine(f); line != "" {
		return line
	}
	if line := scheduleFactLine(f); line != "" {
		return line
	}
	return fmt.Sprintf("%T", f)
}

// keyName gives the name of a key that the demonstration city knows.
func (s *script) keyName(id record.KeyID) string {
	for _, office := range []string{"CLERK", "DPW", "IT", "LIBRARY", "AUDIT", "COUNSEL", "PARKS", "PROCURE", "PRA", "ARCHIVE", "CAO", "HEALTH"} {
		for _, suffix := range []string{"", "/access", "/2", "/3"} {
			if keyID(office+suffix) == id {
				return office + suffix
			}
		}
	}
	if keyID("node/custodian") == id {
		return "a custodian"
	}
	for _, node := range networkNames {
		for _, suffix := range []string{"", "/validator", "/cosigner", "/log", "/custodian", "/validator/2", "/cosigner/2", "/log/2"} {
			if keyID(node+suffix) == id {
				return node + suffix
			}
		}
	}
	return fmt.Sprintf("%x", id[:4])
}

func (s *script) show(t *testing.T, out *strings.Builder, what string, args map[string]string) {
	t.Helper()
	var known bool
	var err error
	switch what {
	case "office":
		var o record.Office
		if o, known, err = ledger.OfficeOf(s.view, record.Code(args["code"])); known {
			fmt.Fprintln(out, s.factLine(&o))
		}
	case "key":
		var k ledger.KeyState
		if k, known, err = ledger.KeyOf(s.view, keyID(args["name"])); known {
			fmt.Fprintf(out, "%s, registered %d, suspended %d since %d\n", s.factLine(&k.Key), k.Registered, k.Suspended, k.Since)
		}
	case "proposal":
		var p ledger.Proposal
		if p, known, err = ledger.ProposalOf(s.view, s.index(t, args["at"])); known {
			fmt.Fprintf(out, "by %s on %s: %s; executed %d\n", p.Office, date(p.Day), s.factLine(p.Fact), p.Executed)
			for _, a := range p.Approvals {
				fmt.Fprintf(out, "  %s with %s at height %d\n", a.Office, s.keyName(a.KeyID), a.Height)
			}
		}
	case "record":
		var l ledger.Lifecycle
		if l, known, err = ledger.LifecycleOf(s.view, s.index(t, args["at"])); known {
			printLifecycle(out, l)
		}
	default:
		var mine bool
		if known, mine, err = s.showMembers(t, out, what, args); mine {
			break
		}
		if known, mine, err = s.scheduleShow(t, out, what, args); !mine {
			known, mine, err = s.showDisposition(t, out, what, args)
		}
		if !mine {
			known = s.showHold(t, out, what, args)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if !known {
		fmt.Fprintln(out, "nothing")
	}
}

func moment(unixNanos int64) string { return time.Unix(0, unixNanos).UTC().Format(time.RFC3339Nano) }

func date(d record.Day) string { return time.Unix(int64(d)*86400, 0).UTC().Format(time.DateOnly) }
