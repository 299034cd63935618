package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/tap"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// TestOperatorsAreToldInFull: what went wrong inside is no secret from who owns
// the home; what has a reason keeps it.
func TestOperatorsAreToldInFull(t *testing.T) {
	ctx := t.Context()
	s := &Server{}
	node := &operators{server: s}
	_, err := node.Erase(ctx, &apiv1.EraseRequest{})
	wantReason(t, "erase of a node without content", status(err), "NOT_CUSTODIAN")
	_, err = node.Backup(ctx, &apiv1.BackupRequest{})
	wantReason(t, "backup of a node without any", status(err), "NOT_CUSTODIAN")

	var asked string
	s.options.Erase = func(context.Context) (*apiv1.EraseResponse, error) { return nil, errors.New("ring CLERK_A is at odds") }
	s.options.Backup = func(_ context.Context, path string, keyring bool) (*apiv1.BackupResponse, error) {
		if asked = fmt.Sprint(path, " ", keyring); !keyring {
			return nil, fmt.Errorf("back up: %w", ErrStopping)
		}
		return &apiv1.BackupResponse{Records: 7}, nil
	}
	_, err = node.Erase(ctx, &apiv1.EraseRequest{})
	wantReason(t, "erase", status(err), "NOT_DONE")
	if !strings.Contains(status(err).Error(), "ring CLERK_A is at odds") {
		t.Errorf("the operator is not told: %v", status(err))
	}
	_, err = node.Backup(ctx, &apiv1.BackupRequest{Directory: "/backup"})
	wantReason(t, "backup", status(err), "STOPPING")
	if r, err := node.Backup(ctx, &apiv1.BackupRequest{Directory: "/rings", Keyring: true}); err != nil || r.Records != 7 || asked != "/rings true" {
		t.Errorf("got %v, %v, asked for %q", r, err, asked)
	}
}

// TestLongCallsOfOperatorsAreNotBounded: a backup may take longer than any call
// of a department, which is bounded.
func TestLongCallsOfOperatorsAreNotBounded(t *testing.T) {
	for method, want := range map[string]bool{
		apiv1.Operators_Status_FullMethodName:   true,
		apiv1.Operators_Erase_FullMethodName:    false,
		apiv1.Operators_Backup_FullMethodName:   false,
		apiv1.Departments_Submit_FullMethodName: true,
	} {
		ctx, err := standard.bound(t.Context(), &tap.Info{FullMethodName: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, bounded := ctx.Deadline(); bounded != want {
			t.Errorf("%s: bounded %v, want %v", method, bounded, want)
		}
	}
}
