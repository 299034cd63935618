package node

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func homeWithConfig(t *testing.T, text string) Home {
	t.Helper()
	home := Home(t.TempDir())
	if err := os.WriteFile(home.Config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

// TestExampleConfig keeps the example complete: it is strictly read, says the
// defaults, names every setting, and is what stands under ops.
func TestExampleConfig(t *testing.T) {
	c, err := LoadConfig(homeWithConfig(t, string(ExampleConfig)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", DefaultConfig()); got != want {
		t.Errorf("the example says\n%s\nthe defaults are\n%s", got, want)
	}
	named := map[string]bool{}
	section := ""
	for line := range strings.Lines(string(ExampleConfig)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
		} else if name, _, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			named[section+"."+name] = true
		}
	}
	for name := range c.settings() {
		if !named[name] {
			t.Errorf("the example lacks %s", name)
		}
	}
	if len(named) != len(c.settings()) {
		t.Errorf("the example names %d settings, the program knows %d", len(named), len(c.settings()))
	}
	ops, err := os.ReadFile("../../ops/munimentd.toml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ops, ExampleConfig) {
		t.Error("ops/munimentd.toml differs from app/node/munimentd.toml")
	}
}

func TestConfigPrecedence(t *testing.T) {
	home := homeWithConfig(t, "[grpc]\nlisten = \"127.0.0.1:1\"\n[tiles]\nlisten = \"127.0.0.1:1\"\n[monitor]\nlisten = \"127.0.0.1:1\"\n")
	environment := []string{"MUNIMENT_TILES_LISTEN=127.0.0.1:2", "MUNIMENT_MONITOR_LISTEN=127.0.0.1:2", "MUNIMENT_STORE_CACHE_MIB=128", "OTHER=x"}
	flags := map[string]string{"monitor.listen": "127.0.0.1:3", "p2p.peers": strings.Repeat("ab", 20) + "@a:1," + strings.Repeat("cd", 20) + "@b:2"}
	c, err := LoadConfig(home, environment, flags)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.P2P.Listen, c.GRPC.Listen, c.Tiles.Listen, c.Monitor.Listen, fmt.Sprint(c.Store.CacheMiB, len(c.P2P.Peers))}
	want := []string{"127.0.0.1:26656", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "128 2"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("default, file, environment, flag: got %v, want %v", got, want)
	}
	if c, err := LoadConfig(Home(t.TempDir()), nil, nil); err != nil || c.GRPC.Listen != DefaultConfig().GRPC.Listen {
		t.Errorf("no file: got %+v, %v", c, err)
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"unknown setting":    "[grpc]\nlistne = \"127.0.0.1:1\"\n",
		"unknown section":    "[consensus]\ntimeout = 1\n",
		"wrong type":         "[grpc]\nlisten = 7450\n",
		"not TOML":           "[grpc\n",
		"no port":            "[grpc]\nlisten = \"127.0.0.1\"\n",
		"no address":         "[p2p]\nlisten = \"\"\n",
		"peer without id":    "[p2p]\npeers = [\"127.0.0.1:26656\"]\n",
		"peer with short id": "[p2p]\npeers = [\"abcd@127.0.0.1:26656\"]\n",
		"capital id":         "[p2p]\npeers = [\"" + strings.Repeat("AB", 20) + "@127.0.0.1:26656\"]\n",
		"level":              "[log]\nlevel = \"loud\"\n",
		"level with offset":  "[log]\nlevel = \"INFO+2\"\n",
		"format":             "[log]\nformat = \"xml\"\n",
		"cache":              "[store]\ncache_mib = 0\n",
		"few blocks":         "[store]\nkeep_blocks = 9999\n",
		"less than no block": "[store]\nkeep_blocks = -1\n",
		"erasing never":      "[custody]\nerase_every = \"0s\"\n",
		"erasing too rarely": "[custody]\nerase_every = \"25h\"\n",
		"erasing, no unit":   "[custody]\nerase_every = \"300\"\n",
		"stop above refuse":  "[watch]\nstop_below_percent = 11\n",
		"silence":            "[watch]\nsilence_seconds = 30\n",
		"clock":              "[watch]\nclock_seconds = 0\n",
	} {
		if _, err := LoadConfig(homeWithConfig(t, text), nil, nil); !errors.Is(err, ErrSetting) {
			t.Errorf("%s: got %v, want %v", name, err, ErrSetting)
		}
	}
	home := Home(t.TempDir())
	if _, err := LoadConfig(home, []string{"MUNIMENT_STORE_CACHE_MIB=much"}, nil); !errors.Is(err, ErrSetting) {
		t.Errorf("environment: got %v", err)
	}
	if _, err := LoadConfig(home, nil, map[string]string{"grpc.port": "1"}); !errors.Is(err, ErrSetting) {
		t.Errorf("flag: got %v", err)
	}
}
