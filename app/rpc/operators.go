package rpc

import (
	"context"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// operators is the service on the unix socket.
type operators struct {
	apiv1.UnimplementedOperatorsServer
	server *Server
}

// Status tells how the node is doing.
func (o *operators) Status(context.Context, *apiv1.StatusRequest) (*apiv1.StatusResponse, error) {
	return o.server.options.Node.Status(), nil
}
