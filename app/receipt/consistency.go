package receipt

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// Limits of consistency files.
const (
	MaxConsistencyBytes = 4 << 20
	maxConsistencies    = 512
	consistencyTitle    = "muniment/consistency/v1"
)

// Consistency proves that the tree of one size is the beginning of that of
// another (RFC 6962 section 2.1.2).
type Consistency struct {
	From, To int64 // entries
	Proof    tlog.TreeProof

	from record.Hash // root of the tree of From entries, where a proof is wanted
}

// compare orders proofs by From, then To.
func (c Consistency) compare(d Consistency) int {
	return cmp.Or(cmp.Compare(c.From, d.From), cmp.Compare(c.To, d.To))
}

// WithProofs gives the network with consistency proofs: trees of closed eras
// that are smaller than the pin are held good by those that lead to it. Nothing
// is verified until such a tree is judged.
func (n Network) WithProofs(proofs ...Consistency) Network {
	n.proofs = append(append([]Consistency{}, n.proofs...), proofs...)
	return n
}

// proofTo gives the proof from a size to a pin, nil where there is none.
func (n Network) proofTo(from, pin int64) tlog.TreeProof {
	for _, p := range n.proofs {
		if p.From == from && p.To == pin {
			return p.Proof
		}
	}
	return nil
}

// ProofsWanted lists the consistency proofs without which trees in a file are of
// a closed era and prove nothing. The file is a receipt, or anything that holds
// checkpoints as text: bundles, proofs of holds, certificates, the checkpoint of a
// mirror. Their Proof is nil.
func (n Network) ProofsWanted(file []byte) (wanted []Consistency) {
	begin := []byte("\n\n" + n.Origin + "\n")
	after, found := bytes.CutPrefix(file, begin[2:]) // the checkpoint of a mirror
	if !found {
		_, after, found = bytes.Cut(file, begin)
	}
	for ; found; _, after, found = bytes.Cut(after, begin) {
		body, rest, found := bytes.Cut(after[:min(len(after), maxCheckpointBytes)], []byte("\n\n"))
		if !found {
			continue
		}
		signed := append([]byte(n.Origin+"\n"), body...)
		signed = append(signed, "\n\n"...)
		for line := range bytes.Lines(rest) {
			if !bytes.HasPrefix(line, []byte("— ")) {
				break
			}
			signed = append(signed, line...)
		}
		p, ok := n.proofWanted(signed)
		if ok && !slices.ContainsFunc(wanted, func(q Consistency) bool { return q.compare(p) == 0 }) {
			wanted = append(wanted, p)
		}
	}
	return sorted(wanted, Consistency.compare)
}

// proofWanted gives the proof that a checkpoint lacks.
func (n Network) proofWanted(signed []byte) (Consistency, bool) {
	c, err := ParseCheckpoint(signed)
	if err != nil {
		return Consistency{}, false
	}
	s, err := n.checkSignatures(c)
	if err != nil {
		return Consistency{}, false
	}
	refusal, ok := errors.AsType[*Refusal](n.checkEra(s, nil))
	if !ok || refusal.Reason != KeysRetired {
		return Consistency{}, false
	}
	return Consistency{From: c.Size, To: n.Eras[s.Era-1].Closed.Size, from: c.Root}, true
}

// CheckProof verifies a proof that was wanted, with its Proof filled in.
func (n Network) CheckProof(p Consistency) error {
	i := slices.IndexFunc(n.Eras, func(e Era) bool { return e.Closed != nil && e.Closed.Size == p.To })
	if i < 0 || len(p.Proof) > 2*maxProofHashes || tlog.CheckTree(p.Proof, p.To, n.Eras[i].Closed.Root, p.From, p.from) != nil {
		return refuse(EraContradicted, "the consistency proof from %d to %d entries does not hold", p.From, p.To)
	}
	return nil
}

// MarshalConsistency writes a consistency file (docs/spec/receipt.md).
func MarshalConsistency(origin string, proofs []Consistency) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\norigin %s\n", consistencyTitle, origin)
	for _, p := range sorted(proofs, Consistency.compare) {
		fmt.Fprintf(&b, "proof %d %d\n", p.From, p.To)
		for _, h := range p.Proof {
			fmt.Fprintf(&b, "%s\n", h)
		}
	}
	return b.Bytes()
}

// ParseConsistency reads the one spelling of a consistency file.
func ParseConsistency(text []byte) (origin string, proofs []Consistency, err error) {
	if len(text) > MaxConsistencyBytes {
		return "", nil, fmt.Errorf("consistency file of %d bytes: %w", len(text), ErrTooLarge)
	}
	malformed := fmt.Errorf("consistency file: %w", ErrMalformed)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) < 3 || lines[0] != consistencyTitle {
		return "", nil, malformed
	}
	origin = strings.TrimPrefix(lines[1], "origin ")
	if !validName(origin) || len(origin) > maxOriginBytes {
		return "", nil, malformed
	}
	for _, line := range lines[2:] {
		if sizes, begins := strings.CutPrefix(line, "proof "); begins {
			from, to, _ := strings.Cut(sizes, " ")
			p := Consistency{From: sizeOf(from), To: sizeOf(to)}
			last := len(proofs) - 1
			if p.From < 1 || p.To <= p.From || len(proofs) == maxConsistencies || last >= 0 && proofs[last].compare(p) >= 0 {
				return "", nil, malformed
			}
			proofs = append(proofs, p)
			continue
		}
		h, err := tlog.ParseHash(line)
		if err != nil || len(proofs) == 0 || len(proofs[len(proofs)-1].Proof) == 2*maxProofHashes {
			return "", nil, malformed
		}
		last := &proofs[len(proofs)-1]
		last.Proof = append(last.Proof, h)
	}
	if !bytes.Equal(MarshalConsistency(origin, proofs), text) {
		return "", nil, fmt.Errorf("consistency file is not canonical: %w", ErrMalformed)
	}
	return origin, proofs, nil
}

// sizeOf reads the size of a tree, 0 where it is none.
func sizeOf(text string) int64 {
	v, err := strconv.ParseInt(text, 10, 54)
	if err != nil || v < 1 || v > MaxTreeSize {
		return 0
	}
	return v
}
