//go:build chaos

package chaos

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/vault"
)

// custodians are the machines whose nodes keep the content of the set. The others
// keep none.
var custodians = []int{1, 2, 4}

const custody = record.Code("CITY")

// custodiansAgree waits until all nodes have the whole log, and then until each
// custodian has everything and owes nothing (I-13). Nobody works any more.
func (c *city) custodiansAgree(t *testing.T) {
	t.Helper()
	took := eventually(t, "all nodes have one height, and the custodians everything", func() bool {
		var height uint64
		for i, m := range c.nodes {
			s, err := m.status(t)
			if err != nil || i > 0 && s.Height != height {
				return false
			}
			height = s.Height
		}
		for _, machine := range custodians {
			s, err := c.nodes[machine-1].status(t)
			if err != nil || s.ErasuresPending > 0 || len(s.Quarantined) > 0 || len(s.Copies) != 1 || int(s.Copies[0].Complete) != len(custodians) {
				return false
			}
		}
		return true
	})
	t.Logf("the custodians agree after %.1f s", took.Seconds())
}

// contents asks every custodian for everything that was deposited and anchored. Who
// is not locked is there, everywhere (I-04, I-14); who is locked is nowhere (I-03). It
// gives how often each node has given content out, too.
func (c *city) contents(t *testing.T, history []*attempt) (asked int, given map[int]int, all []violation) {
	t.Helper()
	c.custodiansAgree(t)
	given = map[int]int{}
	for _, a := range history {
		if a.Kind == openings && a.Outcome == outcomeOK {
			given[a.Node]++
		}
	}
	clients := map[int]*client{}
	for _, machine := range custodians {
		clients[machine] = c.at(t, c.nodes[machine-1])
	}
	lapses := map[int][]lapse{}
	for _, m := range c.nodes {
		lapses[m.machine] = m.lapses
	}
	for _, d := range documents(history) {
		asked++
		locked, has := false, 0
		answers := map[int]operation{}
		for _, machine := range custodians {
			r, err := clients[machine].departments.Record(waiting(t), &apiv1.RecordRequest{Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Index{Index: uint64(d.index)}}})
			if err != nil {
				t.Fatalf("record %d at node %d: %v", d.index, machine, err)
			}
			o := operation{Index: d.index}
			clients[machine].open(waiting(t), &o)
			if answers[machine] = o; o.Outcome == outcomeOK {
				given[machine]++
				has++
			}
			locked = locked || r.Disposition != nil
		}
		for _, machine := range custodians {
			switch o := answers[machine]; {
			case locked && o.Content != "":
				all = append(all, violated("I-03", "record %d is locked, and node %d gives %q", d.index, machine, o.Content))
			case !locked && o.Content != d.content && !d.excused(lapses, has):
				all = append(all, violated("I-14", "record %d, deposited with node %d after %v: node %d gives %q (%s), deposited was %q", d.index, d.node, d.deposited, machine, o.Content, o.Reason, d.content))
			}
		}
	}
	return asked, given, all
}

// silent looks, in everything that the nodes have written, for words of what was
// deposited and for their passphrase (I-12), and wants a line in a whole access log
// for everything that was given out (I-11). The nodes have ended.
func (c *city) silent(t *testing.T, history []*attempt, given map[int]int) (all []violation) {
	t.Helper()
	secrets := [][]byte{[]byte(passphrase)}
	for _, a := range history {
		if a.Kind == deposits {
			name, _, _ := strings.Cut(a.Content[strings.Index(a.Content, "name ")+len("name "):], ".")
			secrets = append(secrets, []byte(name))
		}
	}
	for _, m := range c.nodes {
		look := func(where string, text []byte) {
			for _, secret := range secrets {
				if bytes.Contains(text, secret) {
					all = append(all, violated("I-12", "%q is in %s of node %d", secret, where, m.machine))
				}
			}
		}
		for _, p := range m.started {
			look("the output", []byte(p.stdout.String()+p.stderr.String()))
		}
		err := filepath.WalkDir(string(m.home), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			look(path, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m.accesses(t, given[m.machine])...)
	}
	return all
}

// accesses wants a whole access log with a line for everything that was given out.
func (m *member) accesses(t *testing.T, given int) (all []violation) {
	t.Helper()
	if given == 0 {
		return nil
	}
	if _, err := vault.VerifyLog(m.home.Accesses()); err != nil {
		all = append(all, violated("I-11", "node %d: %v", m.machine, err))
	}
	files, err := filepath.Glob(filepath.Join(m.home.Accesses(), "access-*.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), " read ")
	}
	if lines < given {
		all = append(all, violated("I-11", "node %d gave content out %d times, and its access log has %d lines about it", m.machine, given, lines))
	}
	return all
}
