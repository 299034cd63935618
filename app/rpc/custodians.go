package rpc

import apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"

// custodians is the service for nodes that keep the same records.
type custodians struct {
	apiv1.UnimplementedCustodiansServer
	server *Server
}
