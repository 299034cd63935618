package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestPortInUse starts a node whose address another program has taken.
func TestPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() }) // after the script, which runs in parallel
	testscript.Run(t, testscript.Params{
		Deadline: time.Now().Add(time.Minute), // of a node that starts all the same
		Files:    []string{filepath.Join("testdata", "port_in_use.txtar")},
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"P2P", "GRPC", "TILES", "MONITOR"} {
				env.Setenv("MUNIMENT_"+name+"_LISTEN", "127.0.0.1:0")
			}
			env.Setenv("MUNIMENT_WATCH_REFUSE_BELOW_PERCENT", "2")
			env.Setenv("MUNIMENT_WATCH_STOP_BELOW_PERCENT", "1")
			env.Setenv("TAKEN", taken.Addr().String())
			return os.WriteFile(filepath.Join(env.WorkDir, "founding.toml"), foundingText(), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "home": home, "oneline": oneLine},
	})
}
