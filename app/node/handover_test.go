package node

import (
	"github.com/fxamacker/cbor/v2"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// eraBytes is the value that docs/spec/ledger.md gives an era.
func eraBytes(e ledger.Era) ([]byte, error) {
	nodes := []any{}
	for _, n := range e.Nodes {
		validator := 0
		if n.Validator {
			validator = 1
		}
		nodes = append(nodes, []any{n.NodeKey[:], n.LogKey[:], n.CosignerKey[:], validator})
	}
	witnesses, err := record.MarshalFact(&e.Witnesses)
	if err != nil {
		return nil, err
	}
	return cbor.Marshal([]any{1, e.Number, e.Opened, nodes, witnesses})
}
