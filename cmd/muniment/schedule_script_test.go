package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// TestScheduleScripts runs the program as records staff do: each script has a
// city of its own, and the keys of all its offices.
func TestScheduleScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/schedules",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			d := &desk{t: t, dir: e.WorkDir, now: time.Now}
			d.places = places{config: filepath.Join(d.dir, "config", "muniment"), state: filepath.Join(d.dir, "state", "muniment")}
			d.file("passphrase", testPassphrase+"\n")
			for _, office := range []string{"CLERK", "IT", "COUNSEL", "PURCHASING", "STATE", "ARCHIVE", "AUDIT", "PERMITS", "POLICE"} {
				d.must("key", "new", "--office", office)
			}
			d.pin(newCity(t, must(d.places.loadConfig()).Keys))
			for name, dir := range map[string]string{"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "HOME": "."} {
				e.Setenv(name, filepath.Join(e.WorkDir, dir))
			}
			e.Setenv("SHIPPED", must(filepath.Abs(shippedDir)))
			e.Setenv("TODAY", record.LedgerDay(time.Now().UnixNano()).String())
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exitsAs, "as": as, "grab": grab,
		},
	})
}

// as runs muniment for an office, which has to succeed: as CLERK schedule list.
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: as OFFICE ARGUMENT...")
	}
	exitsAs(ts, false, append([]string{"0"}, args...))
}

// exitsAs is exits, for an office where one is named: exits 7 CLERK schedule list.
func exitsAs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) > 1 && record.Code(args[1]).Valid() {
		args = append([]string{args[0], "--office", args[1], "--passphrase-file", "passphrase"}, args[2:]...)
	}
	exits(ts, neg, args)
}

// grab keeps what the last standard output has: grab NAME REGEXP.
func grab(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: grab NAME REGEXP")
	}
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("no match of %s with one group in %q", args[1], ts.ReadFile("stdout"))
	}
	ts.Setenv(args[0], found[1])
}

// Whatever the ledger refuses, its user is told what it means.
func TestEveryReasonHasASentence(t *testing.T) {
	seen := map[string]string{}
	for _, code := range ledger.Codes() {
		if code == ledger.OK {
			continue
		}
		text := refusals[code.String()]
		if text == "" || seen[text] != "" {
			t.Errorf("%s: %q, which %s says, too", code, text, seen[text])
		}
		seen[text] = code.String()
	}
	if len(seen) != len(refusals) {
		t.Errorf("%d sentences for %d reasons", len(refusals), len(seen))
	}
}

// The example of the page on the command line is a file that is in order.
func TestDocumentedAuthorityFile(t *testing.T) {
	page := string(must(os.ReadFile("../../docs/cli.md")))
	found := regexp.MustCompile("(?s)```toml\n(schedule = .*?)```").FindStringSubmatch(page)
	if found == nil {
		t.Fatal("docs/cli.md has no authority file")
	}
	if _, err := parseAuthority([]byte(found[1])); err != nil {
		t.Error(err)
	}
	for _, c := range csvColumns {
		if !regexp.MustCompile("`[^`]*" + regexp.QuoteMeta(c.name) + "[^`]*`").MatchString(page) {
			t.Errorf("docs/cli.md says nothing of the column %q", c.name)
		}
	}
}
