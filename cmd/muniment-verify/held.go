package main

import "github.com/muniment/muniment/app/receipt"

// inspectHeld verifies a proof of holds (docs/spec/held.md).
func inspectHeld(n receipt.Network, data []byte) (report, error) {
	v, err := receipt.VerifyHeld(n, data)
	if err != nil {
		return report{}, err
	}
	return report{Outcome: v.Outcome, Reasons: v.Reasons, Detail: v.Detail, Receipts: v.Receipts, Held: v.Held}, nil
}

// inspectLawful verifies a legality file with the proof of holds behind it
// (docs/spec/legality.md).
func inspectLawful(n receipt.Network, data []byte) (report, error) {
	v, _, err := receipt.VerifyLawful(n, data)
	if err != nil {
		return report{}, err
	}
	return report{Outcome: v.Outcome, Reasons: v.Reasons, Detail: v.Detail, Receipts: []receipt.Verdict{v}}, nil
}
