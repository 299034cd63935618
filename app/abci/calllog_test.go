package abci

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cometbft/cometbft/abci/types"
)

// errClosed is what a broken writer answers.
var errClosed = errors.New("log is closed")

type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errClosed
	}
	return len(p), nil
}

// call calls a method of an application by its name, with an empty request.
func call(app types.Application, name string) error {
	method := reflect.ValueOf(app).MethodByName(name)
	request := reflect.New(method.Type().In(1).Elem())
	err, _ := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), request})[1].Interface().(error)
	return err
}

// terminals is what the call log writes for each method of an application.
var terminals = map[string]string{
	"InitChain": "init_chain ", "PrepareProposal": "prepare_proposal ", "ProcessProposal": "process_proposal ",
	"ExtendVote": "extend_vote ", "VerifyVoteExtension": "verify_vote_extension ", "FinalizeBlock": "finalize_block ",
	"Commit": "commit\n", "OfferSnapshot": "offer_snapshot ", "ApplySnapshotChunk": "apply_snapshot_chunk ",
	"Info": "", "Query": "", "CheckTx": "", "ListSnapshots": "", "LoadSnapshotChunk": "",
	"InsertTx": "", "ReapTxs": "",
}

func TestCallLogWritesTerminals(t *testing.T) {
	methods := reflect.TypeFor[types.Application]()
	if methods.NumMethod() != len(terminals) {
		t.Errorf("an application has %d methods, this test knows %d", methods.NumMethod(), len(terminals))
	}
	for name, want := range terminals {
		var text strings.Builder
		l, err := NewCallLog(types.NewBaseApplication(), &text)
		if err != nil {
			t.Fatal(err)
		}
		if err := call(l, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := text.String(); got != "\nstart\n"+want {
			t.Errorf("%s is written as %q, want %q", name, got, want)
		}
	}
}

// TestCallLogFailsCalls: what cannot be written down does not reach the
// application.
func TestCallLogFailsCalls(t *testing.T) {
	if _, err := NewCallLog(types.NewBaseApplication(), &brokenWriter{}); !errors.Is(err, errClosed) {
		t.Errorf("start: got %v, want %v", err, errClosed)
	}
	for name, terminal := range terminals {
		l, err := NewCallLog(types.NewBaseApplication(), &brokenWriter{left: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := call(l, name); errors.Is(err, errClosed) != (terminal != "") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
