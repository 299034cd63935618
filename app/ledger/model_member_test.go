package ledger_test

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/muniment/muniment/app/record"
)

// Nodes, witnesses, versions of the rules, custodian sets and misbehavior, from
// docs/spec/members.md.

// modelMember is a node as one fact states it, until another fact does.
type modelMember struct {
	node        *record.Node
	from, until int64 // fact entries; until 0: it is so now
}

// modelEra is an era with its members as the state has them.
type modelEra struct {
	opened  int64
	members []any
	witness []byte
}

type modelVersionOfRules struct{ number, height, at int64 }

// modelEvidence is what a block shows of a validator.
type modelEvidence struct {
	address [20]byte
	height  int64
}

func modelAddress(public [32]byte) [20]byte {
	sum := sha256.Sum256(public[:])
	return [20]byte(sum[:])
}

func modelKeysOf(n *record.Node) [][32]byte {
	return [][32]byte{n.NodeKey, n.ValidatorKey, n.CosignerKey, n.LogKey, n.CustodianKey}
}

func modelID(public [32]byte) record.KeyID { return record.KeyIDOf(public[:]) }

// nodes lists those that are there, ascending by the id of their node key.
func (m *model) nodes() []*record.Node {
	var list []*record.Node
	for _, one := range m.members {
		if one.until == 0 {
			list = append(list, one.node)
		}
	}
	slices.SortFunc(list, func(a, b *record.Node) int {
		x, y := modelID(a.NodeKey), modelID(b.NodeKey)
		return bytes.Compare(x[:], y[:])
	})
	return list
}

func (m *model) node(id record.KeyID) *record.Node {
	for _, n := range m.nodes() {
		if modelID(n.NodeKey) == id {
			return n
		}
	}
	return nil
}

// stateNode takes the fact of a node as stated.
func (m *model) stateNode(f *record.Node, at int64) {
	id := modelID(f.NodeKey)
	for i, one := range m.members {
		if own := modelID(one.node.NodeKey); one.until == 0 && (own == id || own == f.Replaces) {
			m.members[i].until = at
			m.facts["node/"+string(own[:])] = modelFact{at, f}
		}
	}
	m.facts["node/"+string(id[:])] = modelFact{at, f}
	if !f.Removed {
		m.members = append(m.members, modelMember{node: f, from: at})
	}
}

// used tells whether a key is an office's, or a node has it or had it, or a witness.
func (m *model) used(public [32]byte) bool {
	if _, office := m.keys[modelID(public)]; office {
		return true
	}
	for _, one := range m.members {
		if slices.Contains(modelKeysOf(one.node), public) {
			return true
		}
	}
	return slices.ContainsFunc(m.witnesses().Witnesses, func(w record.Witness) bool { return w.PublicKey == public })
}

func (m *model) witnesses() *record.Witnesses {
	if f, ok := m.facts["witnesses"]; ok {
		return f.fact.(*record.Witnesses)
	}
	return &record.Witnesses{}
}

// unfitNode says why a node cannot come, change or leave so: "" if it can.
func (m *model) unfitNode(f *record.Node) string {
	was := m.node(modelID(f.NodeKey))
	if f.Removed {
		if was == nil {
			return "UNKNOWN_NODE"
		}
		if !slices.Equal(modelKeysOf(was), modelKeysOf(f)) {
			return "BAD_FACT"
		}
	} else if was != nil {
		if f.Replaces != (record.KeyID{}) {
			return "KEY_REGISTERED"
		}
		if slices.Equal(modelKeysOf(was), modelKeysOf(f)) && was.Power == f.Power {
			return "NO_CHANGE"
		}
	} else if f.Replaces != (record.KeyID{}) {
		if was = m.node(f.Replaces); was == nil {
			return "UNKNOWN_NODE"
		}
	}
	old := make([][32]byte, 5)
	if was != nil {
		old = modelKeysOf(was)
	}
	for use, public := range modelKeysOf(f) {
		if public != ([32]byte{}) && public != old[use] && m.used(public) {
			return "KEY_REGISTERED"
		}
	}
	if keeper := old[4]; keeper != ([32]byte{}) && (f.Removed || f.CustodianKey != keeper) {
		for _, fact := range m.facts {
			if set, ok := fact.fact.(*record.CustodianSet); ok && slices.Contains(set.Custodians, modelID(keeper)) {
				return "CUSTODIAN_STAYS"
			}
		}
	}
	if was == nil && len(m.nodes()) == 64 {
		return "TOO_MANY_MEMBERS"
	}
	return ""
}

// validators gives their power by key.
func modelValidators(nodes []*record.Node) map[[32]byte]int64 {
	all := map[[32]byte]int64{}
	for _, n := range nodes {
		if n.Power != 0 {
			all[n.ValidatorKey] = int64(n.Power)
		}
	}
	return all
}

// atRisk tells whether a node's fact would leave too few validators of which it
// is known that they run.
func (m *model) atRisk(fact record.Fact) bool {
	f, ok := fact.(*record.Node)
	if !ok {
		return false
	}
	then := slices.DeleteFunc(m.nodes(), func(n *record.Node) bool {
		return n.NodeKey == f.NodeKey || modelID(n.NodeKey) == f.Replaces
	})
	if !f.Removed {
		then = append(then, f)
	}
	before, after := modelValidators(m.nodes()), modelValidators(then)
	if maps.Equal(before, after) {
		return false
	}
	live, all := int64(0), int64(0)
	for public, power := range after {
		all += power
		if before[public] > 0 && (m.live == nil || m.live[modelAddress(public)]) {
			live += power
		}
	}
	return live*3 <= all*2
}

func (m *model) unfitWitnesses(f *record.Witnesses) string {
	now := m.witnesses()
	if now.Threshold == f.Threshold && slices.Equal(now.Witnesses, f.Witnesses) {
		return "NO_CHANGE"
	}
	for _, w := range f.Witnesses {
		known := slices.ContainsFunc(now.Witnesses, func(x record.Witness) bool { return x.PublicKey == w.PublicKey })
		if !known && m.used(w.PublicKey) {
			return "KEY_REGISTERED"
		}
	}
	return ""
}

func (m *model) unfitUpgrade(f *record.Upgrade, height int64) string {
	decided, inForce := m.upgrades, m.upgrades
	for len(inForce) > 0 && inForce[len(inForce)-1].height > height {
		inForce = inForce[:len(inForce)-1]
	}
	if n := int64(len(inForce)); int64(f.Version) == n+1 {
		return "NO_CHANGE"
	}
	for _, v := range decided[len(inForce):] {
		switch {
		case int64(f.Version) == v.number && f.Height == v.height:
			return "NO_CHANGE"
		case int64(f.Version) != v.number, v.height < height+10:
			return "UPGRADE_PENDING"
		}
	}
	switch {
	case int64(f.Version) != int64(len(inForce))+2:
		return "BAD_FACT"
	case f.Height < height+10:
		return "BAD_HEIGHT"
	}
	return ""
}

func (m *model) custodianSet(code record.Code) record.CustodianSet {
	if f, ok := m.facts["custody/"+string(code)]; ok {
		return *f.fact.(*record.CustodianSet)
	}
	return record.CustodianSet{}
}

func (m *model) unfitSet(f *record.CustodianSet) string {
	now := m.custodianSet(f.Code)
	if modelFactHashOrNone(&now) == modelFactHash(f) {
		return "NO_CHANGE"
	}
	for _, id := range f.Lost {
		if !slices.Contains(slices.Concat(now.Custodians, now.Lost), id) {
			return "UNKNOWN_CUSTODIAN"
		}
	}
	for _, id := range f.Custodians {
		keeper := slices.ContainsFunc(m.nodes(), func(n *record.Node) bool {
			return n.CustodianKey != [32]byte{} && modelID(n.CustodianKey) == id
		})
		if !keeper && !slices.Contains(now.Custodians, id) {
			return "UNKNOWN_CUSTODIAN"
		}
	}
	for _, id := range now.Custodians {
		stays := slices.Contains(slices.Concat(f.Custodians, f.Lost), id)
		if !stays && (m.departed[string(f.Code)+"/"+string(id[:])] == 0 || m.owes(id)) {
			return "CUSTODIAN_STAYS"
		}
	}
	return ""
}

// modelFactHashOrNone gives the hash of a set that may not be there.
func modelFactHashOrNone(set *record.CustodianSet) [32]byte {
	if set.Code == "" {
		return [32]byte{}
	}
	return modelFactHash(set)
}

// owes tells whether a custodian has a report to give.
func (m *model) owes(id record.KeyID) bool {
	for _, d := range m.dispositions {
		if d.status == modelLocked && slices.ContainsFunc(d.reports, func(r modelReport) bool { return r.custodian == id && r.at == 0 }) {
			return true
		}
	}
	return false
}

// stateMember takes a fact of this page as stated; false: it is of another one.
func (m *model) stateMember(f record.Fact, at int64) bool {
	switch f := f.(type) {
	case *record.Node:
		m.stateNode(f, at)
	case *record.Witnesses:
		m.facts["witnesses"] = modelFact{at, f}
	case *record.Upgrade:
		m.upgrades = append(m.upgrades[:int64(f.Version)-2], modelVersionOfRules{int64(f.Version), f.Height, at})
	case *record.CustodianSet:
		now := m.custodianSet(f.Code)
		m.newSets = m.newSets || now.Code == "" && len(m.eras) > 0
		for _, id := range f.Custodians {
			name := string(f.Code) + "/" + string(id[:])
			if _, left := m.departed[name]; left && !slices.Contains(now.Custodians, id) {
				m.departed[name] = 0
			}
		}
		m.facts["custody/"+string(f.Code)] = modelFact{at, f}
	default:
		return false
	}
	m.openEra(at)
	return true
}

// openEra opens an era if its members are others than those of the last one. The
// first is opened when the genesis is over.
func (m *model) openEra(at int64) {
	if len(m.eras) == 0 {
		return
	}
	last, next := m.eras[len(m.eras)-1], m.era(at)
	if bytes.Equal(modelCBOR(last.members), modelCBOR(next.members)) && bytes.Equal(last.witness, next.witness) {
		return
	}
	if last.opened >= m.blockStart {
		next.opened = last.opened
		m.eras = m.eras[:len(m.eras)-1]
	}
	m.eras = append(slices.Clone(m.eras), next)
}

func (m *model) era(at int64) modelEra {
	e := modelEra{opened: at, members: []any{}}
	for _, n := range m.nodes() {
		e.members = append(e.members, []any{n.NodeKey[:], n.LogKey[:], n.CosignerKey[:], modelFlag(n.Power > 0)})
	}
	e.witness, _ = record.MarshalFact(m.witnesses())
	return e
}

// memberValues adds its part to the state.
func (m *model) memberValues(all map[string][]byte) {
	ids := []any{}
	for _, n := range m.nodes() {
		id := modelID(n.NodeKey)
		ids = append(ids, slices.Clone(id[:]))
	}
	all["nodes"] = modelCBOR([]any{int64(1), modelSorted(ids)})
	for _, one := range m.members { // a key that several facts state goes with the last
		for use, public := range modelKeysOf(one.node) {
			has := slices.ContainsFunc(m.nodes(), func(n *record.Node) bool { return slices.Contains(modelKeysOf(n), public) })
			if has || public == [32]byte{} {
				continue
			}
			id, address := modelID(public), modelAddress(public)
			all["retired/"+string(id[:])] = modelCBOR([]any{int64(1), one.until, public[:]})
			if use == 1 {
				all["address/"+string(address[:])] = modelCBOR([]any{int64(1), id[:]})
			}
		}
	}
	genesis := int64(slices.IndexFunc(m.log, func(e record.Entry) bool { return e.Kind() == record.KindBlock }))
	for _, one := range slices.Backward(m.members) { // the first that had a key registered it
		if id := modelID(one.node.CustodianKey); one.node.CustodianKey != [32]byte{} {
			all["custodian/"+string(id[:])] = modelCBOR([]any{int64(1), one.from})
		}
	}
	for _, one := range m.members {
		if id := modelID(one.node.CustodianKey); genesis < 0 || one.from < genesis {
			delete(all, "custodian/"+string(id[:]))
		}
	}
	if len(m.eras) > 1 {
		for i, e := range m.eras {
			all["era/"+modelIndex(int64(i+1))] = modelCBOR([]any{int64(1), int64(i + 1), e.opened, e.members, e.witness})
		}
		all["eras"] = modelCBOR([]any{int64(1), int64(len(m.eras))})
	}
	if len(m.upgrades) > 0 {
		list := []any{}
		for _, v := range m.upgrades {
			list = append(list, []any{v.number, v.height, v.at})
		}
		all["upgrade"] = modelCBOR([]any{int64(1), list})
	}
	for name, at := range m.departed {
		all["departed/"+name] = modelCBOR([]any{int64(1), at})
	}
	if m.newSets {
		var codes []record.Code
		for _, f := range m.facts {
			if set, ok := f.fact.(*record.CustodianSet); ok {
				codes = append(codes, set.Code)
			}
		}
		slices.Sort(codes)
		all["custodies"] = modelCBOR([]any{int64(1), modelTexts(codes)})
	}
}

func (m *model) leave(msg *record.LeaveCustody, by modelSigner) (modelNo, func()) {
	if !by.custodian || !slices.Contains(m.custodianSet(msg.Set).Custodians, by.key) {
		return modelNot("UNKNOWN_CUSTODY"), nil
	}
	name := string(msg.Set) + "/" + string(by.key[:])
	if m.departed[name] != 0 {
		return modelNot("NO_CHANGE"), nil
	}
	if m.owes(by.key) {
		return modelNot("CUSTODIAN_STAYS"), nil
	}
	return modelNo{}, func() {
		m.departed[name] = m.write(record.DepartureEntry{Custodian: by.key, Set: msg.Set, Departure: msg.Departure})
	}
}

// misbehave writes what the block shows of validators that some fact has named.
func (m *model) misbehave() {
	written := 0
	for _, e := range m.evidence {
		for _, one := range m.members {
			if modelAddress(one.node.ValidatorKey) == e.address && written < 64 {
				m.write(record.MisbehaviorEntry{Validator: modelID(one.node.ValidatorKey), Height: e.height})
				written++
				break
			}
		}
	}
}
