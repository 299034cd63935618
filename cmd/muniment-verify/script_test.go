package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/receipt"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"muniment-verify": main})
}

// TestScripts runs one script per kind of lie. The files that they name are
// those of cases.
func TestScripts(t *testing.T) {
	files := cases(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), RequireUniqueNames: true, UpdateScripts: *rewrite,
		Setup: func(env *testscript.Env) error {
			for name, data := range files {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o644); err != nil {
					return err
				}
			}
			mirrors(t, env.WorkDir)
			n, err := receipt.ParseNetwork(files["city.mun"])
			env.Setenv("FINGERPRINT", fmt.Sprintf("%x", n.Fingerprint()))
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "plain": plain, "names": names, "onlycids": onlyCIDs, "hostilefile": hostileFile},
	})
}

// exits runs the program with the arguments that follow the exit code and
// wants that code: exits CODE ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARG...")
	}
	err := ts.Exec("muniment-verify", args[1:]...)
	code := 0
	if err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("run: %v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// plain wants nothing but visible characters, spaces and line feeds in the
// files: plain FILE... (stdout and stderr too)
func plain(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		text := ts.ReadFile(name)
		for i, line := range strings.Split(text, "\n") {
			if line != printable(line) {
				ts.Fatalf("%s: line %d: %q", name, i+1, line)
			}
		}
	}
}

// names wants a folder to hold exactly the files: names DIR NAME...
func names(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(args[1:]) {
		ts.Fatalf("%s holds %v, want %v", args[0], got, args[1:])
	}
}

// onlyCIDs wants a folder to hold so many files, all named by their CID:
// onlycids DIR NUMBER
func onlyCIDs(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range entries {
		if _, err := commitment.ParseCID(strings.TrimSuffix(e.Name(), ".content")); err != nil || !e.Type().IsRegular() {
			ts.Fatalf("%s holds %q", args[0], e.Name())
		}
	}
	if fmt.Sprint(len(entries)) != args[1] {
		ts.Fatalf("%s holds %d files, want %s", args[0], len(entries), args[1])
	}
}

// hostileFile verifies a file under a name that no script can spell, and one
// that is not there: hostilefile FILE
func hostileFile(ts *testscript.TestScript, neg bool, args []string) {
	const name = "a\x1b]0;owned\a\n\u202e"
	ts.Check(os.WriteFile(ts.MkAbs(name), []byte(ts.ReadFile(args[0])), 0o644))
	exits(ts, false, []string{"1", "--network", "city.mun", name, name + "absent"})
}
