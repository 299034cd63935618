package node

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/libs/bits"
	cmtbytes "github.com/cometbft/cometbft/libs/bytes"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/libs/service"
	"github.com/cometbft/cometbft/types"
)

func capture(exit func()) (*bytes.Buffer, cmtlog.Logger) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &out, newEngineLogger(log, exit)
}

func TestConsensusFailureEndsTheProcess(t *testing.T) {
	ended := 0
	out, log := capture(func() { ended++ })
	log.With("module", "consensus").Error("CONSENSUS FAILURE!!!", "err", "wrong Block.Header.AppHash", "stack", "goroutine 1")
	if ended != 1 {
		t.Errorf("exit was called %d times, want once", ended)
	}
	for _, want := range []string{"CONSENSUS FAILURE", "wrong Block.Header.AppHash", "module=consensus", "level=ERROR"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the line lacks %q: %s", want, out)
		}
	}
	log.Error("dialing failed", "err", errors.New("refused"))
	log.Info("CONSENSUS FAILURE!!!")
	if ended != 1 {
		t.Error("something else than a consensus failure ended the process")
	}
}

// TestWhatIsNoErrorOfTheNode: a line at level ERROR is something to look into.
func TestWhatIsNoErrorOfTheNode(t *testing.T) {
	for msg, want := range map[string]string{
		"Stopping peer for error":            "WARN",
		"Connection failed @ sendRoutine":    "WARN",
		"Stopped accept routine, as asked":   "INFO",
		"Error on ApplyBlock":                "ERROR",
		"Could not stop peer, Stopping peer": "ERROR",
	} {
		out, log := capture(func() {})
		if log.Error(msg, "err", errors.New("EOF")); !strings.Contains(out.String(), "level="+want) {
			t.Errorf("%q is not at level %s: %s", msg, want, out)
		}
	}
	out, log := capture(func() {})
	if log.Error("error stopping peer", "peer", "p", "err", service.ErrAlreadyStopped); !strings.Contains(out.String(), "level=INFO") {
		t.Errorf("two that want the same end are an error: %s", out)
	}
}

// TestNoTransactionReachesTheLog gives the logger a transaction in each way
// that CometBFT might.
func TestNoTransactionReachesTheLog(t *testing.T) {
	tx := []byte(strings.Repeat("canary of a transaction ", 8))
	hash := bytes.Repeat([]byte{0xab}, 32)
	for name, line := range map[string]func(cmtlog.Logger){
		"value":        func(l cmtlog.Logger) { l.Error("m", "data", tx) },
		"types.Tx":     func(l cmtlog.Logger) { l.Info("m", "x", types.Tx(tx)) },
		"string":       func(l cmtlog.Logger) { l.Info("m", "tx", types.Tx(tx).String()) },
		"text":         func(l cmtlog.Logger) { l.Debug("m", "tx", string(tx)) },
		"hex bytes":    func(l cmtlog.Logger) { l.Debug("m", "x", cmtbytes.HexBytes(tx)) },
		"hex text":     func(l cmtlog.Logger) { l.Warn("m", "x", "Tx{"+hex.EncodeToString(tx)+"}") },
		"base64":       func(l cmtlog.Logger) { l.Warn("m", "x", base64.StdEncoding.EncodeToString(tx)) },
		"error":        func(l cmtlog.Logger) { l.Error("m", "err", fmt.Errorf("check %X", tx)) },
		"message":      func(l cmtlog.Logger) { l.Error("bad " + hex.EncodeToString(tx)) },
		"with":         func(l cmtlog.Logger) { l.With("x", hex.EncodeToString(tx)).Error("m") },
		"lazy":         func(l cmtlog.Logger) { l.Error("m", "x", cmtlog.NewLazySprintf("%X", tx)) },
		"transactions": func(l cmtlog.Logger) { l.Error("m", "txs", types.Txs{tx}) },
	} {
		out, log := capture(func() {})
		line(log)
		got := out.String()
		if len(got) == 0 {
			t.Errorf("%s: nothing was logged", name)
		}
		for _, canary := range []string{"canary", hex.EncodeToString(tx[:20]), strings.ToUpper(hex.EncodeToString(tx[:20])), base64.StdEncoding.EncodeToString(tx[:21])} {
			if strings.Contains(got, canary) {
				t.Errorf("%s: the log holds %q: %s", name, canary, got)
			}
		}
	}
	out, log := capture(func() {})
	log.Info("committed", "hash", cmtbytes.HexBytes(hash), "height", int64(7), "app_hash", fmt.Sprintf("%X", hash))
	for _, want := range []string{hex.EncodeToString(hash), strings.ToUpper(hex.EncodeToString(hash)), "height=7"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the line lacks %q: %s", want, out)
		}
	}
}

func TestLogValuesAreBounded(t *testing.T) {
	out, log := capture(func() {})
	log.Error("m", "x", strings.Repeat("long text ", 10_000), "bits", (*bits.BitArray)(nil), "odd")
	if got := out.Len(); got > 2*maxLogBytes {
		t.Errorf("the line has %d bytes", got)
	}
}

// TestEngineErrorsThatAreNone wants no alarm from what every stop and every
// start after a crash says.
func TestEngineErrorsThatAreNone(t *testing.T) {
	var out bytes.Buffer
	l := newEngineLogger(slog.New(slog.NewTextHandler(&out, nil)), func() { t.Error("the process ends") })
	l.Error("Stopped accept routine, as transport is closed", "numPeers", 0)
	l.Error("error on catchup replay; proceeding to start state anyway", "err", "cannot replay height 3")
	l.Error("something else")
	if got := strings.Count(out.String(), "level=INFO"); got != 2 || strings.Count(out.String(), "level=ERROR") != 1 {
		t.Errorf("logged %q", out.String())
	}
}
