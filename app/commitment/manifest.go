package commitment

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrManifest: the bytes are not a manifest as Marshal writes it.
var ErrManifest = errors.New("malformed manifest")

const (
	manifestVersion   = 1
	manifestAlgorithm = "mun1-sha256" // versions the scheme
)

// Manifest is all that a commitment binds: the number of leaves, the profile by
// which the content was cut, and the root of the leaf tree.
type Manifest struct {
	N       uint32
	Profile Profile
	Root    [32]byte
}

// Marshal encodes the manifest as DAG-CBOR:
// {n: uint, v: 1, alg: "mun1-sha256", seg: text, root: link to a raw block}.
func (m Manifest) Marshal() []byte {
	b := appendHead(make([]byte, 0, 96), cborMap, 5)
	b = appendHead(appendText(b, "n"), cborUint, uint64(m.N))
	b = appendHead(appendText(b, "v"), cborUint, manifestVersion)
	b = appendText(appendText(b, "alg"), manifestAlgorithm)
	b = appendText(appendText(b, "seg"), string(m.Profile))
	return appendLink(appendText(b, "root"), cid{codecRaw, m.Root})
}

// ParseManifest reads what Marshal wrote; every other encoding is ErrManifest.
func ParseManifest(b []byte) (Manifest, error) {
	r := cborReader{rest: b}
	if n := r.count(cborMap, 5); r.err == nil && n != 5 {
		r.fail("map of %d", n)
	}
	var m Manifest
	r.key("n")
	m.N = uint32(r.uint(MaxLeaves))
	r.key("v")
	version := r.uint(manifestVersion)
	r.key("alg")
	algorithm := r.text()
	r.key("seg")
	m.Profile = Profile(r.text())
	r.key("root")
	m.Root = r.link(codecRaw).digest
	if err := r.end(); err != nil {
		return Manifest{}, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if version != manifestVersion || algorithm != manifestAlgorithm {
		return Manifest{}, fmt.Errorf("%w: version %d of %.32q", ErrManifest, version, algorithm)
	}
	if m.N == 0 || !m.Profile.Valid() {
		return Manifest{}, fmt.Errorf("%w: %d leaves, profile %.64q", ErrManifest, m.N, m.Profile)
	}
	if !bytes.Equal(m.Marshal(), b) {
		return Manifest{}, fmt.Errorf("%w: not canonical", ErrManifest)
	}
	return m, nil
}

// Commitment returns the SHA-256 of the encoded manifest.
func (m Manifest) Commitment() Commitment { return sha256.Sum256(m.Marshal()) }

// Binds reports whether these are the leaf hashes that the manifest commits to.
func (m Manifest) Binds(leaves [][32]byte) bool {
	return m.N > 0 && uint64(m.N) == uint64(len(leaves)) && treeRoot(leaves) == m.Root
}
