package node

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	abcitypes "github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
)

// late is an application that carries a block with a proposal out only after
// its node was told of an approval.
type late struct {
	abcitypes.Application
	once sync.Once
	told chan struct{}
}

func (l *late) CheckTx(ctx context.Context, r *abcitypes.RequestCheckTx) (*abcitypes.ResponseCheckTx, error) {
	answer, err := l.Application.CheckTx(ctx, r)
	if tx, bad := record.ParseTx(r.Tx); bad == nil {
		if _, approves := tx.Message.(*record.ApproveChange); approves {
			l.once.Do(func() { close(l.told) })
		}
	}
	return answer, err
}

func (l *late) FinalizeBlock(ctx context.Context, r *abcitypes.RequestFinalizeBlock) (*abcitypes.ResponseFinalizeBlock, error) {
	for _, raw := range r.Txs {
		tx, err := record.ParseTx(raw)
		if err != nil {
			continue
		}
		if _, proposes := tx.Message.(*record.ProposeChange); proposes {
			select {
			case <-l.told:
			case <-time.After(deadline):
			}
		}
	}
	return l.Application.FinalizeBlock(ctx, r)
}

// decision gives a signed governance transaction.
func decision(t testing.TB, n *Node, office, nonce string, m record.Message) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(office + nonce))
	body, err := record.NewBody(n.NetworkID(), record.Nonce(sum[:16]), record.LedgerDay(time.Now().UnixNano())+2, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(officeKey(office), body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestApprovalAheadOfItsProposal has a change approved at the first node that
// has the block with its proposal, a node that never makes a block. All others
// are told of the approval once, before they have that block, and no other
// transaction ever wakes them.
func TestApprovalAheadOfItsProposal(t *testing.T) {
	c := newCity(t, 4)
	for i := range c.homes {
		o := Options{Heartbeat: time.Hour}
		if i < 4 {
			o.application = func(app abcitypes.Application) abcitypes.Application {
				return &late{Application: app, told: make(chan struct{})}
			}
		}
		c.nodes[i] = openWith(t, c.homes[i], c.configs[i], o)
	}
	for _, n := range c.nodes {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
	}
	n := c.nodes[4]
	eventually(t, "all are connected", func() bool { return n.Status().Peers == 4 })
	fact := &record.Office{Code: "LIBRARY", Roles: []record.Role{record.RoleDepartment}, Status: record.StatusActive}
	hash, err := record.FactHash(fact)
	if err != nil {
		t.Fatal(err)
	}
	result, _ := submit(t, n, decision(t, n, "CLERK", "propose", &record.ProposeChange{Fact: fact}))
	submit(t, n, decision(t, n, "IT", "approve", &record.ApproveChange{Proposal: result.TxIndex + 1, FactHash: hash}))
	if _, known, err := ledger.OfficeOf(n.View(), fact.Code); err != nil || !known {
		t.Errorf("office %s: %t, %v", fact.Code, known, err)
	}
}
