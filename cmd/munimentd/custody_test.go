package main

import (
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
