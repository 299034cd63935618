package ledger

import "github.com/muniment/muniment/app/record"

// HoldOn is a hold that covers a record.
type HoldOn struct {
	Hold     record.Index
	Office   record.Code     // that placed it
	Kind     record.HoldKind // as stated
	Since    record.Index    // entry by which it came to cover the record
	Released record.Index    // release entry; 0: it stands
	By       record.Code     // office that released it
}

// holdReader finds the holds on records, and remembers what it read.
type holdReader struct{ view View }

func newHoldReader(v View) *holdReader { return &holdReader{view: v} }

// on gives the holds on the record that entry i anchored, ascending, released ones too.
func (h *holdReader) on(i record.Index, anchor record.AnchorEntry, l Lifecycle) ([]HoldOn, error) {
	return nil, nil
}

func (a *act) placeHold(m *record.PlaceHold) (Code, error)       { return CodeUnsupportedChange, nil }
func (a *act) extendHold(m *record.ExtendHold) (Code, error)     { return CodeUnsupportedChange, nil }
func (a *act) resolveIssue(m *record.ResolveIssue) (Code, error) { return CodeUnsupportedChange, nil }
func (a *act) releaseHold(m *record.ReleaseHold) (Code, error)   { return CodeUnsupportedChange, nil }
