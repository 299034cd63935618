package e2e

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/tests/ports"
)

// A hall is a city with all offices that a disposition needs, whose custodian has
// one peer, which has no vote and keeps no content. Its staff work with the program
// muniment; all that it writes lies in one folder.
type hall struct {
	*city
	peer    node.Home
	p2p     [2]string // addresses of the custodian and of the peer
	ids     [2]string
	desk    string // folder of the staff: config, state, tmp, records, out
	secret  string // file of the passphrase
	node    *running
	second  *running // the peer
	tmp     string   // temporary folder of both nodes
	metrics string   // where the custodian serves its metrics
}

var today = record.LedgerDay(time.Now().UnixNano())

// newHall founds the network and gives the staff their keys, which open quickly.
func newHall(t testing.TB) *hall {
	t.Helper()
	dir := t.TempDir()
	h := &hall{
		city: &city{home: node.Home(filepath.Join(dir, "home")), address: ports.Free(t), offices: map[record.Code]office{}},
		peer: node.Home(filepath.Join(dir, "peer")), p2p: [2]string{ports.Free(t), ports.Free(t)},
		desk: filepath.Join(dir, "desk"), tmp: filepath.Join(dir, "tmp"),
	}
	for _, sub := range []string{"config/muniment/keys", "state", "tmp", "records", "out"} {
		if err := os.MkdirAll(filepath.Join(h.desk, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(h.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	h.secret = write(t, filepath.Join(dir, "passphrase"), []byte(passphrase+"\n"))
	for code, roles := range map[record.Code][]record.Role{
		"CLERK": {record.RoleDepartment, record.RoleClerk, record.RoleGovernor}, "CIO": {record.RoleIT, record.RoleGovernor},
		"COUNSEL": {record.RoleCounsel, record.RoleGovernor}, "OPRA": {record.RoleStateRecords}, "CAO": {record.RoleChiefAdmin}, "ARCHIVIST": {record.RoleStateArchivist},
		"DPW": {record.RoleDepartment},
	} {
		h.offices[code] = office{code: code, roles: roles, signing: newKey(t), access: newKey(t)}
	}
	h.found(t)
	noSecretsBelow(t, dir, "desk", "passphrase")
	h.staff(t)
	return h
}

func (h *hall) found(t testing.TB) {
	t.Helper()
	f := node.Founding{ChainID: "muniment-hall-1", Origin: "records.example.org/hall", Time: time.Now()}
	for i, home := range []node.Home{h.home, h.peer} {
		keys, err := node.MakeKeys(home, node.KeyOptions{Rand: rand.Reader, Passphrase: []byte(passphrase), Iterations: 1000, Custodian: true, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			f.Facts = h.facts(record.KeyIDOf(keys.Custodian.Public().(ed25519.PublicKey)))
		}
		keepKeys(t, home)
		f.Members = append(f.Members, node.Member{Node: keys.Fact(uint32(10 * (1 - i))), Address: h.address, Certificate: keys.Certificate})
		h.ids[i] = keys.ID()
	}
	genesis, network, err := node.Found(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, home := range []node.Home{h.home, h.peer} {
		if err := node.Join(home, genesis, network); err != nil {
			t.Fatal(err)
		}
	}
	if h.network, err = receipt.ParseNetwork(network); err != nil {
		t.Fatal(err)
	}
	// dial calls the first node: the custodian.
	slices.SortFunc(h.network.Nodes, func(a, b receipt.Node) int {
		return cmp.Compare(slices.Index(h.ids[:], a.ID), slices.Index(h.ids[:], b.ID))
	})
}

func (h *hall) facts(custodian record.KeyID) []record.Fact {
	facts := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for code, o := range h.offices {
		facts = append(facts, &record.Office{Code: code, Roles: o.roles, Status: record.StatusActive})
		for use, key := range map[record.KeyUse]ed25519.PrivateKey{record.UseSigning: o.signing, record.UseAccess: o.access} {
			facts = append(facts, &record.Key{Office: code, Use: use, PublicKey: [32]byte(key.Public().(ed25519.PublicKey)), Status: record.StatusActive})
		}
	}
	governors := []record.Code{"CIO", "CLERK", "COUNSEL"}
	return append(facts,
		&record.Governance{Subject: record.SubjectRecords, Offices: governors, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: governors, Threshold: 2},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{custodian}},
		&record.Series{Code: "DEMO-MINUTES", Granularity: record.GranularityDay, Status: record.StatusActive},
		&record.Series{Code: "DEMO-LINKS", Granularity: record.GranularityDay, Status: record.StatusActive},
	)
}

// staff writes the keys of all offices and the settings of muniment.
func (h *hall) staff(t testing.TB) {
	t.Helper()
	var settings strings.Builder
	fmt.Fprintf(&settings, "account = \"00112233445566aa\"\n")
	for code, o := range h.offices {
		fmt.Fprintf(&settings, "[keys.%s]\nsigning = \"%x\"\naccess = \"%x\"\n", code, o.signing.Public(), o.access.Public())
		for use, key := range map[string]ed25519.PrivateKey{"signing": o.signing, "access": o.access} {
			name := string(code) + "-" + use
			text, err := keyfile.Seal(rand.Reader, []byte(passphrase), 1000, name, key.Seed())
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(h.desk, "config/muniment/keys", name+".key"), text)
		}
	}
	write(t, filepath.Join(h.desk, "config/muniment/config.toml"), []byte(settings.String()))
	h.as(t, 0, "CLERK", "network", "add", h.home.Network(), "--fingerprint", fmt.Sprintf("%x", sha256.Sum256(read(t, h.home.Network()))))
}

// as runs muniment for an office and wants its exit code. While the custodian is
// still behind its peer it asks again.
func (h *hall) as(t testing.TB, code int, office string, args ...string) ended {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for wait := ctx(t); ; {
		e := h.try(t, office, args...)
		if e.code != code && strings.Contains(e.stderr, "(BEHIND)") && wait.Err() == nil {
			<-tick.C
			continue
		}
		if e.code != code || strings.Contains(e.stderr, "goroutine ") {
			t.Fatalf("%s: muniment %s: exit code %d, want %d\n%s%s", office, strings.Join(args, " "), e.code, code, e.stdout, e.stderr)
		}
		return e
	}
}

func (h *hall) try(t testing.TB, office string, args ...string) ended {
	t.Helper()
	cmd := exec.CommandContext(ctx(t), filepath.Join(programs, "muniment"), append([]string{"--node", h.ids[0], "--office", office, "--passphrase-file", h.secret}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(h.desk, "config"), "XDG_STATE_HOME="+filepath.Join(h.desk, "state"),
		"TMPDIR="+filepath.Join(h.desk, "tmp"), "NO_COLOR=1")
	cmd.Dir = h.desk
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// open starts both nodes, the peer after the one that it follows.
func (h *hall) open(t testing.TB, more ...string) {
	t.Helper()
	t.Setenv("TMPDIR", h.tmp)
	args := func(home node.Home, i int, more ...string) []string {
		return append([]string{"start", "--home", string(home), "--passphrase-file", h.secret, "--set", "log.level=debug",
			"--set", "p2p.listen=" + h.p2p[i], "--set", "p2p.peers=" + h.ids[1-i] + "@" + h.p2p[1-i], "--set", "custody.erase_every=24h",
			"--set", "watch.refuse_below_percent=2", "--set", "watch.stop_below_percent=1"}, more...)
	}
	t.Cleanup(func() { h.tell(t) })
	h.node = launch(t, append(args(h.home, 0, "--set", "grpc.listen="+h.address, "--set", "tiles.listen=127.0.0.1:0", "--set", "monitor.listen="+h.monitor(t)), more...)...)
	h.second = launch(t, args(h.peer, 1, "--set", "grpc.listen=127.0.0.1:0", "--set", "tiles.listen=", "--set", "monitor.listen=")...)
}

// tell shows the end of both logs where a test has failed.
func (h *hall) tell(t testing.TB) {
	for _, n := range []*running{h.node, h.second} {
		if log := n.stderr.String(); t.Failed() {
			t.Logf("%s\n", log[max(0, len(log)-20_000):])
		}
	}
}

// monitor is where the custodian serves its metrics.
func (h *hall) monitor(t testing.TB) string {
	t.Helper()
	if h.metrics == "" {
		h.metrics = ports.Free(t)
	}
	return h.metrics
}

// meet waits until the peer has the whole log.
func (h *hall) meet(t testing.TB) {
	t.Helper()
	size := func(home node.Home) (s struct {
		Size int64 `json:"log_size,string"`
	}) {
		out := program(t, 0, "", "munimentd", "status", "--home", string(home), "--output", "json").stdout
		if err := json.Unmarshal([]byte(out), &s); err != nil || s.Size == 0 {
			t.Fatalf("%v: %s", err, out)
		}
		return s
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for wait := ctx(t); size(h.peer) != size(h.home); <-tick.C {
		if wait.Err() != nil {
			t.Fatal("the peer does not follow")
		}
	}
}

// close ends both nodes in good order.
func (h *hall) close() {
	h.node.stop()
	h.second.stop()
}

// operator runs munimentd for the custodian's home.
func (h *hall) operator(t testing.TB, code int, words string, args ...string) ended {
	t.Helper()
	return program(t, code, words, "munimentd", append(args, "--home", string(h.home))...)
}

// do signs a message as an office, hands it in, and gives the first item's entry
// and the hash that approvals bind. The reason must be the one that is wanted.
func (h *hall) do(t testing.TB, conn *grpc.ClientConn, office record.Code, reason string, m record.Message) (record.Index, [32]byte) {
	t.Helper()
	var nonce record.Nonce
	rand.Read(nonce[:])
	body, err := record.NewBody(h.network.ID, nonce, today+5, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(h.offices[office].signing, body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := apiv1.NewDepartmentsClient(conn).Submit(ctx(t), &apiv1.SubmitRequest{Transaction: raw})
	if err != nil || r.Reason != reason {
		t.Fatalf("%T of %s: %v, %v, want %s", m, office, r, err, reason)
	}
	return record.Index(r.TransactionIndex) + 1, sha256.Sum256(body)
}

// adopt has the offices adopt rules.
func (h *hall) adopt(t testing.TB, conn *grpc.ClientConn, rules ...*record.ScheduleRule) {
	t.Helper()
	var raw [][]byte
	slices.SortFunc(rules, func(a, b *record.ScheduleRule) int { return cmp.Compare(a.Series, b.Series) })
	for _, r := range rules {
		h.do(t, conn, "CLERK", "OK", &record.ProposeChange{Fact: r})
		fact, err := record.MarshalFact(r)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, fact)
	}
	root, err := record.ScheduleRoot(raw)
	if err != nil {
		t.Fatal(err)
	}
	h.change(t, conn, "CLERK", "COUNSEL", &record.Schedule{Code: rules[0].Schedule, Version: 1, Effective: today, Count: uint32(len(rules)), Root: root})
}

// change proposes a fact and approves it.
func (h *hall) change(t testing.TB, conn *grpc.ClientConn, proposes, approves record.Code, f record.Fact) (record.Index, record.Index) {
	t.Helper()
	proposal, _ := h.do(t, conn, proposes, "OK", &record.ProposeChange{Fact: f})
	hash, err := record.FactHash(f)
	if err != nil {
		t.Fatal(err)
	}
	approval, _ := h.do(t, conn, approves, "OK", &record.ApproveChange{Proposal: proposal, FactHash: hash})
	return proposal, approval
}

// rule is one under which records of a series are due after sixty days.
func rule(series record.Code, approvals ...record.Role) *record.ScheduleRule {
	return &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: retention.Rule{Kind: retention.Need, Count: 60, Unit: retention.Days},
		Action: record.ActionDestroy, Approvals: approvals, NoticeHeights: 1, FiscalStart: 7,
	}
}

var (
	firstNumber = regexp.MustCompile(`(?m)^(\d+)\s`)
	hexHash     = regexp.MustCompile(`[0-9a-f]{64}`)
	disposition = regexp.MustCompile(`(?:disposition|entry)\s+(\d+)`)
)

// find gives what a pattern finds first in a text.
func find(t testing.TB, pattern *regexp.Regexp, text string) string {
	t.Helper()
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m[len(m)-1]
}

// anchor keeps a file of the desk's records and gives its index.
func (h *hall) anchor(t testing.TB, name string, content []byte, more ...string) string {
	t.Helper()
	keepRecord(content, more)
	path := write(t, filepath.Join(h.desk, "records", name), content)
	return find(t, firstNumber, h.as(t, 0, "DPW", append([]string{"anchor", "--series", "DEMO-MINUTES", "--date", "2019-08-15", path}, more...)...).stdout)
}

// erased is what munimentd erase prints.
type erased struct {
	Dispositions                   []uint64
	Destroyed, Redacted, Preserved uint64
	Rings                          uint32
	Waiting                        []struct{ Why string }
}

// erase has the custodian do a round, as soon as it is no longer behind its peer.
func (h *hall) erase(t testing.TB) (e erased) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for wait := ctx(t); ; <-tick.C {
		e = erased{}
		if err := json.Unmarshal([]byte(h.operator(t, 0, "", "erase", "--output", "json").stdout), &e); err != nil {
			t.Fatal(err)
		}
		if len(e.Waiting) == 0 || !strings.Contains(e.Waiting[0].Why, "catching up") || wait.Err() != nil {
			return e
		}
	}
}

// carry approves a disposition, locks it and has the custodian carry it out.
func (h *hall) carry(t testing.TB, proposed string, approvers ...string) string {
	t.Helper()
	d := find(t, disposition, proposed)
	for _, office := range approvers {
		h.as(t, 0, office, "disposition", "approve", d)
	}
	h.as(t, 0, "CIO", "disposition", "lock", d)
	if e := h.erase(t); fmt.Sprint(e.Dispositions) != "["+d+"]" {
		t.Fatalf("disposition %s was not carried out: %+v", d, e)
	}
	return d
}

// out is a new file of the desk's.
func (h *hall) out(name string) string { return filepath.Join(h.desk, "out", name) }

// below lists the files below a folder, as paths from it.
func below(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			path, err = filepath.Rel(dir, path)
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}
