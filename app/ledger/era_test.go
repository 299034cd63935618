package ledger_test

import (
	"encoding/binary"
	"testing"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// logTwins finds two keys with one key hash in signatures: what anybody who may
// choose two keys does in a moment, and who may choose one in some hours.
func logTwins(t *testing.T, origin string) (a, b [32]byte) {
	t.Helper()
	seen := map[uint32][32]byte{}
	for i := uint64(1); i < 1<<20; i++ {
		var key [32]byte
		binary.BigEndian.PutUint64(key[:], i)
		hash := receipt.LogVKey(origin, key).Hash()
		if twin, ok := seen[hash]; ok {
			return twin, key
		}
		seen[hash] = key
	}
	t.Fatal("no two of a million keys have one hash")
	return a, b
}

// TestNoEraHasLogKeysThatLookAlike: an era with such keys could be put into no
// network file, and so none after it.
func TestNoEraHasLogKeysThatLookAlike(t *testing.T) {
	c := found(t, networkFacts())
	a, b := logTwins(t, c.view.Head().Origin)
	first, second := *nodeNamed("n1", 10), *nodeNamed("n2", 10)
	first.LogKey, second.LogKey = a, b
	c.stated(t, &first)
	now := c.view.Head().Time
	_, results := c.apply(t, now, c.sign(t, "IT", record.LedgerDay(now), &record.ProposeChange{Fact: &second}))
	if results[0].Code != ledger.CodeKeyRegistered {
		t.Errorf("a log key that looks like another node's: %s", results[0].Code)
	}
	second.LogKey = publicKey("n2/log/2")
	c.stated(t, &second)
}
