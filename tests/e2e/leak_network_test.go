package e2e

import (
	"bytes"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/state"
)

// TestFourNodesSayNothing lets records live and die on a network with three
// custodians, asks its nodes everything that they can be asked, and looks at all that
// they have put out, for what the records say and are called, for what was searched
// and stated in words, and for every key. What is below the nodes' folder and what
// each process says is looked at besides, as where any test ends.
func TestFourNodesSayNothing(t *testing.T) {
	t.Parallel()
	w := adopted(t)
	x := &trace{hall: w.at[0], words: map[string][]byte{}}
	conn, works := x.dial(t, "CLERK"), x.dial(t, "DPW")
	minutes := x.anchor(t, x.word("file name")+".txt", fmt.Appendf(nil, "The council met.\n\nIt spoke of %s.\n\nIt rose.\n", x.word("paragraph")),
		"--title", "Minutes "+x.word("title"))
	mail := w.at[1].anchor(t, "mail.eml", fmt.Appendf(nil, "From: %s@example.org\r\nTo: works@example.org\r\nSubject: %s\r\nDate: Mon, 4 May 2026 10:00:00 +0000\r\n\r\nBody with %s in it.\r\n",
		x.word("sender"), x.word("mail header"), x.word("mail body")))
	id, key := x.deposit(t, works, "DEMO-MINUTES", []byte(x.word("document with a known key")), []commitment.Field{{Key: commitment.FieldTitle, Value: x.word("second title")}})
	keep("record key", key[:])
	x.do(t, works, "DPW", "OK", &record.AnchorRecords{Series: "DEMO-MINUTES", Custody: "CITY", Items: []record.AnchorItem{{Commitment: id, Day: today - 1000}}})
	w.copied(t, 0, 3, 3)
	for i := range 3 {
		at := w.at[i]
		for j, r := range []string{minutes, mail} {
			at.as(t, 0, "DPW", "read", r, "-o", x.out(fmt.Sprint("read-", i, j)))
			at.as(t, 0, "DPW", "evidence", r, "--purpose", "legal", "-o", x.out(fmt.Sprint("evidence-", i, j)))
			if len(newSearch().in(read(t, x.out(fmt.Sprint("read-", i, j))))) == 0 {
				t.Fatal("what was read holds no canary: nothing would be proven")
			}
		}
		at.as(t, 0, "DPW", "search", string(x.words["title"]))
		at.as(t, 0, "DPW", "search", x.word("words that nothing holds"))
	}
	x.mistakes(t, conn, minutes)
	x.as(t, 0, "COUNSEL", "hold", "place", "--kind", "litigation", "--matter", x.word("matter of a hold"), mail)
	plan := x.out("plan")
	x.as(t, 0, "DPW", "redact", "plan", mail, "--hide", "header Subject", "--code", "CT-1-210-b-2", "-o", plan)
	x.as(t, 0, "DPW", "redact", "withhold", plan)
	d := w.lock(t, w.at[1], minutes)
	for i := range 3 {
		w.carriesOut(t, i, d)
	}
	x.as(t, 0, "DPW", "certificate", minutes, "-o", x.out("certificate"))
	w.answersSayNothing(t, x)

	// One ends as a process does that its operator looks into, the others in order.
	w.nodes[1].cmd.Process.Signal(syscall.SIGQUIT)
	err := <-w.nodes[1].done
	w.nodes[1].done <- err
	if !bytes.Contains(w.nodes[1].stderr.Bytes(), []byte("goroutine ")) || !bytes.Contains(w.nodes[1].stderr.Bytes(), []byte("level=DEBUG")) {
		t.Error("the second node has not said what it was doing")
	}
	w.end(0, 2, 3)
	for i := range w.at {
		ledgerSaysNothing(t, w.at[i].home)
	}
	for _, dir := range []string{"mirror", "config"} {
		if newSearch().below(t, filepath.Join(w.desk, dir)) == 0 {
			t.Errorf("there is nothing to search in %s", dir)
		}
	}
	newSearch().said(t, "the certificate", read(t, x.out("certificate")))
}

// answersSayNothing asks all nodes what operators, monitors and auditors ask.
func (w *town) answersSayNothing(t *testing.T, x *trace) {
	t.Helper()
	s := newSearch()
	s.said(t, "an answer to a wrong request", x.errors)
	for i := range w.at {
		config, err := node.LoadConfig(w.at[i].home, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.said(t, "the metrics", fetch(t, "http://"+config.Monitor.Listen+"/metrics"))
		for _, args := range [][]string{
			{"status"}, {"status", "--output", "json"}, {"custody", "status"}, {"network"}, {"keys", "--passphrase-file", w.secret},
			{"member", "export", filepath.Join(w.dir, fmt.Sprint("export-", i))},
			{"backup", filepath.Join(w.dir, fmt.Sprint("backup-", i))},
		} {
			w.at[i].operator(t, 0, "", args...)
		}
		if i < 3 {
			w.at[i].operator(t, 0, "", "backup", "--keyring", filepath.Join(w.dir, fmt.Sprint("keyring-", i)))
		}
	}
	program(t, 0, "", "munimentd", "testnet", "status", w.dir)
	x.as(t, 0, "CLERK", "log", "mirror", filepath.Join(w.desk, "mirror"), "--tiles", w.nodes[0].tiles)
}

// ledgerSaysNothing looks at each key and value of a node's store, which is
// compressed where it lies in files: chain, state, log.
func ledgerSaysNothing(t *testing.T, home node.Home) {
	t.Helper()
	options := state.NewOptions(state.Options{})
	options.ReadOnly = true
	db, err := pebble.Open(home.Ledger(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	entries, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer entries.Close()
	s, n := newSearch(), 0
	for ok := entries.First(); ok; ok = entries.Next() {
		n++
		s.said(t, "the ledger of "+string(home), entries.Key(), entries.Value())
	}
	if err := entries.Error(); err != nil || n < 100 {
		t.Errorf("a ledger of %d values: %v", n, err)
	}
}
