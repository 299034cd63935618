package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/retention"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// A history is a town whose offices do at random whatever offices can do. Some of
// it is refused, as it would be.
type history struct {
	*town
	random    *mathrand.Rand
	calls     [4]apiv1.DepartmentsClient
	anchored  []record.Index
	holds     []record.Index
	changes   []change
	wanted    []deletion
	keys      []record.KeyID
	did       map[string]int // by message and reason
	sent      int
	committed int // in a block, accepted or refused
}

// change is a fact that was put to the offices.
type change struct {
	proposal record.Index
	hash     [32]byte
}

// deletion is a proposed disposition.
type deletion struct {
	proposal record.Index
	body     [32]byte
}

// deed is a message on its way, and what became of it.
type deed struct {
	office  record.Code
	message record.Message
	body    [32]byte
	answer  *apiv1.SubmitResponse
	err     error
}

// dialAgain connects the offices to a node that was started.
func (h *history) dialAgain(t testing.TB, i int) {
	t.Helper()
	h.calls[i] = apiv1.NewDepartmentsClient(h.at[i].dial(t, "DPW"))
}

// round has offices do some things at once, each at one of the nodes.
func (h *history) round(t testing.TB, at ...int) {
	t.Helper()
	deeds := make([]deed, 8+h.random.IntN(9))
	var all sync.WaitGroup
	for i := range deeds {
		d := &deeds[i]
		d.office, d.message = h.draw(t)
		var nonce record.Nonce
		rand.Read(nonce[:])
		body, err := record.NewBody(h.network.ID, nonce, today+5, d.message)
		if err != nil {
			t.Fatalf("%T: %v", d.message, err)
		}
		raw, err := record.Sign(h.offices[d.office].signing, body)
		if err != nil {
			t.Fatal(err)
		}
		d.body = sha256.Sum256(body)
		call := h.calls[at[h.random.IntN(len(at))]]
		all.Go(func() { d.answer, d.err = call.Submit(ctx(t), &apiv1.SubmitRequest{Transaction: raw}) })
	}
	all.Wait()
	for _, d := range deeds {
		if d.err != nil {
			t.Fatalf("%T: %v", d.message, d.err)
		}
		h.note(t, d)
	}
}

// note keeps what later messages may be about.
func (h *history) note(t testing.TB, d deed) {
	t.Helper()
	h.did[fmt.Sprintf("%T %s", d.message, d.answer.Reason)[len("*record."):]]++
	h.sent++
	if d.answer.Height > 0 {
		h.committed++
	}
	if d.answer.Reason != "OK" {
		return
	}
	item := record.Index(d.answer.TransactionIndex) + 1
	switch m := d.message.(type) {
	case *record.AnchorRecords:
		for i := range m.Items {
			if d.office != "DPW" || m.Series != "DEMO-MINUTES" {
				break
			}
			h.anchored = append(h.anchored, item+record.Index(i))
		}
	case *record.PlaceHold:
		h.holds = append(h.holds, item)
	case *record.ProposeDisposition:
		h.wanted = append(h.wanted, deletion{item, d.body})
	case *record.ProposeChange:
		hash, err := record.FactHash(m.Fact)
		if err != nil {
			t.Fatal(err)
		}
		h.changes = append(h.changes, change{item, hash})
		if k, ok := m.Fact.(*record.Key); ok {
			h.keys = append(h.keys, k.ID())
		}
	}
}

func one[T any](h *history, list ...T) (some T) {
	if len(list) > 0 {
		some = list[h.random.IntN(len(list))]
	}
	return some
}

// some gives a few anchored records, ascending.
func (h *history) some() []record.Index {
	list := []record.Index{}
	for range 1 + h.random.IntN(4) {
		list = append(list, max(1, one(h, h.anchored...)))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (h *history) bytes() (b [32]byte) {
	for i := range b {
		b[i] = byte(h.random.Uint32())
	}
	return b
}

// draw gives an office and what it does.
func (h *history) draw(t testing.TB) (record.Code, record.Message) {
	t.Helper()
	if h.random.IntN(6) == 0 || len(h.anchored) == 0 {
		return one(h, record.Code("DPW"), "DPW", "DPW", "CLERK"), h.anchors()
	}
	// What was begun last is gone on with.
	d, hold, c := one(h, last(h.wanted)...), max(1, one(h, last(h.holds)...)), one(h, last(h.changes)...)
	d.proposal, c.proposal = max(1, d.proposal), max(1, c.proposal)
	switch h.random.IntN(20) {
	case 0:
		old := one(h, h.anchored...)
		return "DPW", &record.SupersedeRecord{Record: old, By: max(old+1, h.anchored[len(h.anchored)-1])}
	case 1:
		return "DPW", one[record.Message](h, &record.AnchorBatch{Series: "DEMO-LINKS", Custody: "CITY", Commitment: h.bytes()}, &record.FileRecords{Series: "DEMO-LINKS", Records: h.some()},
			&record.PostAuditedThrough{Department: "DPW", Through: today - 300}, &record.AcknowledgeJump{Jump: 1})
	case 2, 3:
		return "DPW", &record.RecordEvents{Event: one(h, retention.Closed, retention.NeedEnded), Day: today - record.Day(h.random.IntN(3000)), Records: h.some()}
	case 4, 5:
		return one(h, record.Code("CLERK"), "CIO"), &record.ProposeChange{Fact: h.fact(t)}
	case 6, 7:
		return one(h, record.Code("COUNSEL"), "CIO", "CLERK"), &record.ApproveChange{Proposal: c.proposal, FactHash: c.hash}
	case 8:
		return "CIO", &record.SuspendKey{KeyID: one(h, append(h.keys, h.bytes())...)}
	case 9:
		return "COUNSEL", &record.PlaceHold{Kind: one(h, record.HoldKinds()...), Matter: h.bytes(), Issues: h.random.Uint32N(2), Scope: h.scope()}
	case 10, 11:
		return one(h, record.Code("COUNSEL"), "COUNSEL", "CLERK"),
			one[record.Message](h, &record.ExtendHold{Hold: hold, Issues: 1}, &record.ResolveIssue{Hold: hold}, &record.ResolveIssue{Hold: hold, Issue: 1}, &record.ReleaseHold{Hold: hold})
	case 12, 13, 14:
		return "DPW", &record.ProposeDisposition{Series: "DEMO-MINUTES", Action: record.ActionDestroy, Records: h.some()}
	case 15, 16:
		return one(h, record.Code("CLERK"), "CLERK", "COUNSEL"), &record.ApproveDisposition{Disposition: d.proposal, Hash: d.body}
	case 17, 18:
		return one(h, record.Code("CIO"), "CIO", "DPW"), one[record.Message](h, &record.LockDisposition{Disposition: d.proposal, Hash: d.body}, &record.LockDisposition{Disposition: d.proposal, Hash: d.body},
			&record.WithdrawDisposition{Disposition: d.proposal}, &record.RecordNotice{Disposition: d.proposal, Day: today - 40}, &record.ReportErasure{Disposition: d.proposal, Outcome: record.OutcomePreserved})
	}
	return "DPW", &record.Withhold{Record: one(h, h.anchored...), Redaction: h.bytes()}
}

// last gives the newest few of a list.
func last[T any](list []T) []T { return list[max(0, len(list)-3):] }

// anchors gives new records, and now and then one that is there already.
func (h *history) anchors() *record.AnchorRecords {
	m := &record.AnchorRecords{Series: one(h, record.Code("DEMO-MINUTES"), "DEMO-MINUTES", "DEMO-LINKS"), Custody: one(h, record.Code("CITY"), "")}
	for range 1 + h.random.IntN(12) {
		m.Items = append(m.Items, record.AnchorItem{Commitment: h.bytes(), Day: 15_000 + record.Day(h.random.IntN(5_000))})
	}
	return m
}

func (h *history) scope() record.Scope {
	return one(h, record.Scope{Records: h.some()}, record.Scope{Records: h.some()}, record.Scope{Department: "DPW", Series: "DEMO-LINKS"},
		record.Scope{City: true, Dated: true, From: 15_000, To: 15_000 + record.Day(h.random.IntN(100))})
}

// fact gives one that the offices may adopt.
func (h *history) fact(t testing.TB) record.Fact {
	t.Helper()
	code := record.Code(fmt.Sprintf("DEMO-%c", 'A'+rune(h.random.IntN(26))))
	switch h.random.IntN(7) {
	case 0:
		return &record.Series{Code: code, Granularity: one(h, record.GranularityDay, record.GranularityMonth, record.GranularityYear), Status: record.StatusActive}
	case 1:
		return &record.Office{Code: code, Roles: []record.Role{record.RoleDepartment}, Status: one(h, record.StatusActive, record.StatusActive, record.StatusSuspended)}
	case 2:
		return &record.Key{Office: "DPW", Use: record.UseAccess, PublicKey: [32]byte(newKey(t)[32:]), Status: record.StatusActive}
	case 3:
		return &record.Parameters{AnchorDays: 7, OtherDays: 180, ProposalDays: 20 + h.random.Uint32N(20), JumpSeconds: 600}
	case 4:
		return &record.Witnesses{Witnesses: []record.Witness{{Code: "WITNESS", PublicKey: [32]byte(newKey(t)[32:]), NameHash: h.bytes()}}, Threshold: 1}
	case 5:
		return &record.Upgrade{Version: 2, Height: 1_000_000}
	}
	card, err := node.ReadCard(filepath.Join(string(one(h, h.at[:]...).home), "member.card"))
	if err != nil {
		t.Fatal(err)
	}
	return card.Fact(10 + h.random.Uint32N(3))
}

// told says what was done how often.
func (h *history) told() (kinds int, text string) {
	messages := map[string]bool{}
	for _, what := range slices.Sorted(maps.Keys(h.did)) {
		var message, reason string
		fmt.Sscan(what, &message, &reason)
		if reason == "OK" {
			messages[message] = true
		}
		text += fmt.Sprintf("%s %d, ", what, h.did[what])
	}
	return len(messages), text
}
