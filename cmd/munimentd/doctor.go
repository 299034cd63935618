package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/vault"
)

// finding is what one check found out.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"` // "ok", "warning" or "bad"
	Found string `json:"found"`
	Fix   string `json:"fix,omitempty"`
}

func ok(found string, args ...any) finding {
	return finding{State: "ok", Found: fmt.Sprintf(found, args...)}
}

func warning(fix, found string, args ...any) finding {
	return finding{State: "warning", Found: fmt.Sprintf(found, args...), Fix: fix}
}

func bad(fix, found string, args ...any) finding {
	return finding{State: "bad", Found: fmt.Sprintf(found, args...), Fix: fix}
}

func doctorCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong with this home and say how to mend it; changes nothing",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			findings := o.examine(c)
			wrong := 0
			for _, f := range findings {
				if f.State == "bad" {
					wrong++
				}
				if o.output == "text" {
					fmt.Fprintf(c.OutOrStdout(), "%-8s %-14s %s\n", f.State, f.Check, f.Found)
					if f.Fix != "" {
						fmt.Fprintf(c.OutOrStdout(), "%-8s %-14s %s\n", "", "", f.Fix)
					}
				}
			}
			if o.output == "json" {
				if err := json.NewEncoder(c.OutOrStdout()).Encode(findings); err != nil {
					return err
				}
			}
			if wrong > 0 {
				return withCode(exitPrecondition, fmt.Errorf("%d of %d checks found something wrong", wrong, len(findings)))
			}
			return nil
		},
	}
}

func (o options) examine(c *cobra.Command) []finding {
	if err := o.checkHome(); err != nil {
		return []finding{{Check: "home", State: "bad", Found: err.Error()}} // nothing else can be looked at
	}
	status, statusErr := o.status(c.Context())
	running := statusErr == nil
	var findings []finding
	for _, check := range []struct {
		name string
		run  func() finding
	}{
		{"permissions", o.checkPermissions},
		{"configuration", o.checkConfig},
		{"network", o.checkNetwork},
		{"home key", o.checkHomeKey},
		{"claim", o.checkClaim},
		{"signer state", o.checkSigner},
		{"ledger", func() finding { return o.checkLedger(status) }},
		{"clock", func() finding { return o.checkClock(time.Now()) }},
		{"access log", o.checkAccessLog},
		{"keyring", func() finding { return o.checkKeyring(status) }},
		{"token", func() finding { return o.checkToken(status) }},
		{"erasures", func() finding { return o.checkErasures(status) }},
		{"disk", o.checkDisk},
		{"swap", checkSwap},
		{"listeners", func() finding { return o.checkListeners(running) }},
		{"node", func() finding { return checkRunning(status, statusErr, time.Now()) }},
	} {
		f := check.run()
		f.Check = check.name
		findings = append(findings, f)
	}
	return findings
}

// checkPermissions wants nothing of the home readable for others.
func (o options) checkPermissions() finding {
	var open []string
	err := filepath.WalkDir(o.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil // came and went while the node works
		}
		secret := strings.HasSuffix(path, ".key") || d.IsDir() && path != o.home
		if secret && info.Mode().Perm()&0o077 != 0 {
			open = append(open, path)
		}
		return nil
	})
	switch {
	case err != nil:
		return bad("", "cannot look: %v", err)
	case len(open) > 0:
		return bad("chmod -R go-rwx "+o.home, "%d files or folders are open to others, as %s", len(open), open[0])
	}
	return ok("keys and folders are the owner's alone")
}

func (o options) checkConfig() finding {
	if _, err := node.LoadConfig(o.node(), os.Environ(), nil); err != nil {
		return bad("mend the setting", "%v", err)
	}
	return ok("%s", o.node().Config())
}

func (o options) checkNetwork() finding {
	genesis, err := os.ReadFile(o.node().Genesis())
	if err != nil {
		return bad("restore genesis.json as it was at the founding", "%v", err)
	}
	if _, err := node.ParseGenesis(genesis); err != nil {
		return bad("restore genesis.json as it was at the founding", "%v", err)
	}
	text, err := os.ReadFile(o.node().Network())
	if err != nil {
		return bad("copy network.mun from another member", "%v", err)
	}
	network, err := receipt.ParseNetwork(text)
	if err != nil {
		return bad("copy network.mun from another member", "%v", err)
	}
	if network.ID != sha256.Sum256(genesis) {
		return bad("restore genesis.json as it was at the founding", "genesis.json is not of the network in network.mun")
	}
	return ok("%s, fingerprint %x", network.ChainID, network.Fingerprint())
}

func (o options) checkHomeKey() finding {
	text, err := os.ReadFile(filepath.Join(o.node().Keys(), "home.key"))
	if err != nil {
		return bad("restore the key file from where it is kept", "%v", err)
	}
	info, err := keyfile.Parse(text)
	if err != nil {
		return bad("restore the key file from where it is kept", "%v", err)
	}
	if info.Iterations < keyfile.Iterations {
		return warning("make a new home with this version for real records", "the passphrase is stretched %d times, %d are usual", info.Iterations, keyfile.Iterations)
	}
	return ok("sealed, %d iterations", info.Iterations)
}

func (o options) checkSigner() finding {
	for _, name := range []string{"validator.state", "cosigner.state"} {
		if _, err := os.Stat(filepath.Join(o.node().Signer(), name)); err != nil {
			return bad("never make it anew while the validator is registered: it guards against signing twice", "%v", err)
		}
	}
	return ok("%s", o.node().Signer())
}

// checkClock compares this machine's clock with what cannot be later: the
// founding, and the last signature.
func (o options) checkClock(now time.Time) finding {
	const tolerance = time.Minute
	if err := o.checkFounded(now); err != nil {
		return bad("set the clock of this machine", "%v", err)
	}
	info, err := os.Stat(filepath.Join(o.node().Signer(), "validator.state"))
	if err == nil && info.ModTime().After(now.Add(tolerance)) {
		return bad("set the clock of this machine", "the last signature is of %s, the clock says %s", clock(info.ModTime()), clock(now))
	}
	return ok("%s", clock(now))
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (o options) checkAccessLog() finding {
	head, err := vault.VerifyLog(o.node().Accesses())
	if err != nil {
		return bad("keep it as it is and look for who changed it", "%v", err)
	}
	return ok("%d lines, chain whole", head.Size)
}

// checkKeyring wants the rings of all records that are kept: by what the running
// node counts, else by the vault.
func (o options) checkKeyring(s *apiv1.StatusResponse) finding {
	rings, err := filepath.Glob(filepath.Join(o.node().Rings(), "ring-*.epoch"))
	switch {
	case err != nil:
		return bad("", "cannot look: %v", err)
	case s != nil && s.RecordsHere > 0 && len(rings) == 0:
		return bad("stop the node, then run munimentd restore --keyring FILE with the newest backup", "%d records are kept here, and no ring that opens them", s.RecordsHere)
	case s == nil:
		if err := o.node().CheckRings(); errors.Is(err, node.ErrRingsLost) {
			return bad(ringsLostFix, "%v", err)
		} else if err != nil {
			return bad("", "cannot look: %v", err)
		}
	}
	if len(rings) == 1 {
		return ok("1 ring")
	}
	return ok("%d rings", len(rings))
}

// checkErasures looks for what was to be destroyed and may be there: in the
// running node, else among the files of the rings.
func (o options) checkErasures(s *apiv1.StatusResponse) finding {
	if s == nil {
		journals, err := filepath.Glob(filepath.Join(o.node().Rings(), "ring-*.journal"))
		if err != nil || len(journals) > 0 {
			return warning("start the node: it finishes them before it gives anything out", "%d rings were being replaced when the node ended", len(journals))
		}
		return ok("no ring is being replaced")
	}
	switch {
	case len(s.Quarantined) > 0:
		return bad("wait for the next round, or run munimentd erase: it says what is missing", "older than the ledger's erasures, and shut: %s", strings.Join(s.Quarantined, ", "))
	case s.ErasuresPending > 0:
		return ok("%d pending, carried out every so often; munimentd erase says what they wait for", s.ErasuresPending)
	}
	return ok("nothing is pending")
}

func (o options) checkDisk() finding {
	disk, err := o.node().Disk()
	if err != nil {
		return bad("", "cannot look: %v", err)
	}
	config, err := node.LoadConfig(o.node(), os.Environ(), nil)
	if err != nil {
		config = node.DefaultConfig() // the finding about the configuration says what is wrong
	}
	free, percent := disk.Free>>20, disk.Percent()
	if percent < float64(config.Watch.RefuseBelowPercent) {
		fix := fmt.Sprintf("make room: below %d %% the node admits governance alone, below %d %% it stops", config.Watch.RefuseBelowPercent, config.Watch.StopBelowPercent)
		return bad(fix, "%d MiB free, %.1f %%", free, percent)
	}
	return ok("%d MiB free, %.1f %%", free, percent)
}

func checkSwap() finding {
	text, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return ok("this system lists no swap")
	}
	if lines := strings.Count(strings.TrimSpace(string(text)), "\n"); lines > 0 {
		return warning("switch swap off (swapoff -a), forbid it to this service (MemorySwapMax=0), or encrypt it: keys in memory can reach it, and an erased key stays there",
			"%d swap areas are in use", lines)
	}
	return ok("off")
}

// checkListeners tries the addresses while the node does not hold them.
func (o options) checkListeners(running bool) finding {
	if running {
		return ok("held by the running node")
	}
	config, err := node.LoadConfig(o.node(), os.Environ(), nil)
	if err != nil {
		return bad("mend the configuration first", "unknown")
	}
	var addresses []string
	for _, address := range []string{config.P2P.Listen, config.GRPC.Listen, config.Tiles.Listen, config.Monitor.Listen} {
		if address == "" {
			continue
		}
		addresses = append(addresses, address)
		l, err := net.Listen("tcp", address)
		if err != nil {
			return bad("stop the other program, or change the address in munimentd.toml", "%v", err)
		}
		l.Close()
	}
	return ok("free: %s", strings.Join(addresses, ", "))
}

func checkRunning(s *apiv1.StatusResponse, err error, now time.Time) finding {
	if err != nil {
		return warning("", "%v", err)
	}
	age := now.Sub(time.Unix(0, s.BlockTime)).Round(time.Second)
	switch {
	case s.CatchingUp:
		return warning("wait", "catching up at height %d", s.Height)
	case age > 3*time.Minute || age < -time.Minute:
		return bad("look at the clock of this machine and at the other validators", "the last block is %v old, height %d", age, s.Height)
	case s.Peers == 0 && s.Validators > 1:
		return warning("look at the log of this node, which says so where the offices have removed it; else see that the others run and that p2p gets through", "no other node is connected, height %d", s.Height)
	case s.CosignedSize != s.LogSize:
		return warning("wait; if it stays so, look at the other validators", "%d of %d entries are cosigned", s.CosignedSize, s.LogSize)
	}
	return ok("height %d, the last block is %v old", s.Height, age)
}
