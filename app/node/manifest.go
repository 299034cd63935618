package node

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/muniment/muniment/app/record"
)

// ErrManifest is returned for a manifest of a backup that is damaged, or that
// another program wrote.
var ErrManifest = errors.New("manifest of the backup is malformed")

const (
	manifestName  = "manifest.mun"
	manifestTitle = "muniment backup v1"
	maxManifest   = 64 << 20 // bytes: some 500,000 files
)

// The parts of a home that a backup holds, in the order in which they are put
// back. Rings, keys, what was signed last and the consensus log never are.
var backupParts = []string{"genesis.json", "network.mun", "munimentd.toml", "eras", "ledger", "access-log", "vault"}

// Manifest says what a backup holds. It is written last.
type Manifest struct {
	Network   [32]byte
	Node      string        // id: 40 hex digits
	Custodian *record.KeyID // nil: the node keeps no content
	Taken     time.Time     // by the node's clock, in seconds
	Entries   int64         // of the log
	Records   uint64        // in the vault
	Files     []ManifestFile
}

// ManifestFile is one file of a backup.
type ManifestFile struct {
	Path   string // below the backup's folder, with slashes
	Size   int64
	SHA256 [32]byte
}

// part gives the part of the home that the file belongs to.
func (f ManifestFile) part() string {
	part, _, _ := strings.Cut(f.Path, "/")
	return part
}

// Bytes gives the size of all files.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// sort puts the files into the order in which the manifest lists them.
func (m *Manifest) sort() {
	slices.SortFunc(m.Files, func(a, b ManifestFile) int { return strings.Compare(a.Path, b.Path) })
}

// custodian gives the custodian's key id as the manifest spells it.
func (m Manifest) custodian() string {
	if m.Custodian == nil {
		return "none"
	}
	return hex.EncodeToString(m.Custodian[:])
}

// Marshal writes the manifest: lines, and the SHA-256 of them in the last one.
//
//	muniment backup v1
//	network HEX
//	node HEX
//	custodian HEX
//	taken 2026-11-22T14:00:00Z
//	entries 1234
//	records 1100
//	file HEX 4096 ledger/000012.sst
//	sum HEX
func (m Manifest) Marshal() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nnetwork %x\nnode %s\ncustodian %s\ntaken %s\nentries %d\nrecords %d\n",
		manifestTitle, m.Network, m.Node, m.custodian(), m.Taken.UTC().Format(time.RFC3339), m.Entries, m.Records)
	for _, f := range m.Files {
		fmt.Fprintf(&b, "file %x %d %s\n", f.SHA256, f.Size, f.Path)
	}
	fmt.Fprintf(&b, "sum %x\n", sha256.Sum256(b.Bytes()))
	return b.Bytes()
}

// ParseManifest reads what Marshal wrote, and nothing else.
func ParseManifest(text []byte) (Manifest, error) {
	if len(text) > maxManifest {
		return Manifest{}, fmt.Errorf("%w: %d bytes, at most %d", ErrManifest, len(text), maxManifest)
	}
	lines := strings.Split(string(text), "\n")
	if lines[0] != manifestTitle {
		return Manifest{}, fmt.Errorf("%w: it does not begin with %q", ErrManifest, manifestTitle)
	}
	if len(lines) < 10 || lines[len(lines)-1] != "" {
		return Manifest{}, fmt.Errorf("%w: it ends early", ErrManifest)
	}
	m, err := parseManifestHead(lines[1:7])
	if err != nil {
		return Manifest{}, err
	}
	for _, line := range lines[7 : len(lines)-2] {
		f, ok := parseManifestFile(line)
		if !ok || len(m.Files) > 0 && m.Files[len(m.Files)-1].Path >= f.Path {
			return Manifest{}, fmt.Errorf("%w: line %.300q", ErrManifest, line)
		}
		m.Files = append(m.Files, f)
	}
	if !bytes.Equal(m.Marshal(), text) {
		return Manifest{}, fmt.Errorf("%w: its checksum differs", ErrManifest)
	}
	return m, nil
}

func parseManifestHead(lines []string) (m Manifest, err error) {
	values := make([]string, len(lines))
	for i, name := range []string{"network", "node", "custodian", "taken", "entries", "records"} {
		value, ok := strings.CutPrefix(lines[i], name+" ")
		if !ok {
			return Manifest{}, fmt.Errorf("%w: no %s in line %.80q", ErrManifest, name, lines[i])
		}
		values[i] = value
	}
	network, known := parseHash(values[0])
	m.Network, m.Node = network, values[1]
	if custodian, ok := parseHash(values[2]); ok {
		m.Custodian = (*record.KeyID)(&custodian)
	} else if values[2] != "none" {
		known = false
	}
	var errs [3]error
	m.Taken, errs[0] = time.Parse(time.RFC3339, values[3])
	m.Entries, errs[1] = strconv.ParseInt(values[4], 10, 64)
	m.Records, errs[2] = strconv.ParseUint(values[5], 10, 64)
	if err := errors.Join(errs[:]...); err != nil || !known || !validNodeID(m.Node) || m.Entries <= 0 {
		return Manifest{}, fmt.Errorf("%w: network, node, custodian, time or counts", ErrManifest)
	}
	return m, nil
}

func parseManifestFile(line string) (f ManifestFile, ok bool) {
	words := strings.Split(line, " ")
	if len(words) != 4 || words[0] != "file" {
		return ManifestFile{}, false
	}
	var err error
	f.Path = words[3]
	f.SHA256, ok = parseHash(words[1])
	f.Size, err = strconv.ParseInt(words[2], 10, 64)
	return f, ok && err == nil && f.Size >= 0 && validBackupPath(f.Path)
}

// validBackupPath wants a path that lies in one of the parts and names nothing
// above it.
func validBackupPath(p string) bool {
	part := ManifestFile{Path: p}.part()
	return path.Clean(p) == p && slices.Contains(backupParts, part) &&
		strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == ""
}

func parseHash(text string) (hash [32]byte, ok bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(hash) {
		return hash, false
	}
	return [32]byte(raw), true
}
