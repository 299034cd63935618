package rpc

import (
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// residual tells what was decided about a record. The ledger keeps it for ever,
// also when nothing of the content is left.
func residual(view ledger.View, resp *apiv1.RecordResponse, index record.Index, life ledger.Lifecycle) error {
	if life.Disposition != 0 {
		d, _, err := ledger.DispositionOf(view, life.Disposition)
		if err != nil {
			return err
		}
		if resp.Disposition, err = dispositionInfo(view, life.Disposition, d); err != nil {
			return err
		}
	}
	decisions, err := ledger.DecisionsOn(view, index)
	if err != nil {
		return err
	}
	for _, d := range decisions {
		resp.Decisions = append(resp.Decisions, &apiv1.DecisionInfo{
			Entry: uint64(d.Entry), Erased: d.Erased, Redaction: d.Redaction[:], Office: string(d.Office), Day: int32(d.Day),
		})
	}
	return nil
}
