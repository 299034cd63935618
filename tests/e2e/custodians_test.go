package e2e

import (
	"fmt"
	"testing"

	"github.com/muniment/muniment/app/record"
)

// TestCustodiansKeepTheSameRecords: what is deposited with one custodian is read at
// each; a destruction is complete when each has reported.
func TestCustodiansKeepTheSameRecords(t *testing.T) {
	w := newTown(t)
	w.begin(t)
	w.adopt(t, w.dial(t, "CLERK"), rule("DEMO-MINUTES", record.RoleClerk))
	words := map[string][]byte{"content": []byte(canary()), "title": []byte(canary()), "file name": []byte(canary())}
	content := fmt.Sprintf("Minutes.\n\nThey name %s.\n\nThe meeting rose.\n", words["content"])
	index := w.anchor(t, string(words["file name"])+".txt", []byte(content), "--title", string(words["title"]))
	w.copied(t, 0, 3, 1)
	w.same(t, index, content, 0, 1, 2)
	w.at[3].reads(t, index, "", "NOT_CUSTODIAN", 7)
	d := w.lock(t, w.at[1], index)
	for i := range 3 {
		w.carriesOut(t, i, d)
	}
	w.end(0, 1, 2, 3)
	w.quiet(t, words)
}
