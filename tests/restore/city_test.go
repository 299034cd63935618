package restore

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/tests/ports"
)

const (
	passphrase = "for tests alone"
	department = record.Code("DPW")
	series     = record.Code("DEMO-MINUTES")
)

var today = record.LedgerDay(time.Now().UnixNano())

// city is a network whose last node is the custodian.
type city struct {
	custodian  node.Home
	validator  node.Home // "": the custodian is the only validator
	p2p        [2]string // addresses of custodian and validator, where there are two
	addresses  [2]string // of gRPC
	certs      [2][]byte
	ids        [2]string
	passphrase string // file
	eraseEvery string // of the setting
	network    receipt.Network
}

func keyOf(office, use string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key " + office + " " + use))
	return ed25519.NewKeyFromSeed(seed[:])
}

func keyFact(office record.Code, use record.KeyUse, name string) *record.Key {
	return &record.Key{Office: office, Use: use, Status: record.StatusActive, PublicKey: [32]byte(keyOf(string(office), name).Public().(ed25519.PublicKey))}
}

// facts is a small city with all that a disposition needs.
func facts(custodian record.KeyID) []record.Fact {
	all := []record.Fact{&record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 30, JumpSeconds: 600}}
	for _, o := range []struct {
		code  record.Code
		roles []record.Role
	}{
		{"CLERK", []record.Role{record.RoleClerk, record.RoleGovernor}}, {"COUNSEL", []record.Role{record.RoleCounsel, record.RoleGovernor}},
		{department, []record.Role{record.RoleDepartment}}, {"IT", []record.Role{record.RoleIT, record.RoleGovernor}},
	} {
		all = append(all, &record.Office{Code: o.code, Roles: o.roles, Status: record.StatusActive},
			keyFact(o.code, record.UseSigning, "signing"), keyFact(o.code, record.UseAccess, "access"))
	}
	return append(all,
		&record.Governance{Subject: record.SubjectRecords, Offices: []record.Code{"CLERK", "COUNSEL"}, Threshold: 2},
		&record.Governance{Subject: record.SubjectSecurity, Offices: []record.Code{"CLERK", "COUNSEL", "IT"}, Threshold: 2},
		&record.CustodianSet{Code: "CITY", Custodians: []record.KeyID{custodian}},
		&record.Series{Code: series, Granularity: record.GranularityDay, Status: record.StatusActive},
	)
}

// newCity founds a network of one node, or of a validator and a custodian.
func newCity(t testing.TB, nodes int) *city {
	t.Helper()
	dir, err := os.MkdirTemp(work, "city")
	if err != nil {
		t.Fatal(err)
	}
	c := &city{custodian: node.Home(filepath.Join(dir, "custodian")), passphrase: filepath.Join(dir, "passphrase"), eraseEvery: "1s"}
	write(t, c.passphrase, []byte(passphrase+"\n"))
	options := node.KeyOptions{Rand: rand.Reader, Passphrase: []byte(passphrase), Iterations: 1000, Custodian: true, Now: time.Now()}
	homes := []node.Home{c.custodian}
	if nodes > 1 {
		c.validator = node.Home(filepath.Join(dir, "validator"))
		homes = append(homes, c.validator)
	}
	f := node.Founding{ChainID: "muniment-restore-1", Origin: "records.example.org/restore", Time: time.Now()}
	for i, home := range homes {
		keys, err := node.MakeKeys(home, options)
		if err != nil {
			t.Fatal(err)
		}
		power := uint32(10)
		if i == 0 {
			f.Facts = facts(record.KeyIDOf(keys.Custodian.Public().(ed25519.PublicKey)))
			power = uint32(10 * (2 - len(homes))) // of two, the custodian has no vote
		}
		c.p2p[i], c.addresses[i], c.ids[i], c.certs[i] = ports.Free(t), ports.Free(t), keys.ID(), keys.Certificate
		f.Members = append(f.Members, node.Member{Node: keys.Fact(power), Address: c.addresses[i], Certificate: keys.Certificate})
	}
	genesis, network, err := node.Found(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, home := range homes {
		if err := node.Join(home, genesis, network); err != nil {
			t.Fatal(err)
		}
	}
	if c.network, err = receipt.ParseNetwork(network); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// dial connects to the custodian as an account of an office, and comes back
// quickly when the node does.
func (c *city) dial(t testing.TB, office record.Code) *grpc.ClientConn {
	t.Helper()
	return c.dialNode(t, office, 0)
}

func (c *city) dialNode(t testing.TB, office record.Code, i int) *grpc.ClientConn {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := identity.Issue(rand.Reader, keyOf(string(office), "access"), identity.Account{Office: office, ID: "00112233445566ff"},
		public, time.Now().Add(-time.Minute), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	config, err := identity.ClientConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, c.certs[i])
	if err != nil {
		t.Fatal(err)
	}
	again := backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1.2, MaxDelay: 5 * time.Millisecond}
	conn, err := grpc.NewClient(c.addresses[i], grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// do signs a message as an office, hands it in, and gives its first item's entry
// and the hash that approvals bind. Of two nodes the validator gets it: what needs
// the last block must not reach it before it has finished that block itself.
func (c *city) do(t testing.TB, conn *grpc.ClientConn, office string, m record.Message) (record.Index, [32]byte) {
	t.Helper()
	var nonce record.Nonce
	rand.Read(nonce[:])
	body, err := record.NewBody(c.network.ID, nonce, today+5, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(keyOf(office, "signing"), body)
	if err != nil {
		t.Fatal(err)
	}
	if c.validator != "" {
		conn = c.dialNode(t, department, 1)
	}
	r, err := apiv1.NewDepartmentsClient(conn).Submit(within(t), &apiv1.SubmitRequest{Transaction: raw})
	if err != nil || r.Reason != "OK" {
		t.Fatalf("%T of %s: %v, %v", m, office, r, err)
	}
	return record.Index(r.TransactionIndex) + 1, sha256.Sum256(body)
}

// adopt has the offices adopt a schedule under which the records are due.
func (c *city) adopt(t testing.TB, conn *grpc.ClientConn) {
	t.Helper()
	rule := &record.ScheduleRule{
		Schedule: "DEMO", Version: 1, Series: series, Rule: retention.Rule{Kind: retention.Need, Count: 60, Unit: retention.Days},
		Action: record.ActionDestroy, Approvals: []record.Role{record.RoleClerk}, NoticeHeights: 1, FiscalStart: 7,
	}
	c.do(t, conn, "CLERK", &record.ProposeChange{Fact: rule})
	root := must(record.ScheduleRoot([][]byte{must(record.MarshalFact(rule))}))
	schedule := &record.Schedule{Code: "DEMO", Version: 1, Effective: today, Count: 1, Root: root}
	proposal, _ := c.do(t, conn, "CLERK", &record.ProposeChange{Fact: schedule})
	c.do(t, conn, "COUNSEL", &record.ApproveChange{Proposal: proposal, FactHash: must(record.FactHash(schedule))})
}

// kept is a record of the department.
type kept struct {
	index   record.Index
	content string
}

// keep deposits so many small records and anchors them in one transaction.
func (c *city) keep(t testing.TB, conn *grpc.ClientConn, n int) []kept {
	t.Helper()
	all, m := make([]kept, n), &record.AnchorRecords{Series: series, Custody: "CITY", Items: make([]record.AnchorItem, n)}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < n; i += 8 {
				all[i].content = fmt.Sprintf("Permit %d of %s.\n", i, rand.Text())
				id, err := c.deposit(within(t), conn, []byte(all[i].content))
				if err != nil {
					t.Errorf("deposit %d: %v", i, err)
				}
				m.Items[i] = record.AnchorItem{Commitment: id, Day: today - 1000}
			}
		})
	}
	group.Wait()
	first, _ := c.do(t, conn, string(department), m)
	for i := range all {
		all[i].index = first + record.Index(i)
	}
	return all
}

func (c *city) deposit(ctx context.Context, conn *grpc.ClientConn, content []byte) (record.Commitment, error) {
	profile := commitment.Choose("", content)
	layout, err := commitment.Arrange(profile, content, nil)
	if err != nil {
		return record.Commitment{}, err
	}
	var key commitment.RecordKey
	rand.Read(key[:])
	manifest, _, err := commitment.Commit(commitment.NewState(key, layout.N()), layout)
	if err != nil {
		return record.Commitment{}, err
	}
	want := manifest.Commitment()
	stream, err := apiv1.NewDepartmentsClient(conn).Deposit(ctx)
	if err != nil {
		return record.Commitment{}, err
	}
	header := &apiv1.DepositHeader{
		Series: string(series), Custody: "CITY", NotAfterDay: uint32(today + 5), Profile: string(profile),
		RecordKey: key[:], ExpectedCommitment: want[:], Size: uint64(len(content)),
	}
	messages := []*apiv1.DepositRequest{{Part: &apiv1.DepositRequest_Header{Header: header}}}
	for chunk := range slices.Chunk(content, 256<<10) {
		messages = append(messages, &apiv1.DepositRequest{Part: &apiv1.DepositRequest_Chunk{Chunk: chunk}})
	}
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			break // the answer says why
		}
	}
	_, err = stream.CloseAndRecv()
	return record.Commitment(want), err
}

// destroy brings the destruction of records from its proposal to its lock.
func (c *city) destroy(t testing.TB, conn *grpc.ClientConn, records []kept) {
	t.Helper()
	m := &record.ProposeDisposition{Series: series, Action: record.ActionDestroy}
	for _, k := range records {
		m.Records = append(m.Records, k.index)
	}
	at, hash := c.do(t, conn, string(department), m)
	c.do(t, conn, "CLERK", &record.ApproveDisposition{Disposition: at, Hash: hash})
	c.do(t, conn, "IT", &record.LockDisposition{Disposition: at, Hash: hash})
}
