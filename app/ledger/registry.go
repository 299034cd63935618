package ledger

import (
	"bytes"
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

// RegistryOf lists the registry. values lists all state values whose keys start
// with a prefix, ascending; it may be of a later block than v, which gives the
// ledger day.
func RegistryOf(v View, values func(prefix []byte) iter.Seq2[Value, error]) (Registry, error) {
	var r Registry
	for _, prefix := range []string{keyParameters, prefixOffice, prefixKey, prefixGoverning, prefixCustody, prefixSeries, prefixNode} {
		for value, err := range values([]byte(prefix)) {
			if err != nil {
				return Registry{}, err
			}
			fact, err := listedFact(prefix, value)
			if err != nil {
				return Registry{}, err
			}
			r.Facts = append(r.Facts, fact)
		}
	}
	var err error
	if r.Proposals, err = openProposals(v, values); err != nil {
		return Registry{}, err
	}
	return r, nil
}

// listedFact reads a listed value: keys as they stand now, the rest as stated.
func listedFact(prefix string, v Value) (record.Fact, error) {
	if prefix == prefixKey {
		k, err := parseKey(v)
		return &k.Key, err
	}
	r := open(v.Value, 2)
	r.number()
	fact := r.fact()
	return fact, r.end(v.Key)
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
