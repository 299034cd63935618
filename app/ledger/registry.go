package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/muniment/muniment/app/record"
)

// Registry is what is registered, for listings: every governed fact as it
// stands, rules of drafts, every adopted version of a schedule and of the rules
// among them, and the proposals that can still be approved.
type Registry struct {
	Facts     []record.Fact
	Entries   []record.Index // Entries[i] states Facts[i]
	Proposals []OpenProposal
}

// OpenProposal is a proposal that was not executed and has not expired.
type OpenProposal struct {
	Proposal
	Index   record.Index
	LastDay record.Day // last ledger day on which it can be approved
}

// RegistryOf lists the registry. values lists all state values whose keys start
// with a prefix, ascending; it may be of a later block than v, which gives the
// ledger day.
func RegistryOf(v View, values func(prefix []byte) iter.Seq2[Value, error]) (Registry, error) {
	var r Registry
	for _, prefix := range [...]string{
		keyParameters, prefixOffice, prefixKey, prefixGoverning, prefixCustody, prefixSeries, prefixNode,
		keyWitnesses, prefixRule, prefixActivation, prefixStanding,
	} {
		for value, err := range values([]byte(prefix)) {
			if err != nil {
				return Registry{}, err
			}
			fact, at, err := listedFact(prefix, value)
			if err != nil {
				return Registry{}, err
			}
			if n, isNode := fact.(*record.Node); isNode && !isPresent(n, value.Key) {
				continue
			}
			r.Facts, r.Entries = append(r.Facts, fact), append(r.Entries, at)
		}
	}
	if err := r.addVersions(values); err != nil {
		return Registry{}, err
	}
	if err := r.addAdoptions(v, values); err != nil {
		return Registry{}, err
	}
	var err error
	if r.Proposals, err = openProposals(v, values); err != nil {
		return Registry{}, err
	}
	return r, nil
}

// listedFact reads a listed value: keys as they stand now, the rest as stated.
func listedFact(prefix string, v Value) (record.Fact, record.Index, error) {
	if prefix == prefixKey {
		k, err := parseKey(v)
		return &k.Key, k.Registered, err
	}
	r := open(v.Value, 2)
	at, fact := r.index(), r.fact()
	return fact, at, r.end(v.Key)
}

// isPresent tells whether the value of a node says that it is there: one that has
// left has the fact that made it leave.
func isPresent(n *record.Node, key []byte) bool {
	return !n.Removed && bytes.Equal(key, StateKeyNode(record.KeyIDOf(n.NodeKey[:])))
}

// addVersions lists the versions of the rules after the first.
func (r *Registry) addVersions(values func(prefix []byte) iter.Seq2[Value, error]) error {
	for value, err := range values(StateKeyUpgrade()) {
		if err != nil {
			return err
		}
		list, err := parseVersions(value)
		if err != nil {
			return err
		}
		for _, one := range list {
			r.Facts = append(r.Facts, &record.Upgrade{Version: one.number, Height: one.height})
			r.Entries = append(r.Entries, one.stated)
		}
	}
	return nil
}

// addAdoptions lists the adopted versions of every schedule. Those facts stand
// in the log alone; one that is later than the view is left out.
func (r *Registry) addAdoptions(v View, values func(prefix []byte) iter.Seq2[Value, error]) error {
	for value, err := range values([]byte(prefixSchedule)) {
		if err != nil {
			return err
		}
		schedule, err := parseSchedule(value)
		if err != nil {
			return err
		}
		for _, a := range schedule.Adoptions {
			if int64(a.Adopted) >= v.Head().Size {
				break
			}
			fact, err := adoptionAt(v, a.Adopted)
			if err != nil {
				return err
			}
			r.Facts, r.Entries = append(r.Facts, fact), append(r.Entries, a.Adopted)
		}
	}
	return nil
}

// adoptionAt gives the adoption that entry i states.
func adoptionAt(v View, i record.Index) (*record.Schedule, error) {
	e, err := entryOf(v, i)
	if err != nil {
		return nil, err
	}
	var fact record.Fact
	if stated, isFact := e.(record.FactEntry); isFact {
		if fact, err = record.ParseFact(stated.Fact); err != nil {
			return nil, err
		}
	}
	adoption, adopts := fact.(*record.Schedule)
	if !adopts {
		return nil, fmt.Errorf("read entry %d, which adopts a schedule: it is another: %w", i, errDamaged)
	}
	return adoption, nil
}

func openProposals(v View, values func(prefix []byte) iter.Seq2[Value, error]) ([]OpenProposal, error) {
	parameters, err := ParametersOf(v)
	if err != nil {
		return nil, err
	}
	today := record.LedgerDay(v.Head().Time)
	var list []OpenProposal
	for value, err := range values([]byte(prefixProposal)) {
		if err != nil {
			return nil, err
		}
		p, err := parseProposal(value)
		if err != nil {
			return nil, err
		}
		index, named := bytes.CutPrefix(value.Key, []byte(prefixProposal))
		if !named || len(index) != 8 {
			return nil, fmt.Errorf("read %q: %w", value.Key, errDamaged)
		}
		last := p.Day + record.Day(parameters.ProposalDays)
		if p.Executed == 0 && today <= last {
			list = append(list, OpenProposal{Proposal: p, Index: record.Index(binary.BigEndian.Uint64(index)), LastDay: last})
		}
	}
	return list, nil
}

// KeyByPrefix finds the office's key whose id starts with prefix. Two such keys
// are as likely as a collision of that many bytes of SHA-256; the first counts.
func KeyByPrefix(prefix []byte, values func(prefix []byte) iter.Seq2[Value, error]) (id record.KeyID, ok bool, err error) {
	for value, err := range values(join(prefixKey, prefix)) {
		if err != nil {
			return record.KeyID{}, false, err
		}
		copy(id[:], value.Key[len(prefixKey):])
		return id, true, nil
	}
	return record.KeyID{}, false, nil
}
