package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the program as its users do, with all that needs no node.
func TestScripts(t *testing.T) {
	c := newCity(t, nil)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for name, dir := range map[string]string{"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "HOME": "."} {
				e.Setenv(name, filepath.Join(e.WorkDir, dir))
			}
			e.Setenv("FINGERPRINT", fingerprint(c.network))
			if err := os.WriteFile(filepath.Join(e.WorkDir, "passphrase"), []byte(testPassphrase+"\n"), 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "network.mun"), c.file, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "mode": mode,
		},
	})
}

// exits runs muniment and wants an exit code: exits 2 anchor a.txt.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARGUMENT...")
	}
	err := ts.Exec("muniment", args[1:]...)
	got := 0
	if err != nil {
		if _, scanErr := fmt.Sscanf(err.Error(), "exit status %d", &got); scanErr != nil {
			ts.Fatalf("%v", err)
		}
	}
	if want := args[0]; fmt.Sprint(got) != want {
		ts.Fatalf("muniment %v: exit code %d, want %s", args[1:], got, want)
	}
}

// mode wants the permissions of files: mode 600 file.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] || neg {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}
