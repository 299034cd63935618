package receipt

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// ParseNetwork reads a network file. It reads the lines that carry values,
// writes the file anew, and refuses a text that differs in a byte.
func ParseNetwork(text []byte) (Network, error) {
	if len(text) > MaxNetworkBytes {
		return Network{}, fmt.Errorf("network file of %d bytes: %w", len(text), ErrTooLarge)
	}
	r := networkReader{lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
	n := r.network()
	if r.err == nil && len(r.lines) > 0 {
		r.fail()
	}
	if r.err != nil {
		return Network{}, fmt.Errorf("network file, line %d: %w", r.line+1, r.err)
	}
	if err := n.check(); err != nil {
		return Network{}, fmt.Errorf("network file: %w", err)
	}
	if !bytes.Equal(n.Marshal(), text) {
		return Network{}, fmt.Errorf("network file is not canonical: %w", ErrMalformed)
	}
	return n, nil
}

// networkReader takes the lines in order and keeps the first error.
type networkReader struct {
	lines []string
	line  int
	err   error
}

func (r *networkReader) fail() {
	if r.err == nil {
		r.err = ErrMalformed
	}
}

// next takes the next line if it begins with the keyword, and gives at least
// count fields behind it; exactly count unless more is set.
func (r *networkReader) next(keyword string, count int, more bool) ([]string, bool) {
	if r.err != nil || len(r.lines) == 0 {
		return nil, false
	}
	rest, ok := strings.CutPrefix(r.lines[0], keyword+" ")
	if !ok {
		return nil, false
	}
	fields := strings.Split(rest, " ")
	if len(fields) < count || !more && len(fields) > count {
		r.fail()
		return nil, false
	}
	r.lines, r.line = r.lines[1:], r.line+1
	return fields, true
}

// one takes a line that must be there and gives its one field.
func (r *networkReader) one(keyword string) string {
	fields, ok := r.next(keyword, 1, false)
	if !ok {
		r.fail()
		return ""
	}
	return fields[0]
}

func (r *networkReader) network() (n Network) {
	if len(r.lines) == 0 || r.lines[0] != "muniment/network/v1" {
		r.fail()
		return n
	}
	r.lines, r.line = r.lines[1:], 1
	id, err := hex.DecodeString(r.one("network"))
	if err != nil || len(id) != len(n.ID) {
		r.fail()
	}
	copy(n.ID[:], id)
	n.ChainID, n.Origin = r.one("chain"), r.one("origin")
	for len(n.Nodes) <= maxNodes {
		f, ok := r.next("node", 3, false)
		if !ok {
			break
		}
		n.Nodes = append(n.Nodes, Node{ID: f[0], Address: f[1], Certificate: r.base64(f[2])})
	}
	for len(n.Eras) <= maxEras {
		f, ok := r.next("era", 1, false)
		if !ok {
			break
		}
		if f[0] != strconv.Itoa(len(n.Eras)+1) {
			r.fail()
		}
		n.Eras = append(n.Eras, r.era())
	}
	return n
}

func (r *networkReader) era() (e Era) {
	for len(e.Logs) <= maxNodes {
		f, ok := r.next("log", 1, false)
		if !ok {
			break
		}
		e.Logs = append(e.Logs, r.vkey(f[0]).Public)
	}
	for len(e.Validators)+len(e.Witnesses) <= maxNodes+maxWitnesses {
		f, ok := r.next("witness", 2, false)
		if !ok {
			break
		}
		k := r.vkey(f[1])
		if id, ok := strings.CutPrefix(f[0], "node-"); ok {
			e.Validators = append(e.Validators, Validator{NodeID: id, Cosigner: k.Public})
		} else {
			e.Witnesses = append(e.Witnesses, Witness{Label: f[0], Name: k.Name, Key: k.Public})
		}
	}
	r.next("group city", 2, true) // follows from the validators
	if f, ok := r.next("group witnesses", 2, true); ok {
		e.WitnessThreshold = int(r.number(f[0]))
		r.next("group witnessed", 3, false) // follows from the name
	}
	r.next("quorum", 1, false) // is always city
	if f, ok := r.next("closed", 2, false); ok {
		root, err := tlog.ParseHash(f[1])
		if err != nil {
			r.fail()
		}
		e.Closed = &Pin{Size: r.number(f[0]), Root: root}
	}
	return e
}

func (r *networkReader) vkey(text string) VKey {
	k, err := ParseVKey(text)
	if err != nil && r.err == nil {
		r.err = err
	}
	return k
}

func (r *networkReader) number(text string) int64 {
	v, err := strconv.ParseInt(text, 10, 54)
	if err != nil || v < 1 {
		r.fail()
	}
	return v
}

func (r *networkReader) base64(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		r.fail()
	}
	return b
}
