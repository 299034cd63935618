package main

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/muniment/muniment/app/record"
)

// exampleFounding is what `munimentd init --example` prints.
//
//go:embed founding.toml
var exampleFounding []byte

// founding is what a city decides before its network starts: the document that
// `munimentd init --founding` reads. founding.toml explains each setting.
type founding struct {
	ChainID string `toml:"chain_id"`
	Origin  string `toml:"origin"`
	Address string `toml:"address"`

	Offices    []foundingOffice     `toml:"office"`
	Governance []foundingGovernance `toml:"governance"`
	Series     []foundingSeries     `toml:"series"`
	Custody    string               `toml:"custody"`
}

type foundingOffice struct {
	Code    record.Code `toml:"code"`
	Roles   []string    `toml:"roles"`
	Signing []string    `toml:"signing"`
	Access  []string    `toml:"access"`
}

type foundingGovernance struct {
	Subject   string        `toml:"subject"`
	Offices   []record.Code `toml:"offices"`
	Threshold uint32        `toml:"threshold"`
	Required  []record.Code `toml:"required"`
}

type foundingSeries struct {
	Code        record.Code   `toml:"code"`
	Granularity string        `toml:"granularity"`
	Departments []record.Code `toml:"departments"`
}

// parseFounding reads the document; a setting that it does not know is refused.
func parseFounding(text []byte) (founding, error) {
	var f founding
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f)
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var names []string
		for _, e := range missing.Errors {
			line, _ := e.Position()
			names = append(names, fmt.Sprintf("%s in line %d", strings.Join(e.Key(), "."), line))
		}
		return founding{}, fmt.Errorf("there is no such setting: %s", strings.Join(names, ", "))
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := bad.Position()
		return founding{}, fmt.Errorf("line %d: %w", line, bad)
	}
	return f, err
}

// checkAddress wants the address of the one node that init makes.
func (f founding) checkAddress() error {
	if _, port, err := net.SplitHostPort(f.Address); err != nil || port == "" {
		return fmt.Errorf("address %q: use host:port", f.Address)
	}
	return nil
}

// facts gives the governed facts that the network starts with, all but the
// nodes. The custodians are those of the nodes that keep content.
func (f founding) facts(custodians ...record.KeyID) ([]record.Fact, error) {
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range f.Offices {
		office, keys, err := o.facts()
		if err != nil {
			return nil, fmt.Errorf("office %s: %w", o.Code, err)
		}
		facts = append(append(facts, office), keys...)
	}
	for _, g := range f.Governance {
		fact, err := g.fact()
		if err != nil {
			return nil, fmt.Errorf("governance of %s: %w", g.Subject, err)
		}
		facts = append(facts, fact)
	}
	if f.Custody != "" {
		slices.SortFunc(custodians, func(a, b record.KeyID) int { return bytes.Compare(a[:], b[:]) })
		facts = append(facts, &record.CustodianSet{Code: record.Code(f.Custody), Custodians: custodians})
	}
	for _, s := range f.Series {
		granularity, ok := granularities[s.Granularity]
		if !ok {
			return nil, fmt.Errorf("series %s: granularity %q: use DAY, MONTH or YEAR", s.Code, s.Granularity)
		}
		facts = append(facts, &record.Series{Code: s.Code, Granularity: granularity, Departments: sorted(s.Departments), Status: record.StatusActive})
	}
	return facts, nil
}

var granularities = map[string]record.Granularity{
	"DAY": record.GranularityDay, "MONTH": record.GranularityMonth, "YEAR": record.GranularityYear,
}

func (o foundingOffice) facts() (*record.Office, []record.Fact, error) {
	office := &record.Office{Code: o.Code, Status: record.StatusActive}
	for _, name := range o.Roles {
		role, err := record.ParseRole(name)
		if err != nil {
			return nil, nil, err
		}
		if slices.Contains(office.Roles, role) {
			return nil, nil, fmt.Errorf("role %s is there twice", role)
		}
		office.Roles = append(office.Roles, role)
	}
	slices.Sort(office.Roles)
	var keys []record.Fact
	for _, use := range []struct {
		use  record.KeyUse
		keys []string
	}{{record.UseSigning, o.Signing}, {record.UseAccess, o.Access}} {
		for _, text := range use.keys {
			key := &record.Key{Office: o.Code, Use: use.use, Status: record.StatusActive}
			raw, err := hex.DecodeString(text)
			if err != nil || len(raw) != len(key.PublicKey) {
				return nil, nil, fmt.Errorf("%s key %q: use the 64 hex digits that `muniment key new` prints", use.use, text)
			}
			copy(key.PublicKey[:], raw)
			keys = append(keys, key)
		}
	}
	return office, keys, nil
}

func (g foundingGovernance) fact() (*record.Governance, error) {
	fact := &record.Governance{Offices: sorted(g.Offices), Threshold: g.Threshold, Required: sorted(g.Required)}
	switch g.Subject {
	case "RECORDS":
		fact.Subject = record.SubjectRecords
	case "SECURITY":
		fact.Subject = record.SubjectSecurity
	default:
		return nil, fmt.Errorf("subject %q: use RECORDS or SECURITY", g.Subject)
	}
	if fact.Threshold == 0 { // more than half, at least two where there are two
		fact.Threshold = uint32(len(g.Offices)/2 + 1)
	}
	if int(fact.Threshold) > len(g.Offices) {
		return nil, fmt.Errorf("%d of its %d offices cannot decide: name offices, and a threshold that they can reach", fact.Threshold, len(g.Offices))
	}
	for _, office := range g.Required {
		if !slices.Contains(g.Offices, office) {
			return nil, fmt.Errorf("office %s is required, and not among the offices that decide", office)
		}
	}
	return fact, nil
}

func sorted(codes []record.Code) []record.Code {
	codes = slices.Clone(codes)
	slices.Sort(codes)
	return codes
}
