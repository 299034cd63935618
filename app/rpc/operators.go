package rpc

import (
	"context"

	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// operators is the service on the unix socket. Who reaches it owns the home, so
// what goes wrong is told in full.
type operators struct {
	apiv1.UnimplementedOperatorsServer
	server *Server
}

// Status tells how the node is doing.
func (o *operators) Status(context.Context, *apiv1.StatusRequest) (*apiv1.StatusResponse, error) {
	return o.server.options.Node.Status(), nil
}

// Erase carries out now what locked dispositions wait for.
func (o *operators) Erase(ctx context.Context, _ *apiv1.EraseRequest) (*apiv1.EraseResponse, error) {
	if o.server.options.Erase == nil {
		return nil, refuse(reasonNotCustodian, "this node keeps no content")
	}
	r, err := o.server.options.Erase(ctx)
	return r, inFull(err)
}

// Backup writes a backup into a folder, or of the keyring into a file.
func (o *operators) Backup(ctx context.Context, m *apiv1.BackupRequest) (*apiv1.BackupResponse, error) {
	if o.server.options.Backup == nil {
		return nil, refuse(reasonNotCustodian, "this node makes no backups")
	}
	r, err := o.server.options.Backup(ctx, m.Directory, m.Keyring)
	return r, inFull(err)
}

// LeaveCustody has this node hand over what it keeps of a set and leave it.
func (o *operators) LeaveCustody(ctx context.Context, m *apiv1.LeaveCustodyRequest) (*apiv1.LeaveCustodyResponse, error) {
	if o.server.options.Leave == nil || o.server.options.Custody == nil {
		return nil, refuse(reasonNotCustodian, "this node keeps no content, so it is in no custodian set: run this at the node that is to leave")
	}
	if set := record.Code(m.Set); !set.Valid() {
		return nil, refuse(reasonMalformed, "%.16q is no code of a custodian set", set)
	}
	r, err := o.server.options.Leave(ctx, record.Code(m.Set))
	return r, inFull(err)
}

// inFull makes of an error without a reason a refusal that says what it is.
func inFull(err error) error {
	if err == nil {
		return nil
	}
	if reason, _ := reasonOf(err); reason != reasonInternal {
		return err
	}
	return refuse(reasonNotDone, "%v", err)
}
