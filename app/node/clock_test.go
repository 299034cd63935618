package node

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/tests/printed"
)

// liar signs votes with a time that a clock of its own makes up.
type liar struct {
	types.PrivValidator
	clock func(height int64, now time.Time) time.Time
}

// SignVote signs the vote at the false time.
func (l liar) SignVote(chainID string, v *cmtproto.Vote) error {
	v.Timestamp = l.clock(v.Height, time.Now()) // the engine's own idea follows the last block
	return l.PrivValidator.SignVote(chainID, v)
}

// openLiar opens a node whose validator lies about the time.
func openLiar(t *testing.T, home Home, c Config, heartbeat time.Duration, clock func(int64, time.Time) time.Time) (*Node, *printed.Output) {
	t.Helper()
	log := new(printed.Output)
	n, err := New(home, c, Options{
		Passphrase: passphrase, Heartbeat: heartbeat, Log: slog.New(slog.NewTextHandler(log, nil)),
		Fatal:   func(err error) { t.Errorf("fatal: %v", err) },
		signing: func(p types.PrivValidator) types.PrivValidator { return liar{p, clock} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Errorf("stop node: %v", err)
		}
	})
	return n, log
}

// propose asks a node for a disposition and gives the answer's code. What it
// names does not matter: a freeze is looked for first.
func propose(t *testing.T, n *Node, nonce byte) ledger.Code {
	t.Helper()
	today := record.LedgerDay(n.View().Head().Time)
	body, err := record.NewBody(n.NetworkID(), record.Nonce{nonce}, today+2,
		&record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: []record.Index{1}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(officeKey("DPW"), body)
	if err != nil {
		t.Fatal(err)
	}
	result, _, err := n.Submit(waiting(t), raw)
	if err != nil {
		t.Fatal(err)
	}
	return result.Code
}

// TestT17_LyingSignerOfTheOnlyValidator has the only validator of a network sign
// at times ahead of its machine's clock: the next block would carry such a
// time, and its own node votes against it. The ledger stands still rather than
// lie; nothing can be locked early. What follows from a machine whose clock is
// wrong altogether is in the tests of package ledger.
func TestT17_LyingSignerOfTheOnlyValidator(t *testing.T) {
	const honest = 5
	for name, ahead := range map[string]time.Duration{"a year": 365 * 24 * time.Hour, "nine minutes": 9 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			n, log := openLiar(t, newHome(t), testConfig(), 50*time.Millisecond, func(h int64, now time.Time) time.Time {
				if h < honest {
					return now
				}
				return now.Add(ahead)
			})
			if err := n.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "two votes against the block with the false time", func() bool {
				return strings.Count(log.String(), "too far in the future") >= 2
			})
			head := n.View().Head()
			if head.Height != honest || time.Unix(0, head.Time).After(time.Now()) {
				t.Errorf("the ledger is at height %d, time %v", head.Height, time.Unix(0, head.Time))
			}
		})
	}
}

// TestT17_OneLiarOfFour lets one validator of four sign at times years away,
// ahead and behind: block time stays where the others are, and nothing freezes.
func TestT17_OneLiarOfFour(t *testing.T) {
	c := newCity(t, 4)
	for i := range c.homes {
		if i > 0 {
			c.open(i)
			continue
		}
		c.nodes[0], _ = openLiar(t, c.homes[0], c.configs[0], time.Second, func(h int64, now time.Time) time.Time {
			return now.AddDate(int(h%3-1)*20, 0, 0)
		})
	}
	for _, n := range c.nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "some blocks", func() bool { return c.nodes[1].View().Head().Height >= 8 })
	head := c.nodes[1].View().Head()
	if off := time.Since(time.Unix(0, head.Time)); off < -time.Second || off > time.Minute {
		t.Errorf("block time is %v away from the honest clocks", off)
	}
	if code := propose(t, c.nodes[1], 1); code != ledger.CodeUnknownRecord {
		t.Errorf("proposal: %s, want %s: nothing is frozen", code, ledger.CodeUnknownRecord)
	}
}
