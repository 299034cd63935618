package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"munimentd": main})
}

// TestScripts runs what an operator types, and what goes wrong there. Nodes that
// really run are in tests/e2e.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"), RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			// Neither other programs' ports nor a full disk may decide a test.
			for _, name := range []string{"P2P", "GRPC", "TILES", "MONITOR"} {
				env.Setenv("MUNIMENT_"+name+"_LISTEN", "127.0.0.1:0")
			}
			env.Setenv("MUNIMENT_WATCH_REFUSE_BELOW_PERCENT", "2")
			env.Setenv("MUNIMENT_WATCH_STOP_BELOW_PERCENT", "1")
			return os.WriteFile(filepath.Join(env.WorkDir, "founding.toml"), foundingText(), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "change": change, "home": home, "holds": holds, "future": future, "oneline": oneLine, "token": token, "serves": serves, "override": override, "custodian": custodian,
		},
	})
}

// foundingText is the example with keys in it.
func foundingText() []byte {
	text := string(exampleFounding)
	for i := 0; strings.Contains(text, "<"); i++ {
		before, rest, _ := strings.Cut(text, "<")
		_, after, _ := strings.Cut(rest, ">")
		seed := sha256.Sum256([]byte(strconv.Itoa(i)))
		text = fmt.Sprintf("%s%x%s", before, ed25519.NewKeyFromSeed(seed[:]).Public(), after)
	}
	return []byte(text)
}

// exits runs munimentd and wants an exit code: exits CODE ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("munimentd", args[1:]...)
	code := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// change writes a file anew with other text in one place: change FILE OLD NEW TO
func change(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}

// home makes a home, founded so many hours ago, whose keys derive quickly: home DIR HOURS
func home(ts *testscript.TestScript, neg bool, args []string) {
	ago, err := time.ParseDuration(args[1] + "h")
	ts.Check(err)
	f, err := parseFounding([]byte(ts.ReadFile("founding.toml")))
	ts.Check(err)
	_, err = node.Init(node.Home(ts.MkAbs(args[0])), node.InitOptions{
		Keys:    node.KeyOptions{Rand: rand.Reader, Passphrase: []byte("passphrase"), Iterations: 1000, Custodian: true, Now: time.Now().Add(-ago)},
		ChainID: f.ChainID, Origin: f.Origin, Address: f.Address,
		Facts: func(custodian record.KeyID) []record.Fact {
			facts, err := f.facts(custodian)
			ts.Check(err)
			return facts
		},
	})
	ts.Check(err)
}

// override has somebody sign that a node may connect until so many days from now:
// override HOME DAYS FILE
func override(ts *testscript.TestScript, neg bool, args []string) {
	days, err := strconv.Atoi(args[1])
	ts.Check(err)
	until := int(record.LedgerDay(time.Now().UnixNano())) + days
	seed := sha256.Sum256([]byte("0"))
	o := receipt.Override{
		Network: sha256.Sum256([]byte(ts.ReadFile(args[0] + "/genesis.json"))), Nodes: []string{strings.Repeat("ab", 20)}, Until: record.Day(until),
	}
	text, err := o.Sign(ed25519.NewKeyFromSeed(seed[:]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o600))
}

// custodian compares the custodian keys of two cards: custodian CARD CARD same|differ
func custodian(ts *testscript.TestScript, neg bool, args []string) {
	var keys [2][32]byte
	for i := range keys {
		card, err := receipt.ParseCard([]byte(ts.ReadFile(args[i])))
		ts.Check(err)
		keys[i] = card.Node.CustodianKey
	}
	if (keys[0] == keys[1]) != (args[2] == "same") {
		ts.Fatalf("custodian keys %x and %x, want %s", keys[0], keys[1], args[2])
	}
}

// holds wants a folder to hold exactly so much: holds DIR NAME...
func holds(ts *testscript.TestScript, neg bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if fmt.Sprint(names) != fmt.Sprint(args[1:]) {
		ts.Fatalf("%s holds %v, want %v", args[0], names, args[1:])
	}
}

// future gives a file a time of tomorrow: future FILE
func future(ts *testscript.TestScript, neg bool, args []string) {
	at := time.Now().Add(24 * time.Hour)
	ts.Check(os.Chtimes(ts.MkAbs(args[0]), at, at))
}

// token makes a PKCS#11 token in software, where none is but it, and gives its
// module as $MODULE: token LABEL PIN
func token(ts *testscript.TestScript, neg bool, args []string) {
	module := ""
	for _, pattern := range []string{"/usr/lib/softhsm", "/usr/lib/*/softhsm", "/usr/lib64/pkcs11", "/usr/local/lib/softhsm", "/opt/homebrew/lib/softhsm"} {
		if found, _ := filepath.Glob(filepath.Join(pattern, "libsofthsm2.so")); len(found) > 0 { // the patterns are well formed
			module = found[0]
		}
	}
	if module == "" {
		ts.Fatalf("softhsm2-util is here, and its module is not")
	}
	dir := ts.MkAbs("tokens-" + args[0])
	ts.Check(os.Mkdir(dir, 0o700))
	ts.Check(os.WriteFile(dir+".conf", fmt.Appendf(nil, "directories.tokendir = %s\nlog.level = ERROR\n", dir), 0o600))
	ts.Setenv("MODULE", module)
	ts.Setenv("SOFTHSM2_CONF", dir+".conf")
	ts.Check(ts.Exec("softhsm2-util", "--init-token", "--free", "--label", args[0], "--pin", args[1], "--so-pin", "so-"+args[1]))
}

// serves waits until the node of a home answers: serves DIR
func serves(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(time.Minute)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for ts.Exec("munimentd", "status", "--home", args[0]) != nil || !strings.Contains(ts.ReadFile("stdout"), "entries") {
		if time.Now().After(deadline) {
			ts.Fatalf("the node of %s does not answer: %s", args[0], ts.ReadFile("stderr"))
		}
		<-poll.C
	}
}

// oneLine wants one line on stderr, of one program, and no trace of a panic.
func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile("stderr")
	if strings.Count(text, "\n") != 1 || !strings.HasPrefix(text, "munimentd: ") || strings.Contains(text, "goroutine ") {
		ts.Fatalf("not one sentence: %q", text)
	}
}
