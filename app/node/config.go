package node

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// ExampleConfig is the configuration file that a new home gets: every setting,
// explained, at its default.
//
//go:embed munimentd.toml
var ExampleConfig []byte

// ErrSetting is returned for a setting that is unknown or has a wrong value.
var ErrSetting = errors.New("wrong setting")

// leastKept is how many blocks a node keeps at least, so that others who were
// away for some days can still get them from it.
const leastKept = 10_000

// environmentPrefix starts the environment variable of every setting.
const environmentPrefix = "MUNIMENT_"

// Config is what an operator may choose. munimentd.toml explains each setting.
type Config struct {
	P2P struct {
		Listen string   `toml:"listen"`
		Peers  []string `toml:"peers"`
	} `toml:"p2p"`
	GRPC struct {
		Listen string `toml:"listen"`
	} `toml:"grpc"`
	Tiles struct {
		Listen string `toml:"listen"`
	} `toml:"tiles"`
	Monitor struct {
		Listen string `toml:"listen"`
	} `toml:"monitor"`
	Store struct {
		CacheMiB   int `toml:"cache_mib"`
		KeepBlocks int `toml:"keep_blocks"`
	} `toml:"store"`
	Custody struct {
		EraseEvery     string `toml:"erase_every"`
		ReplicateEvery string `toml:"replicate_every"`
	} `toml:"custody"`
	Log struct {
		Level  string `toml:"level"`
		Format string `toml:"format"`
	} `toml:"log"`
	Watch struct {
		RefuseBelowPercent int `toml:"refuse_below_percent"`
		StopBelowPercent   int `toml:"stop_below_percent"`
		SilenceSeconds     int `toml:"silence_seconds"`
		ClockSeconds       int `toml:"clock_seconds"`
	} `toml:"watch"`
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	var c Config
	c.P2P.Listen, c.P2P.Peers = "127.0.0.1:26656", []string{}
	c.GRPC.Listen, c.Tiles.Listen, c.Monitor.Listen = "127.0.0.1:7450", "127.0.0.1:7451", "127.0.0.1:7452"
	c.Store.CacheMiB = 64
	c.Custody.EraseEvery, c.Custody.ReplicateEvery = "5m", "10s"
	c.Log.Level, c.Log.Format = "info", "text"
	c.Watch.RefuseBelowPercent, c.Watch.StopBelowPercent = 10, 3
	c.Watch.SilenceSeconds, c.Watch.ClockSeconds = 120, 60
	return c
}

// settings gives each setting by its dotted name, as a pointer to its value.
func (c *Config) settings() map[string]any {
	return map[string]any{
		"p2p.listen": &c.P2P.Listen, "p2p.peers": &c.P2P.Peers,
		"grpc.listen": &c.GRPC.Listen, "tiles.listen": &c.Tiles.Listen, "monitor.listen": &c.Monitor.Listen,
		"store.cache_mib": &c.Store.CacheMiB, "store.keep_blocks": &c.Store.KeepBlocks, "custody.erase_every": &c.Custody.EraseEvery,
		"custody.replicate_every": &c.Custody.ReplicateEvery,
		"log.level":               &c.Log.Level, "log.format": &c.Log.Format,
		"watch.refuse_below_percent": &c.Watch.RefuseBelowPercent, "watch.stop_below_percent": &c.Watch.StopBelowPercent,
		"watch.silence_seconds": &c.Watch.SilenceSeconds, "watch.clock_seconds": &c.Watch.ClockSeconds,
	}
}

// Set gives a setting, by its dotted name, the value that a text spells.
func (c *Config) Set(name, value string) error {
	switch p := c.settings()[name].(type) {
	case *string:
		*p = value
	case *int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%s = %q: %w: not a number", name, value, ErrSetting)
		}
		*p = n
	case *[]string:
		*p = []string{}
		if value != "" {
			*p = strings.Split(value, ",")
		}
	default:
		return fmt.Errorf("%s: %w: there is no such setting", name, ErrSetting)
	}
	return nil
}

// LoadConfig reads the configuration of a home: the file, over it the
// environment (as os.Environ gives it), over it the flags, by dotted name. A
// home without a file has the defaults.
func LoadConfig(home Home, environment []string, flags map[string]string) (Config, error) {
	c := DefaultConfig()
	text, err := os.ReadFile(home.Config())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	if err := c.read(text); err != nil {
		return Config{}, fmt.Errorf("read %s: %w", home.Config(), err)
	}
	for name := range c.settings() {
		variable := environmentPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
		for _, pair := range environment {
			if key, value, _ := strings.Cut(pair, "="); key == variable {
				if err := c.Set(name, value); err != nil {
					return Config{}, fmt.Errorf("environment variable %s: %w", variable, err)
				}
			}
		}
	}
	for name, value := range flags {
		if err := c.Set(name, value); err != nil {
			return Config{}, err
		}
	}
	if err := c.check(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// read takes over what a file says, and refuses what it does not know.
func (c *Config) read(text []byte) error {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(c)
	if missing, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return fmt.Errorf("%w: there is no such setting:\n%s", ErrSetting, missing.String())
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		return fmt.Errorf("%w:\n%s", ErrSetting, bad.String())
	}
	return err
}

// check finds settings that cannot be meant.
func (c *Config) check() error {
	for name, address := range map[string]string{
		"p2p.listen": c.P2P.Listen, "grpc.listen": c.GRPC.Listen, "tiles.listen": c.Tiles.Listen, "monitor.listen": c.Monitor.Listen,
	} {
		optional := name == "tiles.listen" || name == "monitor.listen"
		if address == "" && optional {
			continue
		}
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return fmt.Errorf("%s = %q: %w: use host:port", name, address, ErrSetting)
		}
	}
	for _, peer := range c.P2P.Peers {
		id, address, ok := strings.Cut(peer, "@")
		if _, _, err := net.SplitHostPort(address); !ok || err != nil || !validNodeID(id) {
			return fmt.Errorf("p2p.peers: %q: %w: use ID@host:port", peer, ErrSetting)
		}
	}
	if _, err := c.logLevel(); err != nil {
		return err
	}
	if _, err := c.eraseEvery(); err != nil {
		return err
	}
	if _, err := c.replicateEvery(); err != nil {
		return err
	}
	w := c.Watch
	switch {
	case c.Log.Format != "text" && c.Log.Format != "json":
		return fmt.Errorf("log.format = %q: %w: use text or json", c.Log.Format, ErrSetting)
	case c.Store.KeepBlocks != 0 && c.Store.KeepBlocks < leastKept:
		return fmt.Errorf("store.keep_blocks = %d: %w: use 0 for all of them, or at least %d", c.Store.KeepBlocks, ErrSetting, leastKept)
	case c.Store.CacheMiB < 8 || c.Store.CacheMiB > 1<<16:
		return fmt.Errorf("store.cache_mib = %d: %w: use 8 to 65536", c.Store.CacheMiB, ErrSetting)
	case w.StopBelowPercent < 1 || w.RefuseBelowPercent <= w.StopBelowPercent || w.RefuseBelowPercent > 50:
		return fmt.Errorf("watch.refuse_below_percent = %d, stop_below_percent = %d: %w: use 50 >= refuse > stop >= 1", w.RefuseBelowPercent, w.StopBelowPercent, ErrSetting)
	case w.SilenceSeconds < 45:
		return fmt.Errorf("watch.silence_seconds = %d: %w: a heartbeat takes 30, use at least 45", w.SilenceSeconds, ErrSetting)
	case w.ClockSeconds < 1:
		return fmt.Errorf("watch.clock_seconds = %d: %w: use at least 1", w.ClockSeconds, ErrSetting)
	}
	return nil
}

func (c *Config) logLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil || strings.ToLower(level.String()) != c.Log.Level {
		return 0, fmt.Errorf("log.level = %q: %w: use debug, info, warn or error", c.Log.Level, ErrSetting)
	}
	return level, nil
}

// eraseEvery is how often custody looks whether something is to be erased.
func (c *Config) eraseEvery() (time.Duration, error) {
	return between("custody.erase_every", c.Custody.EraseEvery, "5m", 24*time.Hour)
}

// replicateEvery is how often this custodian compares what it keeps with the others.
func (c *Config) replicateEvery() (time.Duration, error) {
	return between("custody.replicate_every", c.Custody.ReplicateEvery, "10s", time.Hour)
}

// between reads a duration of at least a second.
func between(name, text, example string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d > most {
		return 0, fmt.Errorf("%s = %q: %w: use 1s to %.0fh, as %s", name, text, ErrSetting, most.Hours(), example)
	}
	return d, nil
}

// NewLog gives the log that the configuration asks for, on w.
func (c *Config) NewLog(w io.Writer) (*slog.Logger, error) {
	level, err := c.logLevel()
	if err != nil {
		return nil, err
	}
	o := &slog.HandlerOptions{Level: level}
	if c.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}

// validNodeID says whether id is 40 lower-case hex digits.
func validNodeID(id string) bool {
	return len(id) == 40 && strings.Trim(id, "0123456789abcdef") == ""
}
