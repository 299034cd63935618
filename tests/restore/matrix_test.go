package restore

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// everything is what a backup of data holds, in a home.
var everything = []string{"ledger", "vault", "access-log", "genesis.json", "network.mun", "munimentd.toml"}

// TestT14_NothingComesBack puts backups of before the destruction, and of after
// it, onto the home of a lone validator, in every combination that can start.
func TestT14_NothingComesBack(t *testing.T) {
	a := lonelyArchive(t)
	for _, c := range []struct {
		name    string
		lost    []string
		data    string
		keyring string
		rings   string // put there as files
	}{
		{name: "nothing lost"},
		{name: "vault of before", lost: []string{"vault"}, data: a.before.data},
		{name: "vault and access log of before", lost: []string{"vault", "access-log"}, data: a.before.data},
		{name: "keyring of before", lost: []string{"rings"}, keyring: a.before.keyring},
		{name: "rings of before as files", lost: []string{"rings"}, rings: a.before.rings},
		{name: "vault and keyring of before", lost: []string{"vault", "rings"}, data: a.before.data, keyring: a.before.keyring},
		{name: "vault of before, keyring of after", lost: []string{"vault", "rings"}, data: a.before.data, keyring: a.after.keyring},
		{name: "vault of after, keyring of before", lost: []string{"vault", "rings"}, data: a.after.data, keyring: a.before.keyring},
		{name: "keyring of after", lost: []string{"rings"}, keyring: a.after.keyring},
		{name: "files", lost: []string{"access-log", "genesis.json", "network.mun", "munimentd.toml"}, data: a.before.data},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := copied(t, a.home)
			lose(t, home, c.lost...)
			if c.rings != "" {
				copyFolder(t, c.rings, home.Rings())
			}
			a.restored(t, home, c.data, c.keyring)
			a.settles(t, home)
		})
	}
}

// TestT15_ALoneValidatorDoesNotGoBack: with a ledger of before, the only validator
// would have to sign other blocks than it has signed. It refuses, by name.
func TestT15_ALoneValidatorDoesNotGoBack(t *testing.T) {
	a := lonelyArchive(t)
	for name, lost := range map[string][]string{
		"everything":                 append([]string{"rings"}, everything...),
		"data":                       everything,
		"ledger":                     {"ledger"},
		"ledger and consensus log":   {"ledger", "wal"},
		"ledger and vault":           {"ledger", "vault"},
		"ledger, keyring of before":  {"ledger", "rings"},
		"vault and ledger, no rings": {"ledger", "vault", "rings", "access-log"},
	} {
		t.Run(name, func(t *testing.T) {
			home := copied(t, a.home)
			lose(t, home, lost...)
			keyring := ""
			if _, err := os.Stat(home.Rings()); err != nil {
				keyring = a.before.keyring
			}
			a.restored(t, home, a.before.data, keyring)
			w := a.watching(t)
			p := a.start(t, home)
			if got := p.code(t); got != 7 || !strings.Contains(p.stderr.String(), "ledger lacks blocks that this validator has signed") {
				t.Errorf("exit code %d\n%s", got, &p.stderr)
			}
			w.end()
			t.Log(w)
			if out, err := exec.CommandContext(within(t), must(shipped()), "doctor", "--home", string(home)).Output(); err == nil ||
				!regexp.MustCompile(`(?m)^bad      ledger         height [0-9]+ was signed, the ledger ends at [0-9]+: ledger lacks blocks that`).Match(out) {
				t.Errorf("doctor of that home: %v\n%s", err, out)
			}
		})
	}
}

// TestBackupsOfOthersAreRefused: nothing of another node gets into a home.
func TestBackupsOfOthersAreRefused(t *testing.T) {
	a, other := lonelyArchive(t), buildArchive(t, 1, 8, 4)
	home := copied(t, a.home)
	lose(t, home, append([]string{"rings"}, everything...)...)
	for _, c := range []struct {
		words string
		args  []string
	}{
		{"backup is another node's: its custodian key is ", []string{other.before.data}},
		{"wrapped key does not open under this root key", []string{"--keyring", other.before.keyring}},
	} {
		sentence := munimentd(t, 7, append([]string{"restore", "--home", string(home), "--passphrase-file", a.passphrase}, c.args...)...)
		if !strings.Contains(sentence, c.words) {
			t.Errorf("%v: %s", c.args, sentence)
		}
	}
	for _, part := range append([]string{"rings", "restoring"}, everything...) {
		if _, err := os.Stat(string(home) + "/" + part); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", part, err)
		}
	}
	// The home takes its own all the same.
	a.restored(t, home, a.after.data, a.after.keyring)
}
