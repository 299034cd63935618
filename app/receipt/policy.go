package receipt

import (
	"bytes"
	"fmt"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Grades of a checkpoint.
const (
	GradeCity      = "city"      // more than two thirds of the validators cosigned
	GradeWitnessed = "witnessed" // and a quorum of the witnesses outside
)

// cityThreshold is more than two thirds of the validators.
func cityThreshold(validators int) int { return 2*validators/3 + 1 }

func (w Witness) vkey() VKey { return CosignerVKey(w.Name, w.Key) }

// CosignerKey gives the verifier key of the validator's cosigner.
func (v Validator) CosignerKey(origin string) VKey {
	return CosignerVKey(CosignerName(origin, v.NodeID), v.Cosigner)
}

// keys lists every key of the era.
func (e Era) keys(origin string) []VKey {
	var all []VKey
	for _, l := range e.Logs {
		all = append(all, LogVKey(origin, l))
	}
	for _, v := range e.Validators {
		all = append(all, v.CosignerKey(origin))
	}
	for _, w := range e.Witnesses {
		all = append(all, w.vkey())
	}
	return all
}

// policy writes the C2SP tlog-policy of the era with the given logs.
func (e Era) policy(origin string, logs [][32]byte, quorum string) []byte {
	var b bytes.Buffer
	for _, l := range sorted(logs, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		fmt.Fprintf(&b, "log %s\n", LogVKey(origin, l))
	}
	var validators, witnesses strings.Builder
	for _, v := range sorted(e.Validators, func(a, b Validator) int { return strings.Compare(a.NodeID, b.NodeID) }) {
		fmt.Fprintf(&b, "witness %s %s\n", ServerName(v.NodeID), v.CosignerKey(origin))
		fmt.Fprintf(&validators, " %s", ServerName(v.NodeID))
	}
	for _, w := range sorted(e.Witnesses, func(a, b Witness) int { return strings.Compare(a.Label, b.Label) }) {
		fmt.Fprintf(&b, "witness %s %s\n", w.Label, w.vkey())
		fmt.Fprintf(&witnesses, " %s", w.Label)
	}
	fmt.Fprintf(&b, "group city %d%s\n", cityThreshold(len(e.Validators)), &validators)
	if len(e.Witnesses) > 0 {
		fmt.Fprintf(&b, "group witnesses %d%s\ngroup witnessed all city witnesses\n", e.WitnessThreshold, &witnesses)
	}
	fmt.Fprintf(&b, "quorum %s\n", quorum)
	return b.Bytes()
}

// PolicyFor gives the C2SP tlog-policy text of the newest era with a log key
// of this hash, with that log's line alone: for tools that want every listed
// log to sign. It is nil if no era has the key.
func (n Network) PolicyFor(logKeyHash uint32) []byte {
	for i := len(n.Eras) - 1; i >= 0; i-- {
		for _, l := range n.Eras[i].Logs {
			if LogVKey(n.Origin, l).Hash() == logKeyHash {
				return n.Eras[i].policy(n.Origin, [][32]byte{l}, GradeCity)
			}
		}
	}
	return nil
}

// evaluator judges the signatures of one era.
type evaluator struct {
	origin          string
	city, witnessed torchwood.Policy // witnessed is nil without witnesses
}

// evaluator builds the policies: the groups of the era's text, and any one of
// its logs. (ParsePolicy alone would want every log to sign.)
func (e Era) evaluator(origin string) (evaluator, error) {
	var logs []torchwood.Policy
	for _, l := range e.Logs {
		v, err := note.NewVerifier(LogVKey(origin, l).String())
		if err != nil {
			return evaluator{}, fmt.Errorf("log key: %w", err)
		}
		logs = append(logs, torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(v)))
	}
	if len(logs) == 0 {
		return evaluator{}, fmt.Errorf("era without logs: %w", ErrMalformed)
	}
	build := func(quorum string) (torchwood.Policy, error) {
		groups, err := torchwood.ParsePolicy(e.policy(origin, nil, quorum))
		if err != nil {
			return nil, fmt.Errorf("policy: %w", err)
		}
		return torchwood.ThresholdPolicy(2, groups, torchwood.ThresholdPolicy(1, logs...)), nil
	}
	ev := evaluator{origin: origin}
	var err error
	if ev.city, err = build(GradeCity); err == nil && len(e.Witnesses) > 0 {
		ev.witnessed, err = build(GradeWitnessed)
	}
	return ev, err
}

// Verifier finds the key of any member of the era.
func (ev evaluator) Verifier(name string, hash uint32) (note.Verifier, error) {
	if ev.witnessed != nil {
		return ev.witnessed.Verifier(name, hash)
	}
	return ev.city.Verifier(name, hash)
}

// grade tells the grade that verified signatures reach, "" if none.
func (ev evaluator) grade(sigs []note.Signature) string {
	if ev.witnessed != nil && ev.witnessed.Check(ev.origin, sigs) == nil {
		return GradeWitnessed
	}
	if ev.city.Check(ev.origin, sigs) == nil {
		return GradeCity
	}
	return ""
}
