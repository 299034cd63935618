package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// No custodian key is made that no card could register.
func TestACustodianOfASetKeepsItsKey(t *testing.T) {
	if err := mayChangeCustodian(&apiv1.StatusResponse{Claim: "C1"}); err != nil {
		t.Error(err)
	}
	err := mayChangeCustodian(&apiv1.StatusResponse{Copies: []*apiv1.CopiesOfSet{{Set: "CITY"}}})
	var c coded
	if !errors.As(err, &c) || c.code != exitPrecondition || !strings.Contains(err.Error(), "munimentd custody leave CITY, and have an office run muniment custody set CITY --remove ") {
		t.Errorf("%v", err)
	}
}

// A node whose custodian key was changed shares nothing before it is started again.
func TestANewCustodianKeyWantsAStart(t *testing.T) {
	for _, c := range []struct {
		says   string
		status *apiv1.StatusResponse
	}{
		{"start it again", &apiv1.StatusResponse{Claim: "C1", RecordsHere: 2, RestartForCustodianKey: true}},
		{"what it keeps is here alone", &apiv1.StatusResponse{Claim: "C1", RecordsHere: 2}},
		{"keeps no record", &apiv1.StatusResponse{Claim: "C1"}},
		{"keeps no content", &apiv1.StatusResponse{}},
	} {
		var out bytes.Buffer
		setsOf(c.status).print(&out, c.status)
		if lines := strings.Count(out.String(), "\n"); lines != 1 || !strings.Contains(out.String(), c.says) {
			t.Errorf("%q, want %q", out.String(), c.says)
		}
	}
	if line := copies(&apiv1.StatusResponse{RestartForCustodianKey: true}); !strings.HasPrefix(line, "start this node again") {
		t.Error(line)
	}
}
