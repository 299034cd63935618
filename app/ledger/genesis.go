package ledger

import (
	"fmt"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// GenesisFacts is what a network starts from. The facts become entries in this order.
type GenesisFacts struct {
	Network record.Network // SHA-256 of the bytes of genesis.json
	ChainID string         // printable ASCII, 1 to 50 bytes
	Origin  string         // printable ASCII without space or plus, 1 to 200 bytes
	Time    int64          // genesis time, Unix nanoseconds
	Facts   []record.Fact
}

// Genesis gives the changes of height 0. It refuses facts that do not fit
// together, with a sentence that says which.
func Genesis(g GenesisFacts) (Changes, error) {
	const day = 24 * 3600 * 1e9
	if g.Time < day {
		return Changes{}, fmt.Errorf("genesis: time %d is not after 1970-01-01", g.Time)
	}
	s, err := sortFacts(g.Facts)
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Changes{}, fmt.Errorf("genesis: %w", err)
	}
	d := newDraft(Blank(), 0)
	d.head = Head{Time: g.Time, Network: g.Network, ChainID: g.ChainID, Origin: g.Origin}
	if err := d.add(record.GenesisEntry{Network: g.Network, ChainID: g.ChainID, Origin: g.Origin, Time: g.Time}); err != nil {
		return Changes{}, fmt.Errorf("genesis: %w", err)
	}
	for _, f := range g.Facts {
		if err := d.state(f); err != nil {
			return Changes{}, fmt.Errorf("genesis: %w", err)
		}
	}
	code, err := lockout(d, nil)
	if err != nil {
		return Changes{}, fmt.Errorf("genesis: %w", err)
	}
	if code != OK {
		return Changes{}, fmt.Errorf("genesis: the offices that govern %s have too few active signing keys to decide anything", record.SubjectSecurity)
	}
	return d.close(0, g.Time)
}

// state appends the entry of a genesis fact and sets its values.
func (d *draft) state(f record.Fact) error {
	fact, err := record.MarshalFact(f)
	if err != nil {
		return err
	}
	at := record.Index(d.head.Size)
	if err := d.add(record.FactEntry{Fact: fact}); err != nil {
		return err
	}
	var key []byte
	switch f := f.(type) {
	case *record.Parameters:
		key = StateKeyParameters()
	case *record.Office:
		key = StateKeyOffice(f.Code)
	case *record.Key:
		return d.stateKey(f, at)
	case *record.Governance:
		key = StateKeyGovernance(f.Subject)
	case *record.CustodianSet:
		key = StateKeyCustodianSet(f.Code)
	case *record.Series:
		key = StateKeySeries(f.Code)
	case *record.Node:
		id := record.KeyIDOf(f.NodeKey[:])
		key = StateKeyNode(id)
		ids, err := keyIDsOf(d, StateKeyNodes())
		if err != nil {
			return err
		}
		d.set([]Value{{StateKeyNodes(), keyIDsValue(withKeyID(ids, id))}})
	}
	d.set([]Value{{key, factValue(at, fact)}})
	return nil
}

func (d *draft) stateKey(f *record.Key, at record.Index) error {
	values, err := keyValues(KeyState{Key: *f, Registered: at})
	if err != nil {
		return err
	}
	d.set(values)
	if f.Use != record.UseSigning {
		return nil
	}
	ids, err := SigningKeysOf(d, f.Office)
	if err != nil {
		return err
	}
	d.set([]Value{{StateKeySigning(f.Office), keyIDsValue(withKeyID(ids, f.ID()))}})
	return nil
}

// sorted genesis facts, by kind.
type genesisFacts struct {
	parameters []*record.Parameters
	offices    []*record.Office
	keys       []*record.Key
	governance []*record.Governance
	sets       []*record.CustodianSet
	series     []*record.Series
	nodes      []*record.Node
}

func sortFacts(facts []record.Fact) (genesisFacts, error) {
	var s genesisFacts
	for i, f := range facts {
		if f == nil {
			return s, fmt.Errorf("fact %d is missing", i)
		}
		if _, err := record.MarshalFact(f); err != nil {
			return s, fmt.Errorf("fact %d: %w", i, err)
		}
		if why := faultOf(f); why != "" {
			return s, fmt.Errorf("fact %d: %s", i, why)
		}
		switch f := f.(type) {
		case *record.Parameters:
			s.parameters = append(s.parameters, f)
		case *record.Office:
			s.offices = append(s.offices, f)
		case *record.Key:
			s.keys = append(s.keys, f)
		case *record.Governance:
			s.governance = append(s.governance, f)
		case *record.CustodianSet:
			s.sets = append(s.sets, f)
		case *record.Series:
			s.series = append(s.series, f)
		case *record.Node:
			s.nodes = append(s.nodes, f)
		default:
			return s, fmt.Errorf("fact %d: schedules, activations and authorizations are decided by the offices, as are witnesses and upgrades, not stated at genesis", i)
		}
	}
	return s, nil
}

// check holds the facts against each other.
func (s genesisFacts) check() error {
	if len(s.parameters) != 1 {
		return fmt.Errorf("%d facts state the parameters, not one", len(s.parameters))
	}
	for _, check := range []func() error{s.checkOffices, s.checkKeys, s.checkGovernance, s.checkSets, s.checkSeries} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s genesisFacts) checkOffices() error {
	var seen []record.Code
	for _, o := range s.offices {
		if slices.Contains(seen, o.Code) {
			return fmt.Errorf("office %s is listed twice", o.Code)
		}
		seen = append(seen, o.Code)
	}
	return nil
}

func (s genesisFacts) office(code record.Code) *record.Office {
	i := slices.IndexFunc(s.offices, func(o *record.Office) bool { return o.Code == code })
	if i < 0 {
		return nil
	}
	return s.offices[i]
}

// checkKeys wants the office of each key, each key of offices and nodes once, and a validator.
func (s genesisFacts) checkKeys() error {
	seen := map[[32]byte]bool{}
	for _, k := range s.keys {
		if s.office(k.Office) == nil {
			return fmt.Errorf("key %x is of office %s, which is not listed", k.ID(), k.Office)
		}
		if k.Status != record.StatusActive {
			return fmt.Errorf("key %x of office %s is not active", k.ID(), k.Office)
		}
		if seen[k.PublicKey] {
			return fmt.Errorf("key %x of office %s is listed twice", k.ID(), k.Office)
		}
		seen[k.PublicKey] = true
	}
	validators := 0
	if len(s.nodes) > maxNodes {
		return fmt.Errorf("%d nodes are listed, at most %d can be", len(s.nodes), maxNodes)
	}
	for i, n := range s.nodes {
		if n.Removed || n.Replaces != (record.KeyID{}) {
			return fmt.Errorf("node %d leaves or replaces another, which no node does at genesis", i)
		}
		for _, public := range nodeKeys(n) {
			if seen[public] {
				return fmt.Errorf("node %d has key %x, which is listed before", i, record.KeyIDOf(public[:]))
			}
			seen[public] = true
		}
		if n.Power > 0 { // then it is at least 10
			validators++
		}
	}
	if validators == 0 {
		return fmt.Errorf("none of %d nodes is a validator with a power of 10 or more", len(s.nodes))
	}
	return nil
}

func (s genesisFacts) checkGovernance() error {
	for _, subject := range []record.Subject{record.SubjectRecords, record.SubjectSecurity} {
		count := 0
		for _, g := range s.governance {
			if g.Subject == subject {
				count++
			}
		}
		if count != 1 {
			return fmt.Errorf("%d facts say who governs %s, not one", count, subject)
		}
	}
	for _, g := range s.governance {
		if int(g.Threshold) < len(g.Required) {
			return fmt.Errorf("%s needs %d approvals, but %d offices are required", g.Subject, g.Threshold, len(g.Required))
		}
		for _, code := range g.Offices {
			if s.office(code) == nil {
				return fmt.Errorf("%s is governed by office %s, which is not listed", g.Subject, code)
			}
		}
	}
	return nil
}

func (s genesisFacts) checkSets() error {
	var seen []record.Code
	for _, set := range s.sets {
		if slices.Contains(seen, set.Code) {
			return fmt.Errorf("custodian set %s is listed twice", set.Code)
		}
		seen = append(seen, set.Code)
		if len(set.Lost) > 0 {
			return fmt.Errorf("custodian set %s has lost a custodian before it was", set.Code)
		}
		for _, id := range set.Custodians {
			if !slices.ContainsFunc(s.nodes, func(n *record.Node) bool {
				return n.CustodianKey != [32]byte{} && record.KeyIDOf(n.CustodianKey[:]) == id
			}) {
				return fmt.Errorf("custodian %x of set %s is the custodian key of no node", id, set.Code)
			}
		}
	}
	return nil
}

func (s genesisFacts) checkSeries() error {
	var seen []record.Code
	for _, series := range s.series {
		if slices.Contains(seen, series.Code) {
			return fmt.Errorf("series %s is listed twice", series.Code)
		}
		seen = append(seen, series.Code)
		if series.Status == record.StatusActive && !series.Code.Demonstration() {
			return fmt.Errorf("series %s is active without a schedule, which only a series whose code starts with DEMO- may be", series.Code)
		}
		for _, code := range series.Departments {
			if o := s.office(code); o == nil || !slices.Contains(o.Roles, record.RoleDepartment) {
				return fmt.Errorf("series %s is for office %s, which is not listed as a %s", series.Code, code, record.RoleDepartment)
			}
		}
	}
	return nil
}
