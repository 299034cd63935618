package e2e

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestClientInAnotherLanguage has a Node program deposit, anchor and fetch a
// receipt, with nothing but the .proto files, grpc-js and the pinned server.
func TestClientInAnotherLanguage(t *testing.T) {
	needs(t, "node", "npm")
	modules := filepath.Join("..", "nodeclient")
	if _, err := os.Stat(filepath.Join(modules, "node_modules")); err != nil {
		install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
		install.Dir = modules
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	c := newCity(t)
	node := c.start(t)
	document := filepath.Join("..", "..", "ops", "demo", "council-minutes.txt")
	content, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	account := c.account(t, "CLERK")
	accountKey, err := x509.MarshalPKCS8PrivateKey(account.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	signingKey, err := x509.MarshalPKCS8PrivateKey(c.offices["CLERK"].signing)
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"address": c.address, "server_name": receipt.ServerName(c.network.Nodes[0].ID), "protos": filepath.Join("..", "..", "proto"),
		"server_certificate":  pemText("CERTIFICATE", c.network.Nodes[0].Certificate),
		"account_certificate": pemText("CERTIFICATE", account.Certificate[0]), "account_key": pemText("PRIVATE KEY", accountKey),
		"signing_key": pemText("PRIVATE KEY", signingKey), "network": hex.EncodeToString(c.network.ID[:]),
		"series": "DEMO-MINUTES", "custody": "CITY", "day": int(record.LedgerDay(time.Now().UnixNano())),
	})
	if err != nil {
		t.Fatal(err)
	}
	configFile := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(configFile, config, 0o600); err != nil {
		t.Fatal(err)
	}
	client := exec.CommandContext(ctx(t), "node", filepath.Join(modules, "client.mjs"), configFile, document)
	var stderr bytes.Buffer
	client.Stderr = &stderr
	out, err := client.Output()
	if err != nil {
		t.Fatalf("client: %v\n%s\n%s", err, stderr.String(), node.stderr.String())
	}
	var answer struct{ Commitment, Receipt, Grade string }
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatal(err)
	}
	verdict, err := receipt.Verify(c.network, []byte(answer.Receipt))
	if err != nil || verdict.Outcome != receipt.Passed {
		t.Fatalf("receipt: %v %v", verdict.Reasons, err)
	}
	anchor, ok := verdict.Entry.(record.AnchorEntry)
	if !ok || hex.EncodeToString(anchor.Commitment[:]) != answer.Commitment || anchor.Office != "CLERK" {
		t.Errorf("the receipt is of %+v", verdict.Entry)
	}
	stream, err := apiv1.NewDepartmentsClient(c.dial(t, "CLERK")).Read(ctx(t), &apiv1.ReadRequest{
		Record: &apiv1.RecordRef{Ref: &apiv1.RecordRef_Commitment{Commitment: anchor.Commitment[:]}}, Purpose: apiv1.Purpose_PURPOSE_CASE_WORK,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		m, err := stream.Recv()
		if err != nil {
			break
		}
		got = append(got, m.Chunk...)
	}
	if !bytes.Equal(got, content) {
		t.Errorf("read back %d bytes, deposited %d", len(got), len(content))
	}
	node.stop()
}
