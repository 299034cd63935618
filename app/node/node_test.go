package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

func TestFromInitToReceiptAndBack(t *testing.T) {
	home := newHome(t)
	n := run(t, home, time.Hour)
	tx := anchor(t, n, "minutes of january", "minutes of february")
	result, height := submit(t, n, tx)
	if result.Count != 2 || height < 1 {
		t.Errorf("got %+v at height %d", result, height)
	}
	text := receiptOf(t, n, result.TxIndex+2)
	v := verified(t, n.Network(), text)
	if v.Grade != receipt.GradeCity || !strings.Contains(v.Text(), "1 of 1") {
		t.Errorf("verdict: %s", v.Text())
	}
	cosigned, err := n.CosignedCheckpoint(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	head := n.View().Head()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := n.Stop(); err != nil {
		t.Errorf("second stop: %v", err)
	}

	n = run(t, home, time.Hour)
	if got := n.View().Head(); got.Height < head.Height || got.AppHash != head.AppHash || got.Size != head.Size {
		t.Errorf("after a restart the head is %+v, was %+v", got, head)
	}
	again, height2 := submit(t, n, tx)
	if again != result || height2 != height {
		t.Errorf("after a restart: got %+v at height %d, want %+v at height %d", again, height2, result, height)
	}
	resumed, err := n.CosignedCheckpoint(waiting(t), cosigned.Size)
	if err != nil {
		t.Fatal(err)
	}
	if resumed.Size != cosigned.Size || resumed.Root != cosigned.Root {
		t.Errorf("after a restart the cosigned tree is %+v, was %+v", resumed, cosigned)
	}
	verified(t, n.Network(), text)
	verified(t, n.Network(), receiptOf(t, n, result.TxIndex+1))
	more, _ := submit(t, n, anchor(t, n, "minutes of march"))
	verified(t, n.Network(), receiptOf(t, n, more.TxIndex+1))
}

// TestTheChainRests: after the last transaction there is exactly one more
// block, and heartbeats change nothing but the height.
func TestTheChainRests(t *testing.T) {
	home := newHome(t)
	n := run(t, home, time.Hour)
	_, height := submit(t, n, anchor(t, n, "a"))
	if _, err := n.CosignedCheckpoint(waiting(t), n.View().Head().Size); err != nil {
		t.Fatal(err)
	}
	eventually(t, "proof block", func() bool { return n.View().Head().Height == height+1 })
	after := n.View().Head()
	rest := time.NewTimer(500 * time.Millisecond)
	defer rest.Stop()
	select {
	case <-n.NextBlock():
		t.Errorf("after the proof block of height %d came another one", height+1)
	case <-rest.C:
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = run(t, home, 20*time.Millisecond)
	eventually(t, "heartbeats", func() bool { return n.View().Head().Height >= after.Height+3 })
	if got := n.View().Head(); got.AppHash != after.AppHash || got.Size != after.Size {
		t.Errorf("heartbeats changed the head from %+v to %+v", after, got)
	}
}

func TestMonitor(t *testing.T) {
	n := run(t, newHome(t), time.Hour)
	submit(t, n, anchor(t, n, "a"))
	get := func(path string) (int, string) {
		t.Helper()
		r, err := http.Get("http://" + n.MonitorAddress() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
	_, text := get("/metrics")
	for _, want := range []string{`muniment_transactions_total{code="OK"} 1`, "muniment_log_entries ", "muniment_alarms_total 0", "go_goroutines "} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	status, text := get("/healthz")
	var health struct {
		Healthy bool     `json:"healthy"`
		Reasons []string `json:"reasons"`
		Height  int64    `json:"height"`
	}
	if err := json.Unmarshal([]byte(text), &health); err != nil || health.Height < 1 || health.Healthy != (status == http.StatusOK) || health.Healthy != (len(health.Reasons) == 0) {
		t.Errorf("/healthz: %d %s, %v", status, text, err)
	}
	n.alarm(errors.New("somebody should look"))
	n.look()
	status, text = get("/healthz")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "somebody should look") {
		t.Errorf("/healthz after an alarm: %d %s", status, text)
	}
}

// TestWhatANodeRefusesToStartWith changes one thing in a home that has run.
func TestWhatANodeRefusesToStartWith(t *testing.T) {
	home := newHome(t)
	young, err := os.ReadFile(home.validatorState())
	if err != nil {
		t.Fatal(err)
	}
	n := run(t, home, time.Hour)
	submit(t, n, anchor(t, n, "a"))
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	genesis, err := os.ReadFile(home.Genesis())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseGenesis(genesis)
	if err != nil {
		t.Fatal(err)
	}
	other.Time = other.Time.Add(time.Second)
	otherGenesis, err := other.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	otherNetwork := n.Network()
	otherNetwork.ID = other.ledgerFacts(otherGenesis).Network
	for _, c := range []struct {
		name  string
		files map[string][]byte // nil: removed
		want  error
	}{
		{"no validator state", map[string][]byte{home.validatorState(): nil}, ErrSignerStateMissing},
		{"yesterday's validator state", map[string][]byte{home.validatorState(): young}, ErrSignerStateOld},
		{"damaged validator state", map[string][]byte{home.validatorState(): []byte("x")}, ErrStateCorrupt},
		{"no cosigner state", map[string][]byte{home.cosignerState(): nil}, ErrCosignerStateMissing},
		{"another genesis document", map[string][]byte{home.Genesis(): otherGenesis}, ErrOtherGenesis},
		{"another network altogether", map[string][]byte{home.Genesis(): otherGenesis, home.Network(): otherNetwork.Marshal()}, ErrOtherGenesis},
		{"one byte more in the genesis document", map[string][]byte{home.Genesis(): append(bytes.Clone(genesis), '\n')}, ErrGenesisForm},
		{"no genesis document", map[string][]byte{home.Genesis(): nil}, os.ErrNotExist},
		{"no network file", map[string][]byte{home.Network(): nil}, os.ErrNotExist},
		{"no validator key", map[string][]byte{home.key("validator"): nil}, os.ErrNotExist},
	} {
		before := map[string][]byte{}
		for path, data := range c.files {
			if before[path], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			if data == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := New(home, testConfig(), Options{Passphrase: passphrase, Fatal: noFatal(t)}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		for path, data := range before {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := New(home, testConfig(), Options{Passphrase: []byte("wrong"), Fatal: noFatal(t)}); err == nil {
		t.Error("a wrong passphrase opened the home")
	}
	n = run(t, home, time.Hour) // all is as it was
	submit(t, n, anchor(t, n, "b"))
	if _, err := New(home, testConfig(), Options{Passphrase: passphrase, Fatal: noFatal(t)}); err == nil {
		t.Error("a second process opened the home of a running node")
	}
}

func TestGenesisHasOneForm(t *testing.T) {
	home := newHome(t)
	text, err := os.ReadFile(home.Genesis())
	if err != nil {
		t.Fatal(err)
	}
	g, err := ParseGenesis(text)
	if err != nil {
		t.Fatal(err)
	}
	if g.validators() != 1 || len(g.Facts) != len(cityFacts(record.KeyID{1}))+1 {
		t.Errorf("got %d validators and %d facts", g.validators(), len(g.Facts))
	}
	for i := range text {
		changed := bytes.Clone(text)
		changed[i] ^= 1
		other, err := ParseGenesis(changed)
		if err != nil {
			continue
		}
		// Some flips give another sound document; none gives the same one.
		if again, err := other.Marshal(); err != nil || !bytes.Equal(again, changed) || fmt.Sprint(other) == fmt.Sprint(g) {
			t.Fatalf("a flip of byte %d was read as the same document", i)
		}
	}
	for name, edit := range map[string]func(string) string{
		"another rule of the engine": func(s string) string { return strings.Replace(s, `"max_gas": "-1"`, `"max_gas": "10"`, 1) },
		"another validator power":    func(s string) string { return strings.Replace(s, `"power": "10"`, `"power": "11"`, 1) },
		"an unknown field":           func(s string) string { return strings.Replace(s, `"chain_id"`, `"x": 1, "chain_id"`, 1) },
		"spaces":                     func(s string) string { return strings.Replace(s, `"chain_id":`, `"chain_id" :`, 1) },
		"a cut":                      func(s string) string { return s[:len(s)-2] },
		"nothing":                    func(string) string { return "" },
	} {
		edited := edit(string(text))
		if edited == string(text) {
			t.Fatalf("%s: the edit changed nothing", name)
		}
		if g, err := ParseGenesis([]byte(edited)); !errors.Is(err, ErrGenesisForm) || g.ChainID != "" {
			t.Errorf("%s: got %+v, %v; want %v", name, g, err, ErrGenesisForm)
		}
	}
}

func FuzzParseGenesis(f *testing.F) {
	g := Genesis{ChainID: "c", Origin: "o", Time: time.Unix(1700000000, 0), Facts: cityFacts(record.KeyID{1})}
	text, err := g.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"app_state":{"origin":"o","facts":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := ParseGenesis(data)
		if err != nil {
			return
		}
		if again, err := g.Marshal(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%q parses and marshals to something else", data)
		}
	})
}

func TestAHomeIsMadeOnce(t *testing.T) {
	home := newHome(t)
	before, err := OpenKeys(home, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := MakeKeys(home, testKeyOptions()); !errors.Is(err, ErrHomeInUse) {
		t.Errorf("keys again: got %v, want %v", err, ErrHomeInUse)
	}
	if err := Join(home, nil, nil); !errors.Is(err, ErrGenesisForm) {
		t.Errorf("join nothing: got %v", err)
	}
	genesis, _ := os.ReadFile(home.Genesis())
	network, _ := os.ReadFile(home.Network())
	if err := Join(home, genesis, network); !errors.Is(err, os.ErrExist) {
		t.Errorf("join again: got %v, want %v", err, os.ErrExist)
	}
	after, err := OpenKeys(home, passphrase)
	if err != nil || after.ID() != before.ID() || !after.Validator.Equal(before.Validator) || after.Custodian == nil {
		t.Errorf("keys changed: %v", err)
	}
	for _, name := range []string{"node", "validator", "cosigner", "log", "custodian", "home"} {
		info, err := os.Stat(home.key(name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", home.key(name), info.Mode())
		}
	}
	// One key in the place of another is noticed.
	text, err := os.ReadFile(home.key("log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home.key("cosigner"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(home, passphrase); !errors.Is(err, ErrWrongKey) {
		t.Errorf("swapped keys: got %v, want %v", err, ErrWrongKey)
	}
}

// TestAClashLeavesTheMempool: of batches that hold one record in common, one is
// accepted, the others are refused in a block or before, and the chain comes
// to rest.
func TestAClashLeavesTheMempool(t *testing.T) {
	const callers = 8
	n := run(t, newHome(t), time.Hour)
	codes := make(chan ledger.Code, callers)
	for i := range callers {
		raw := anchor(t, n, fmt.Sprint("own ", i), "common")
		go func() {
			result, _, err := n.Submit(t.Context(), raw)
			if err != nil {
				t.Error(err)
			}
			codes <- result.Code
		}()
	}
	accepted := 0
	for range callers {
		switch code := <-codes; code {
		case ledger.OK:
			accepted++
		case ledger.CodeAlreadyAnchored:
		default:
			t.Errorf("a batch got %v", code)
		}
	}
	if accepted != 1 {
		t.Errorf("%d batches were accepted, want 1", accepted)
	}
	eventually(t, "an empty mempool", func() bool { return n.Status().MempoolTxs == 0 })
	if _, err := n.CosignedCheckpoint(waiting(t), n.View().Head().Size); err != nil {
		t.Fatal(err)
	}
}
