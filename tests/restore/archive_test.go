package restore

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/muniment/muniment/app/node"
)

const (
	manyRecords = 1100
	manyGone    = 1000
)

// archive is a custodian that has destroyed records, and what was copied of it
// before and after.
type archive struct {
	*city
	living, gone []kept
	home         node.Home // as it was when the node stopped
	before       copies    // while everything was there
	after        copies    // when the destruction was over
}

// copies are a backup of the data, one of the keyring, and the rings as files.
type copies struct{ data, keyring, rings string }

// buildArchive founds a network of so many nodes, and makes an archive of it.
func buildArchive(t testing.TB, nodes, records, destroyed int) *archive {
	t.Helper()
	return newCity(t, nodes).archive(t, records, destroyed)
}

// archive keeps so many records, and destroys some of them.
func (c *city) archive(t testing.TB, records, destroyed int) *archive {
	t.Helper()
	a := &archive{city: c}
	dir := filepath.Dir(string(a.custodian))
	if a.validator != "" {
		a.start(t, a.validator).serves(t)
	}
	p := a.start(t, a.custodian)
	p.serves(t)
	conn := a.dial(t, department)
	a.adopt(t, conn)
	eventually(t, "the custodian has caught up, and takes deposits", func() bool {
		_, err := a.deposit(within(t), conn, []byte("A draft that nobody anchors.\n"))
		return err == nil
	})
	all := a.keep(t, conn, records)
	a.gone, a.living = all[:destroyed], all[destroyed:]
	a.before = a.copy(t, filepath.Join(dir, "before"))
	a.destroy(t, conn, a.gone)
	eventually(t, "the destruction is over", func() bool {
		return a.probe(t, conn, a.gone[0]) == "DESTROYED" && status(t, a.custodian).Pending == 0
	})
	a.after = a.copy(t, filepath.Join(dir, "after"))
	p.stop(t)
	a.home = a.custodian
	return a
}

func (a *archive) copy(t testing.TB, to string) copies {
	t.Helper()
	c := copies{to + "-data", to + "-keyring", to + "-rings"}
	munimentd(t, 0, "backup", c.data, "--home", string(a.custodian))
	munimentd(t, 0, "backup", "--keyring", c.keyring, "--home", string(a.custodian))
	copyFolder(t, a.custodian.Rings(), c.rings) // nothing writes there now
	return c
}

var (
	lonely     *archive
	lonelyOnce sync.Once
)

// lonelyArchive is the archive of a network of one node, made once.
func lonelyArchive(t testing.TB) *archive {
	t.Helper()
	lonelyOnce.Do(func() { lonely = buildArchive(t, 1, manyRecords, manyGone) })
	if lonely == nil {
		t.Fatal("no archive: another test says why")
	}
	return lonely
}
