package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/tests/ports"
)

// TestANodeBeginsWithAPeersBackup: a validator that has lost its disk but for its
// keys and what it signed, and a member that is new. The backup is refused where it
// was changed; the node goes on from it, gets the rest from the others, and votes.
func TestANodeBeginsWithAPeersBackup(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.begin(t)
	const content = "The council met.\n"
	index := w.anchor(t, "minutes.txt", []byte(content))
	w.copied(t, 0, 3, 1)
	backup := filepath.Join(w.dir, "backup")
	w.at[0].operator(t, 0, "", "backup", backup)
	later := w.anchor(t, "later.txt", []byte("It met after the backup.\n"))
	w.copied(t, 0, 3, 2)

	// The disk of the third, a custodian, is lost.
	w.at[2].operator(t, 7, "stop it first", "member", "adopt", backup)
	w.end(2)
	third := w.at[2].home
	w.at[2].operator(t, 7, "has a ledger, so nothing was adopted: move ledger/ away first, and leave signer/ as it is", "member", "adopt", backup)
	for _, part := range []string{third.Ledger(), third.WAL(), third.Vault(), third.Rings(), third.Accesses()} {
		if err := os.RemoveAll(part); err != nil {
			t.Fatal(err)
		}
	}
	forged := filepath.Join(w.dir, "forged")
	if err := os.CopyFS(forged, os.DirFS(backup)); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(forged, "ledger", "*.log"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("the backup has %v, %v", tables, err)
	}
	table := read(t, tables[0])
	table[len(table)/2] ^= 1
	write(t, tables[0], table)
	w.at[2].operator(t, 3, filepath.Base(tables[0])+": backup is not what its manifest says: it was changed", "member", "adopt", forged)
	if _, err := os.Stat(third.Ledger()); !os.IsNotExist(err) {
		t.Errorf("after a refusal there is a ledger: %v", err)
	}
	out := w.at[2].operator(t, 0, "", "member", "adopt", backup).stdout
	if !strings.Contains(out, "backup of    node "+w.at[0].ids[0]) || !strings.Contains(out, "each block has the validators' commit") {
		t.Errorf("adopting says\n%s", out)
	}
	w.begin(t, 2)
	w.copied(t, 2, 3, 2)
	w.same(t, index, content, 2)

	// It votes again: without it three of four are no quorum.
	w.end(3)
	w.anchor(t, "more.txt", []byte("It met with three.\n"))
	w.begin(t, 3)
	w.at[2].as(t, 0, "DPW", "receipt", later)

	// A new member begins with a backup that has a second era.
	fifth := &hall{city: &city{home: node.Home(filepath.Join(w.dir, "node-5")), network: w.network, offices: w.offices}, desk: w.desk, tmp: w.tmp, secret: w.secret}
	fifth.operator(t, 0, "", "member", "request", "--p2p", ports.Free(t), "--grpc", ports.Free(t), "--passphrase-file", w.secret)
	fifth.operator(t, 7, "run munimentd member join first", "member", "adopt", backup)
	card, handout := filepath.Join(string(fifth.home), "member.card"), filepath.Join(w.dir, "handout")
	w.at[0].decide(t, 0, card, "node", "admit", card)
	w.at[0].operator(t, 0, "", "member", "export", handout)
	fifth.operator(t, 0, "", "member", "join", handout)
	until(t, "the first has the handover", func() bool { s := w.at[0].health(t); return s.Size == s.Cosigned && s.Validators == 5 })
	backup = filepath.Join(w.dir, "backup-2")
	w.at[0].operator(t, 0, "", "backup", backup)
	if out := fifth.operator(t, 0, "", "member", "adopt", backup).stdout; !strings.Contains(out, ", 2 of its eras") {
		t.Errorf("adopting says\n%s", out)
	}
	newcomer := launch(t, "start", "--home", string(fifth.home), "--passphrase-file", w.secret, "--set", "log.level=debug",
		"--set", "tiles.listen=", "--set", "monitor.listen=", "--set", "watch.refuse_below_percent=2", "--set", "watch.stop_below_percent=1")
	size := w.at[0].health(t).Size
	until(t, "the fifth has what came after the backup", func() bool { s := fifth.health(t); return s.Size >= size && s.Peers == 4 && !s.Behind })
	newcomer.stop()
	w.end(0, 1, 2, 3)
}
