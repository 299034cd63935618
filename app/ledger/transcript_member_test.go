package ledger_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// The network in transcripts. "genesis network" founds the demonstration city
// with the validators node, n1, n2 and n3, whose keys are NAME, NAME/validator,
// NAME/cosigner, NAME/log and NAME/custodian; one office that governs a subject
// decides alone.
//
//	block live=NAME,...  misbehavior=NAME,...   whose validators signed the last commit (or none), and are shown by evidence
//
//	propose node=NAME [power=N] [validator=KEY] [cosigner=KEY] [log=KEY] [custodian=KEY|none] [removed=yes] [replaces=NAME]
//	propose witnesses=CODE[@KEY],... threshold=N      propose upgrade=VERSION height=H
//	propose custody=CODE custodians=NAME,... [lost=NAME,...]
//	leave set=CODE departure=D
//
//	validators, era [number=N], upgrade height=H, retired key=KEY, departure set=CODE of=NAME    show the state
//
// A fact of a node starts from what is registered; else from keys of its name.

var networkNames = []string{"node", "other", "n1", "n2", "n3", "n4", "n5"}

// networkFacts is the demonstration city with four validators.
func networkFacts() ledger.GenesisFacts {
	facts := demoFacts()
	for _, f := range facts.Facts {
		if g, ok := f.(*record.Governance); ok {
			g.Threshold, g.Required = 1, nil
		}
	}
	facts.Facts = append(facts.Facts, nodeNamed("n1", 10), nodeNamed("n2", 10), nodeNamed("n3", 10))
	return facts
}

// words splits a list; an empty one and "none" are empty.
func words(list string) []string {
	if list == "" || list == "none" {
		return nil
	}
	return strings.Split(list, ",")
}

// network notes what the next block shows of the validators.
func (s *script) network(args map[string]string) {
	if _, told := args["live"]; told {
		var live [][20]byte
		for _, name := range words(args["live"]) {
			live = append(live, modelAddress(publicKey(name)), modelAddress(publicKey(name+"/validator")))
		}
		s.live = func(address [20]byte) bool { return slices.Contains(live, address) }
	}
	for i, name := range words(args["misbehavior"]) {
		s.evidence = append(s.evidence, ledger.Misbehavior{Validator: modelAddress(publicKey(name)), Height: int64(i + 1)})
	}
}

func custodianIDs(list string) []record.KeyID {
	var ids []record.KeyID
	for _, name := range words(list) {
		ids = append(ids, keyID(name+"/custodian"))
	}
	slices.SortFunc(ids, func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

func (s *script) memberFact(t *testing.T, args map[string]string) record.Fact {
	t.Helper()
	switch {
	case args["node"] != "":
		return s.nodeFact(t, args)
	case args["witnesses"] != "":
		f := &record.Witnesses{Threshold: count(t, args["threshold"])}
		for _, word := range words(args["witnesses"]) {
			code, key, named := strings.Cut(word, "@")
			if !named {
				key = code
			}
			f.Witnesses = append(f.Witnesses, record.Witness{Code: record.Code(code), PublicKey: publicKey(key), NameHash: commitment(code)})
		}
		return f
	case args["upgrade"] != "":
		return &record.Upgrade{Version: count(t, args["upgrade"]), Height: int64(count(t, args["height"]))}
	case args["custody"] != "":
		return &record.CustodianSet{Code: record.Code(args["custody"]), Custodians: custodianIDs(args["custodians"]), Lost: custodianIDs(args["lost"])}
	}
	return nil
}

func (s *script) nodeFact(t *testing.T, args map[string]string) record.Fact {
	t.Helper()
	n, known, err := ledger.NodeOf(s.view, keyID(args["node"]))
	if err != nil {
		t.Fatal(err)
	}
	if !known {
		n = *nodeNamed(args["node"], 10)
	}
	n.Replaces = record.KeyID{}
	for use, key := range map[string]*[32]byte{
		"validator": &n.ValidatorKey, "cosigner": &n.CosignerKey, "log": &n.LogKey, "custodian": &n.CustodianKey,
	} {
		switch name := args[use]; name {
		case "":
		case "none":
			*key = [32]byte{}
		default:
			*key = publicKey(name)
		}
	}
	if args["power"] != "" {
		n.Power = count(t, args["power"])
	}
	if args["removed"] == "yes" {
		n.Removed, n.Power = true, 0
	}
	if args["replaces"] != "" {
		n.Replaces = keyID(args["replaces"])
	}
	return &n
}

// memberFactLine prints the facts of this page.
func (s *script) memberFactLine(f record.Fact) string {
	switch f := f.(type) {
	case *record.CustodianSet:
		line := fmt.Sprintf("custodians %s of %d", f.Code, len(f.Custodians))
		if len(f.Lost) > 0 {
			line += fmt.Sprintf(", %d lost", len(f.Lost))
		}
		return line
	case *record.Node:
		line := fmt.Sprintf("node %s power %d", s.keyName(record.KeyIDOf(f.NodeKey[:])), f.Power)
		if f.Removed {
			line += " removed"
		}
		if f.Replaces != (record.KeyID{}) {
			line += " replaces " + s.keyName(f.Replaces)
		}
		return line
	case *record.Witnesses:
		var codes []record.Code
		for _, w := range f.Witnesses {
			codes = append(codes, w.Code)
		}
		return fmt.Sprintf("witnesses %v threshold %d", codes, f.Threshold)
	case *record.Upgrade:
		return fmt.Sprintf("upgrade to %d at height %d", f.Version, f.Height)
	}
	return ""
}

func (s *script) memberEntryLine(e record.Entry) string {
	switch e := e.(type) {
	case record.DepartureEntry:
		return fmt.Sprintf("departure of %s from %s %s", s.keyName(e.Custodian), e.Set, e.Departure)
	case record.MisbehaviorEntry:
		return fmt.Sprintf("misbehavior of %s at height %d", s.keyName(e.Validator), e.Height)
	}
	return ""
}

func departure(name string) record.Departure {
	if name == record.DepartureDestroyed.String() {
		return record.DepartureDestroyed
	}
	return record.DepartureHandedOver
}

// showMembers prints what a command of this page asks for; mine tells whether it does.
func (s *script) showMembers(t *testing.T, out *strings.Builder, what string, args map[string]string) (known, mine bool, err error) {
	t.Helper()
	switch what {
	case "validators":
		list, err := ledger.Validators(s.view)
		for _, v := range list {
			fmt.Fprintf(out, "%s %d\n", s.keyName(record.KeyIDOf(v.PublicKey[:])), v.Power)
		}
		return true, true, err
	case "era":
		e, err := ledger.EraOf(s.view)
		if args["number"] != "" {
			e, err = ledger.EraNumbered(s.view, int64(count(t, args["number"])))
		}
		fmt.Fprintf(out, "era %d opened by %d, %s\n", e.Number, e.Opened, s.memberFactLine(&e.Witnesses))
		for _, n := range e.Nodes {
			fmt.Fprintf(out, "  %s log %s cosigner %s validator %t\n", s.keyName(modelID(n.NodeKey)), s.keyName(modelID(n.LogKey)), s.keyName(modelID(n.CosignerKey)), n.Validator)
		}
		return true, true, err
	case "upgrade":
		at, err := ledger.VersionAt(s.view, int64(count(t, args["height"])))
		fmt.Fprintf(out, "version %d", at)
		number, height, pending, err2 := ledger.NextVersion(s.view)
		if pending {
			fmt.Fprintf(out, ", then %d at height %d", number, height)
		}
		fmt.Fprintln(out)
		if err == nil {
			err = err2
		}
		return true, true, err
	case "retired":
		at, known, err := ledger.RetiredBy(s.view, keyID(args["key"]))
		if known {
			fmt.Fprintf(out, "by %d\n", at)
		}
		return known, true, err
	case "departure":
		at, known, err := ledger.DepartureOf(s.view, record.Code(args["set"]), keyID(args["of"]+"/custodian"))
		if known {
			fmt.Fprintf(out, "at %d\n", at)
		}
		return known, true, err
	}
	return false, false, nil
}
