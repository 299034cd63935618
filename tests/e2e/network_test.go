package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/tests/ports"
)

// until waits for something that a node comes to by itself.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for wait := ctx(t); !is(); <-tick.C {
		if wait.Err() != nil {
			t.Fatalf("it never came to: %s", what)
		}
	}
}

// health is what munimentd status prints of a node's place in the network.
type health struct {
	Validators uint32
	Peers      uint32
	Size       int64 `json:"log_size,string"`
	Cosigned   int64 `json:"cosigned_size,string"`
	Behind     bool  `json:"catching_up"`
}

func (h *hall) health(t testing.TB) (s health) {
	t.Helper()
	out := h.operator(t, 0, "", "status", "--output", "json").stdout
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

var proposed = regexp.MustCompile(`(?m)entry (\d+)$`)

// decide has the clerk propose and the CIO approve a change, and gives what the
// approval said, which is to end with a code. The staff takes note of new keys.
func (h *hall) decide(t testing.TB, code int, card string, args ...string) ended {
	t.Helper()
	proposal := find(t, proposed, h.as(t, 0, "CLERK", args...).stdout)
	approve := []string{"office", "approve", proposal}
	if card != "" {
		approve = append(approve, "--card", card)
	}
	done := h.as(t, code, "CIO", approve...)
	h.as(t, 0, "CLERK", "network", "refresh")
	return done
}

// keyLine is a line of munimentd keys.
type keyLine struct {
	Use        string
	Generation int
	State      string
}

// keys gives the state of each key of a home, as "validator 2 in use".
func (h *hall) keys(t testing.TB) (list []string) {
	t.Helper()
	var all struct{ Keys []keyLine }
	out := h.operator(t, 0, "", "keys", "--output", "json", "--passphrase-file", h.secret).stdout
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, k := range all.Keys {
		list = append(list, fmt.Sprint(k.Use, " ", k.Generation, " ", k.State))
	}
	return list
}

// pinned is the network file that the staff believes.
func (w *town) pinned() string {
	return filepath.Join(w.desk, "config/muniment/networks", w.network.ChainID+".mun")
}

// TestMembersComeAndGo: what is anchored at one node is proved by another; nobody is
// removed while too few are up; a fifth node is admitted, finds everybody and votes;
// a member that leaves is cut off, and says so.
func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.begin(t)
	index := w.anchor(t, "minutes.txt", []byte("The council met.\n"))
	for i := range w.at {
		w.at[i].as(t, 0, "DPW", "receipt", index)
	}
	ids := make([]string, 4)
	for i := range ids {
		ids[i] = w.at[i].ids[0]
	}

	// One is down: of the three that would stay when another leaves, two are up.
	w.end(2)
	refused := w.at[0].decide(t, 7, "", "node", "remove", ids[3])
	if !strings.Contains(refused.stderr, "(QUORUM_AT_RISK)") || !strings.Contains(refused.stderr, "see that every validator is up") {
		t.Errorf("removal while one is down: %s", refused.stderr)
	}
	w.begin(t, 2)

	// A fifth one asks, is admitted, and joins with what a member exports.
	fifth := &hall{city: &city{home: node.Home(filepath.Join(w.dir, "node-5")), network: w.network, offices: w.offices}, desk: w.desk, tmp: w.tmp, secret: w.secret}
	fifth.operator(t, 0, "", "member", "request", "--p2p", ports.Free(t), "--grpc", ports.Free(t), "--passphrase-file", w.secret)
	card := filepath.Join(string(fifth.home), "member.card")
	w.at[0].decide(t, 0, card, "node", "admit", card)
	handout := filepath.Join(w.dir, "handout")
	w.at[0].operator(t, 0, "", "member", "export", handout)
	fifth.operator(t, 0, "", "member", "join", handout)
	newcomer := launch(t, "start", "--home", string(fifth.home), "--passphrase-file", w.secret, "--set", "log.level=debug",
		"--set", "tiles.listen=", "--set", "monitor.listen=", "--set", "watch.refuse_below_percent=2", "--set", "watch.stop_below_percent=1")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("node 5:\n%s", said(newcomer.stderr.String()))
		}
	})
	until(t, "everybody is connected to everybody", func() bool {
		return fifth.health(t).Peers == 4 && !slices.ContainsFunc(w.at[:], func(h *hall) bool { return h.health(t).Peers != 4 || h.health(t).Validators != 5 })
	})
	// Four of five are a quorum only if the fifth one votes.
	w.end(3)
	w.anchor(t, "more.txt", []byte("It met again.\n"))
	w.begin(t, 3)
	until(t, "the fourth is back", func() bool { return !w.at[3].health(t).Behind })

	// The fourth one leaves.
	gone := w.at[0].decide(t, 0, "", "node", "remove", ids[3])
	if !strings.Contains(gone.stderr, "approving: node "+ids[3]+" leaves: its keys are never used again") {
		t.Errorf("approval of a removal: %s", gone.stderr)
	}
	until(t, "the fourth has no connection", func() bool { return w.at[3].health(t).Peers == 0 })
	until(t, "the fourth says so", func() bool {
		return strings.Count(w.nodes[3].stderr.String(), "this node is no longer a member of the network, as the offices have decided") == 1
	})
	w.anchor(t, "last.txt", []byte("It met for the last time.\n"))
	for _, h := range append(w.at[:3:3], fifth) {
		until(t, "the others go on", func() bool { s := h.health(t); return s.Peers == 3 && s.Validators == 4 && s.Size == s.Cosigned })
	}
	if left := w.at[3].health(t); left.Peers != 0 {
		t.Errorf("who has left has %d connections again", left.Peers)
	}
	newcomer.stop()
	w.end(0, 1, 2, 3)
}

// TestEveryKeyOfEveryNodeChanges: all keys of all nodes are replaced by decisions,
// while the network goes on. What was proved in the first era stays proved.
func TestEveryKeyOfEveryNodeChanges(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	w.begin(t)
	const content = "The council met.\n"
	index := w.anchor(t, "minutes.txt", []byte(content))
	receipt, again := w.out("first.receipt"), w.out("again.receipt")
	w.as(t, 0, "DPW", "receipt", index, "-o", receipt)
	w.as(t, 0, "DPW", "receipt", index, "-o", again)
	w.copied(t, 0, 3, 1)
	founders := fmt.Sprint(read(t, w.at[0].home.Network()))

	// The first one goes over to new signing keys by itself, while it runs.
	first := w.at[0]
	first.operator(t, 0, "", "keys", "new", "validator", "cosigner", "log", "--passphrase-file", w.secret)
	card := filepath.Join(string(first.home), "member.card")
	w.at[1].decide(t, 0, card, "node", "change", card)
	until(t, "the first knows its new keys", func() bool {
		keys := strings.Join(first.keys(t), "\n")
		return strings.Contains(keys, "validator 2 in use") && strings.Contains(keys, "cosigner 2 in use") && strings.Contains(keys, "log 2 in use")
	})
	first.operator(t, 0, "", "keys", "drop", "--passphrase-file", w.secret)
	if keys := fmt.Sprint(first.keys(t)); keys != "[node 1 in use validator 2 in use cosigner 2 in use log 2 in use custodian 1 in use]" {
		t.Errorf("the first has %s", keys)
	}

	for i := range w.at {
		w.replaceKeys(t, i)
	}
	for i := range w.at {
		until(t, "everybody is connected to everybody", func() bool { return w.at[i].health(t).Peers == 3 })
		keys := w.at[i].keys(t)
		for _, k := range keys {
			if !strings.HasSuffix(k, " in use") || strings.Contains(k, " 1 ") {
				t.Errorf("node %d has %q", i+1, keys)
			}
		}
	}
	w.copied(t, 0, 3, 1)
	w.same(t, index, content, 0, 1, 2)
	w.anchor(t, "new.txt", []byte("It met under new keys.\n"))

	// The staff believes the new keys on the word of the old ones.
	if fmt.Sprint(read(t, w.pinned())) == founders {
		t.Fatal("the network file is as it was at the founding")
	}
	verify := func(code int, words string, args ...string) {
		t.Helper()
		if out := program(t, code, words, "muniment-verify", append([]string{"--network", w.pinned()}, args...)...).stdout; !strings.Contains(out, words) {
			t.Errorf("muniment-verify %v: no %q in\n%s", args, words, out)
		}
	}
	proof := w.out("old.consistency")
	w.as(t, 0, "DPW", "receipt", "refresh", "--proof", proof, receipt)
	verify(0, ": PASSED", "--consistency", proof, receipt)
	w.as(t, 0, "DPW", "receipt", "refresh", again)
	verify(0, ": PASSED", again)
	w.end(0, 1, 2, 3)
}

// replaceKeys replaces all keys of a node that are of the first generation, its
// node key among them: it hands over what it keeps before, and takes it again.
func (w *town) replaceKeys(t testing.TB, i int) {
	t.Helper()
	own, via := w.at[i], w.at[(i+1)%len(w.at)]
	uses := []string{}
	for _, k := range own.keys(t) {
		if use, ok := strings.CutSuffix(k, " 1 in use"); ok {
			uses = append(uses, use)
		}
	}
	keeps := slices.Contains(uses, "custodian")
	old := own.ids[0]
	if keeps {
		own.operator(t, 0, "", "custody", "leave", "CITY")
		via.decide(t, 0, "", "custody", "set", "CITY", "--remove", old)
	}
	var made struct{ Node, Card string }
	out := own.operator(t, 0, "", append([]string{"keys", "new", "--output", "json", "--passphrase-file", w.secret}, uses...)...).stdout
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	via.decide(t, 0, made.Card, "node", "replace", made.Card, "--old", old)
	until(t, "the node hears that it goes by another key", func() bool {
		return strings.Contains(w.nodes[i].stderr.String(), "run munimentd keys use node 2 and start it again")
	})
	w.end(i)
	own.operator(t, 0, "", "keys", "use", "node", "--passphrase-file", w.secret)
	w.begin(t, i)
	via.as(t, 0, "CLERK", "network", "refresh")
	own.ids[0] = made.Node
	w.hall.ids = w.at[0].ids
	if keeps {
		via.decide(t, 0, "", "custody", "set", "CITY", "--add", made.Node)
		w.copied(t, (i+1)%3, 3, 1)
	}
	until(t, "the node knows its keys", func() bool { return !strings.Contains(fmt.Sprint(own.keys(t)), "not registered") })
	own.operator(t, 0, "", "keys", "drop", "--passphrase-file", w.secret)
	if _, err := os.Stat(filepath.Join(string(own.home), "keys/node.key")); !os.IsNotExist(err) {
		t.Errorf("the first node key of node %d is still there: %v", i+1, err)
	}
}
