package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// registry is what a node says is registered. It serves to make sensible
// transactions and to show; the ledger judges by what is really registered.
type registry struct {
	facts     []record.Fact
	proposals []proposal
}

// proposal is an open one. Its hash is computed here from the fact, so that an
// approval binds what was shown.
type proposal struct {
	index      record.Index
	fact       record.Fact
	hash       [32]byte
	office     string
	approvedBy []string
	lastDay    record.Day
}

func (s *session) registry(ctx context.Context) (registry, error) {
	client, err := s.auditors(ctx)
	if err != nil {
		return registry{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := client.Registry(ctx, &apiv1.RegistryRequest{})
	if err != nil {
		return registry{}, remote(err)
	}
	return parseRegistry(response)
}

func parseRegistry(response *apiv1.RegistryResponse) (registry, error) {
	var r registry
	for i, raw := range response.Facts {
		fact, err := record.ParseFact(raw)
		if err != nil {
			return registry{}, fmt.Errorf("registry: fact %d: %w", i, err)
		}
		r.facts = append(r.facts, fact)
	}
	for i, open := range response.Proposals {
		p := proposal{index: record.Index(open.Index), office: open.Office, approvedBy: open.ApprovedBy, lastDay: record.Day(open.LastDay)}
		var err error
		if p.fact, err = record.ParseFact(open.Fact); err == nil {
			p.hash, err = record.FactHash(p.fact)
		}
		if err != nil {
			return registry{}, fmt.Errorf("registry: proposal %d: %w", i, err)
		}
		r.proposals = append(r.proposals, p)
	}
	return r, nil
}

// facts ranges over the registered facts of one kind.
func facts[T record.Fact](r registry) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, fact := range r.facts {
			if f, ok := fact.(T); ok && !yield(f) {
				return
			}
		}
	}
}

// custody gives the custodian set that was named, or the only one there is.
func (r registry) custody(wanted record.Code) (record.Code, error) {
	var sets []record.Code
	for _, fact := range r.facts {
		if set, ok := fact.(*record.CustodianSet); ok {
			if set.Code == wanted {
				return wanted, nil
			}
			sets = append(sets, set.Code)
		}
	}
	switch {
	case wanted != "":
		return "", failed(exitRefused, "UNKNOWN_CUSTODY", fmt.Sprintf("registered are: %v", sets), "custodian set %s is not registered", wanted)
	case len(sets) == 0:
		return "", failed(exitRefused, "UNKNOWN_CUSTODY", "ask a governing office", "the network has no custodian set")
	case len(sets) > 1:
		return "", failed(exitUsage, "WHICH_CUSTODY", fmt.Sprintf("give --custody with one of %v", sets), "there are %d custodian sets", len(sets))
	}
	return sets[0], nil
}
