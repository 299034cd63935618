package receipt

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Cosignature is a verified cosignature.
type Cosignature struct {
	Name string
	Time int64 // Unix seconds, by the cosigner's clock
}

// Standing is what the signatures of a checkpoint amount to.
type Standing struct {
	Checkpoint    Checkpoint
	Era           int // its number in the file, from 1
	EraClosed     bool
	Grade         string // GradeCity or GradeWitnessed
	LogKeyHash    uint32
	Validators    []Cosignature // ascending by name
	OfValidators  int           // how many validators the era has
	Witnesses     []Cosignature // ascending by name
	OfWitnesses   int
	CityTime      int64 // Unix seconds: the earliest time by which the validators' quorum had cosigned
	WitnessedTime int64 // likewise the witnesses'; 0 below GradeWitnessed
}

// CheckCheckpoint verifies the signatures of a checkpoint against the network.
// In a closed era a tree smaller than the pin needs toPin, the consistency
// proof between the two; otherwise toPin is ignored. An error is a [*Refusal],
// or says that the network is not sound.
func (n Network) CheckCheckpoint(signed []byte, toPin tlog.TreeProof) (Standing, error) {
	c, err := ParseCheckpoint(signed)
	if err != nil {
		return Standing{}, refuse(Malformed, "%v", err)
	}
	s, err := n.checkSignatures(c)
	if err != nil {
		return Standing{}, err
	}
	if err := n.checkEra(s, toPin); err != nil {
		return Standing{}, err
	}
	return s, nil
}

// checkSignatures takes steps 2 to 5 of docs/spec/receipt.md.
func (n Network) checkSignatures(c Checkpoint) (Standing, error) {
	if c.Origin != n.Origin {
		return Standing{}, refuse(UnknownOrigin, "the tree is of %s, the network file of %s", c.Origin, n.Origin)
	}
	members := false
	var bad error
	for i := len(n.Eras) - 1; i >= 0; i-- {
		ev, err := n.Eras[i].evaluator(n.Origin)
		if err != nil {
			return Standing{}, fmt.Errorf("network, era %d: %w", i+1, err)
		}
		stranger := slices.ContainsFunc(c.Signatures, func(s note.Signature) bool {
			_, err := ev.Verifier(s.Name, s.Hash)
			return err != nil
		})
		if stranger {
			continue
		}
		members = true
		if ev.grade(c.Signatures) != "" {
			s, err := n.standing(c, i, ev)
			refusal, refused := errors.AsType[*Refusal](err)
			if !refused || refusal.Reason != BadCosignature {
				return s, err
			}
			// A key is named by four bytes of a hash, and who chooses a later one can
			// have it look like its earlier one. So the earlier one is tried.
			bad = cmp.Or(bad, err)
		}
	}
	if bad != nil {
		return Standing{}, bad
	}
	if !members {
		return Standing{}, refuse(UnknownSigner, "the network file has no era of these signers: %s", names(c.Signatures))
	}
	return Standing{}, refuse(NoQuorum, "too few signed: %s", names(c.Signatures))
}

func names(sigs []note.Signature) string {
	const most = 8
	var list []string
	for _, s := range sigs[:min(len(sigs), most)] {
		list = append(list, fmt.Sprintf("%s (%08x)", s.Name, s.Hash))
	}
	if len(sigs) > most {
		list = append(list, fmt.Sprintf("and %d more", len(sigs)-most))
	}
	return strings.Join(list, ", ")
}

// standing verifies every signature with the keys of an era and reads the times.
func (n Network) standing(c Checkpoint, era int, ev evaluator) (Standing, error) {
	opened, err := note.Open(c.Marshal(), ev)
	if bad, ok := errors.AsType[*note.InvalidSignatureError](err); ok {
		return Standing{}, refuse(BadCosignature, "the signature of %s (%08x) is not good", bad.Name, bad.Hash)
	}
	if err != nil {
		return Standing{}, refuse(Malformed, "checkpoint: %v", err)
	}
	s := Standing{Checkpoint: c, Era: era + 1, EraClosed: n.Eras[era].Closed != nil, Grade: ev.grade(opened.Sigs),
		OfValidators: len(n.Eras[era].Validators), OfWitnesses: len(n.Eras[era].Witnesses)}
	for _, sig := range opened.Sigs {
		if sig.Name == n.Origin {
			s.LogKeyHash = sig.Hash
			continue
		}
		at, err := cosignatureTime(sig)
		if err != nil {
			return Standing{}, err
		}
		cosigned := Cosignature{Name: sig.Name, Time: at}
		if strings.HasPrefix(sig.Name, n.Origin+"/") {
			s.Validators = append(s.Validators, cosigned)
		} else {
			s.Witnesses = append(s.Witnesses, cosigned)
		}
	}
	s.CityTime = quorumTime(s.Validators, cityThreshold(s.OfValidators))
	if s.Grade == GradeWitnessed {
		s.WitnessedTime = quorumTime(s.Witnesses, n.Eras[era].WitnessThreshold)
	}
	return s, nil
}

func cosignatureTime(sig note.Signature) (int64, error) {
	raw, err := base64.StdEncoding.DecodeString(sig.Base64)
	if err != nil || len(raw) < 12 {
		return 0, refuse(BadCosignature, "the cosignature of %s has no time", sig.Name)
	}
	at := binary.BigEndian.Uint64(raw[4:])
	if at < 1 || at > maxUnixSeconds {
		return 0, refuse(BadCosignature, "the time %d of the cosignature of %s is out of range", at, sig.Name)
	}
	return int64(at), nil
}

// quorumTime is the earliest time T such that threshold cosignatures have
// times up to T: the threshold-th smallest. A single clock that is early
// cannot pull it forward; only a quorum can.
func quorumTime(cosigned []Cosignature, threshold int) int64 {
	if threshold < 1 || threshold > len(cosigned) {
		return 0
	}
	times := make([]int64, len(cosigned))
	for i, c := range cosigned {
		times[i] = c.Time
	}
	slices.Sort(times)
	return times[threshold-1]
}

// checkEra takes step 7: what a closed era's keys say holds only below its pin.
func (n Network) checkEra(s Standing, toPin tlog.TreeProof) error {
	pin, c := n.Eras[s.Era-1].Closed, s.Checkpoint
	if pin == nil {
		return nil
	}
	if len(toPin) == 0 {
		toPin = n.proofTo(c.Size, pin.Size)
	}
	switch {
	case c.Size > pin.Size:
		return refuse(EraContradicted, "keys of closed era %d signed a tree of %d entries, its last has %d", s.Era, c.Size, pin.Size)
	case c.Size == pin.Size && c.Root != pin.Root:
		return refuse(EraContradicted, "keys of closed era %d signed another tree than its last", s.Era)
	case c.Size == pin.Size:
		return nil
	case len(toPin) == 0 && c.Size < pin.Size:
		return refuse(KeysRetired, "the keys of era %d are retired; a consistency proof to its last tree is needed", s.Era)
	}
	if len(toPin) > 2*maxProofHashes || tlog.CheckTree(toPin, pin.Size, pin.Root, c.Size, c.Root) != nil {
		return refuse(EraContradicted, "the consistency proof to the last tree of era %d does not hold", s.Era)
	}
	return nil
}
