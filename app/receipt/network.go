package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/muniment/muniment/app/record"
)

// Limits of the network file.
const (
	maxNodes            = 64
	maxEras             = 1000
	maxWitnesses        = 32
	maxOriginBytes      = 200
	maxCertificateBytes = 2048
)

// Network is a network file: whom to believe about one ledger. Build it and
// Marshal it to write a file; take it from [ParseNetwork] to rely on it.
type Network struct {
	ID      record.Network // SHA-256 of genesis.json
	ChainID string
	Origin  string
	Nodes   []Node
	Eras    []Era // oldest first; the last one is open

	proofs []Consistency // no part of the file; see WithProofs
}

// Node is how to reach a node and how to know it.
type Node struct {
	ID          string // see [NodeID]
	Address     string // host:port of the gRPC listener
	Certificate []byte // DER, self-signed, Ed25519, DNS name node-ID
}

// Era is a set of keys and, once closed, the last tree they answer for.
type Era struct {
	Logs             [][32]byte // Ed25519 log keys of the nodes
	Validators       []Validator
	Witnesses        []Witness
	WitnessThreshold int  // how many witnesses make a quorum; 0 without witnesses
	Closed           *Pin // nil: open
}

// Validator is a validator's cosigner.
type Validator struct {
	NodeID   string
	Cosigner [32]byte
}

// Witness is a cosigner outside the network.
type Witness struct {
	Label string // its name within the file
	Name  string // its name in signatures
	Key   [32]byte
}

// Pin is the last tree of a closed era.
type Pin struct {
	Size int64
	Root record.Hash
}

// Marshal writes the file; its lists are put into the order of the format.
// Only [ParseNetwork] tells whether the result is sound.
func (n Network) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "muniment/network/v1\nnetwork %x\nchain %s\norigin %s\n", n.ID, n.ChainID, n.Origin)
	for _, node := range sorted(n.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) }) {
		fmt.Fprintf(&b, "node %s %s %s\n", node.ID, node.Address, base64.StdEncoding.EncodeToString(node.Certificate))
	}
	for i, era := range n.Eras {
		fmt.Fprintf(&b, "era %d\n%s", i+1, era.policy(n.Origin, era.Logs, "city"))
		if era.Closed != nil {
			fmt.Fprintf(&b, "closed %d %s\n", era.Closed.Size, era.Closed.Root)
		}
	}
	return b.Bytes()
}

// Fingerprint is the SHA-256 of the file: what is compared out of band.
func (n Network) Fingerprint() [32]byte { return sha256.Sum256(n.Marshal()) }

func sorted[T any](list []T, compare func(a, b T) int) []T {
	list = slices.Clone(list)
	slices.SortFunc(list, compare)
	return list
}

// check finds what the form of the lines does not show.
func (n Network) check() error {
	chainByte := func(b byte) bool {
		return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '_' || b == '-'
	}
	if len(n.ChainID) < 1 || len(n.ChainID) > 50 || !consistsOf(n.ChainID, chainByte) {
		return fmt.Errorf("chain id %.60q: %w", n.ChainID, ErrMalformed)
	}
	if !validName(n.Origin) || len(n.Origin) > maxOriginBytes {
		return fmt.Errorf("origin %.210q: %w", n.Origin, ErrMalformed)
	}
	if len(n.Nodes) < 1 || len(n.Nodes) > maxNodes || len(n.Eras) < 1 || len(n.Eras) > maxEras {
		return fmt.Errorf("%d nodes and %d eras: %w: 1 to %d and 1 to %d", len(n.Nodes), len(n.Eras), ErrMalformed, maxNodes, maxEras)
	}
	for i, node := range n.Nodes {
		if i > 0 && n.Nodes[i-1].ID >= node.ID {
			return fmt.Errorf("node %s: %w: nodes do not ascend", node.ID, ErrMalformed)
		}
		if err := node.check(); err != nil {
			return fmt.Errorf("node %.80q: %w", node.ID, err)
		}
	}
	last := len(n.Eras) - 1
	for i, era := range n.Eras {
		if err := era.check(n.Origin); err != nil {
			return fmt.Errorf("era %d: %w", i+1, err)
		}
		if (era.Closed == nil) != (i == last) {
			return fmt.Errorf("era %d: %w: all but the last era are closed", i+1, ErrMalformed)
		}
		if pin := era.Closed; pin != nil {
			if pin.Size < 1 || pin.Size > MaxTreeSize || i > 0 && n.Eras[i-1].Closed.Size > pin.Size {
				return fmt.Errorf("era %d: %w: size of the pin", i+1, ErrMalformed)
			}
		}
	}
	return nil
}

func (n Node) check() error {
	if !validNodeID(n.ID) || !validAddress(n.Address) || len(n.Certificate) > maxCertificateBytes {
		return fmt.Errorf("id, address or certificate: %w", ErrMalformed)
	}
	c, err := x509.ParseCertificate(n.Certificate)
	if err != nil {
		return fmt.Errorf("certificate: %w: %w", ErrMalformed, err)
	}
	public, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok || NodeID(public) != n.ID || !slices.Equal(c.DNSNames, []string{ServerName(n.ID)}) {
		return fmt.Errorf("certificate is not of this node: %w", ErrMalformed)
	}
	if c.SignatureAlgorithm != x509.PureEd25519 || !ed25519.Verify(public, c.RawTBSCertificate, c.Signature) {
		return fmt.Errorf("certificate is not signed by itself: %w", ErrMalformed)
	}
	return nil
}

func validNodeID(id string) bool {
	raw, err := hex.DecodeString(id)
	return err == nil && len(raw) == nodeIDBytes && hex.EncodeToString(raw) == id
}

// validAddress accepts host:port with a decimal port, one spelling each.
func validAddress(address string) bool {
	at := strings.LastIndexByte(address, ':')
	if at < 0 {
		return false
	}
	host, port := address[:at], address[at+1:]
	if p, err := strconv.ParseUint(port, 10, 16); err != nil || p == 0 || strconv.FormatUint(p, 10) != port {
		return false
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		return closed && err == nil && ip.Is6() && ip.Zone() == "" && ip.String() == inner
	}
	return len(host) >= 1 && len(host) <= 253 && consistsOf(host, func(b byte) bool {
		return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '-'
	})
}

func (e Era) check(origin string) error {
	if len(e.Logs) < 1 || len(e.Logs) > maxNodes || len(e.Validators) < 1 || len(e.Validators) > maxNodes || len(e.Witnesses) > maxWitnesses {
		return fmt.Errorf("%d logs, %d validators, %d witnesses: %w", len(e.Logs), len(e.Validators), len(e.Witnesses), ErrMalformed)
	}
	if e.WitnessThreshold > len(e.Witnesses) || (e.WitnessThreshold < 1) != (len(e.Witnesses) == 0) {
		return fmt.Errorf("threshold of witnesses: %w", ErrMalformed)
	}
	for i, w := range e.Witnesses {
		if !validLabel(w.Label) || i > 0 && e.Witnesses[i-1].Label >= w.Label {
			return fmt.Errorf("witness label %.50q: %w", w.Label, ErrMalformed)
		}
		if !validWitnessName(origin, w.Name) {
			return fmt.Errorf("witness %s: name %.210q: %w", w.Label, w.Name, ErrMalformed)
		}
	}
	for i, v := range e.Validators {
		if !validNodeID(v.NodeID) || i > 0 && e.Validators[i-1].NodeID >= v.NodeID {
			return fmt.Errorf("validator %.60q: %w: malformed or out of order", v.NodeID, ErrMalformed)
		}
	}
	type signer struct {
		name string
		hash uint32
	}
	publics, signers := make(map[[32]byte]bool), make(map[signer]bool)
	for _, k := range e.keys(origin) {
		s := signer{k.Name, k.Hash()}
		if publics[k.Public] || signers[s] {
			return fmt.Errorf("key of %s: %w: it occurs twice", k.Name, ErrMalformed)
		}
		publics[k.Public], signers[s] = true, true
	}
	return nil
}

// CanName tells whether a file of the network can hold a witness of a name. The
// ledger cannot: it has the SHA-256 of the name alone.
func (n Network) CanName(witness string) bool { return validWitnessName(n.Origin, witness) }

func validWitnessName(origin, name string) bool {
	return validName(name) && len(name) <= maxOriginBytes && name != origin && !strings.HasPrefix(name, origin+"/")
}

func validLabel(s string) bool {
	reserved := s == "city" || s == "witnesses" || s == "witnessed" || s == "none" || strings.HasPrefix(s, "node-")
	return len(s) >= 1 && len(s) <= maxLabelBytes && !reserved && s[0] >= 'a' && s[0] <= 'z' &&
		consistsOf(s, func(b byte) bool { return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '.' })
}
