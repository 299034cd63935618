package ledger

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/muniment/muniment/app/record"
)

// Registry is what is registered, for listings: every governed fact as it
// stands, and the proposals that can still be approved.
type Registry struct {
	Facts     []record.Fact
	Proposals []OpenProposal
}

// OpenProposal is a proposal that was not executed and has not expired.
type OpenProposal struct {
	Proposal
	Index   record.Index
	LastDay record.Day // last ledger day on which it can be approved
}

// RegistryOf lists the registry. The machine reads single values through v;
// values lists all state values whose keys start with a prefix, ascending. The
// listing may be of a later block than v.
func RegistryOf(v View, values func(prefix []byte) iter.Seq2[Value, error]) (Registry, error) {
	var r Registry
	for _, prefix := range []string{keyParameters, prefixOffice, prefixKey, prefixGoverning, prefixCustody, prefixSeries, prefixNode} {
		for value, err := range values([]byte(prefix)) {
			if err != nil {
				return Registry{}, err
			}
			fact, err := listedFact(v, prefix, value)
			if err != nil {
				return Registry{}, err
			}
			r.Facts = append(r.Facts, fact)
		}
	}
	var err error
	r.Proposals, err = openProposals(v, values)
	return r, err
}

// listedFact reads a listed value: keys as they stand now, the rest as stated.
func listedFact(v View, prefix string, value Value) (record.Fact, error) {
	if prefix == prefixKey {
		var id record.KeyID
		copy(id[:], value.Key[len(prefixKey):])
		key, ok, err := KeyOf(v, id)
		if err != nil || !ok {
			return nil, fmt.Errorf("read key %x: %w", id, orDamaged(err))
		}
		return &key.Key, nil
	}
	r := open(value.Value, 2)
	r.number()
	fact := r.fact()
	return fact, r.end(value.Key)
}

func orDamaged(err error) error {
	if err != nil {
		return err
	}
	return errDamaged
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
		index := record.Index(binary.BigEndian.Uint64(value.Key[len(prefixProposal):]))
		p, ok, err := ProposalOf(v, index)
		if err != nil {
			return nil, err
		}
		last := p.Day + record.Day(parameters.ProposalDays)
		if ok && p.Executed == 0 && today <= last {
			list = append(list, OpenProposal{Proposal: p, Index: index, LastDay: last})
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
