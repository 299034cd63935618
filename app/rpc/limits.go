package rpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// limits bound what callers can take of a node. What waits for a caller is
// bounded in time, and what is kept for a caller in number.
type limits struct {
	messageBytes int           // of one request: a transaction of 512 KiB, or a chunk
	headerBytes  uint32        // of all headers of a call
	connections  int           // of one listener that have not shown who they are; see crowd
	visits       int           // connections of one office or node; more are refused
	streams      uint32        // calls under way on one connection; more wait at the client
	arriving     int           // calls of one office or node that it may still send for; more are refused
	calls        int           // calls under way of one office or node; more are refused
	transactions int           // under way of one office or node; more wait in line
	inquiries    int           // lists over all records under way of one office; more are refused
	parcels      int           // records that one node is sending; more are refused
	pause        time.Duration // of a connection, before a call is refused that is one too many
	handshake    time.Duration // from accepting a connection to its first call
	call         time.Duration // a unary call from its first byte to its last
	stalled      time.Duration // one message of a stream, in or out
	inquiry      time.Duration // a list over all records: it keeps an old state of the ledger
	age          time.Duration // of a connection; a certificate does not live longer
}

var standard = limits{
	messageBytes: 600 << 10, headerBytes: 16 << 10, connections: 512, visits: 256, streams: 256, calls: 1024, transactions: 256, inquiries: 2, parcels: 16,
	arriving: 256, pause: 200 * time.Millisecond, handshake: 10 * time.Second, call: time.Minute, stalled: time.Minute, inquiry: 10 * time.Minute, age: 24 * time.Hour,
}

// unary are the methods that are one request and one answer, and whose answer
// does not take long by nature, as that of a backup does.
var unary = func() map[string]bool {
	methods := map[string]bool{}
	for _, service := range []grpc.ServiceDesc{
		apiv1.Departments_ServiceDesc, apiv1.RecordsStaff_ServiceDesc, apiv1.Auditors_ServiceDesc, apiv1.Custodians_ServiceDesc, apiv1.Operators_ServiceDesc,
	} {
		for _, m := range service.Methods {
			methods["/"+service.ServiceName+"/"+m.MethodName] = true
		}
	}
	delete(methods, apiv1.Operators_Erase_FullMethodName)
	delete(methods, apiv1.Operators_Backup_FullMethodName)
	delete(methods, apiv1.Operators_LeaveCustody_FullMethodName)
	return methods
}()

// bound ends a unary call after a while, also where it waits for the client to
// send the request or to take the answer: it runs before either. Streams are
// bounded message by message.
func (l limits) bound(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !unary[info.FullMethodName] {
		return ctx, nil
	}
	bounded, cancel := context.WithTimeout(ctx, l.call)
	context.AfterFunc(ctx, cancel)
	return bounded, nil
}

// quota counts what is under way of each payer, as [caller.payer] names it.
type quota struct {
	mu   sync.Mutex
	runs map[string]int // no zeros
}

func newQuota() quota { return quota{runs: map[string]int{}} }

// enter counts a call in, unless most are under way.
func (q *quota) enter(payer string, most int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.runs[payer] >= most {
		return tooMany(payer, most)
	}
	q.runs[payer]++
	return nil
}

// room says whether enter would let a call in now.
func (q *quota) room(payer string, most int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.runs[payer] >= most {
		return tooMany(payer, most)
	}
	return nil
}

func tooMany(payer string, most int) error {
	return refuse(reasonBusy, "%s has %d such calls under way: wait until some have ended", payer, most)
}

// leave counts a call out.
func (q *quota) leave(payer string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.runs[payer]--; q.runs[payer] == 0 {
		delete(q.runs, payer)
	}
}
