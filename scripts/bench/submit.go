package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// submitAll hands transactions in over streams, dealt out among them, and waits
// until every one of them is committed and the newest cosigned tree holds them
// all: from then on each is durable, final, indexed and provable. It gives the
// number of anchors that the node says it has committed, and the time that all
// of this took.
func submitAll(ctx context.Context, conns []*grpc.ClientConn, streamsEach int, txs [][]byte) (anchors int64, took time.Duration, err error) {
	streams := len(conns) * streamsEach
	errs := make([]error, streams)
	var committed atomic.Int64
	sizes := make([]uint64, streams)
	var all sync.WaitGroup
	begin := time.Now()
	for s := range streams {
		all.Go(func() {
			var mine [][]byte
			for i := s; i < len(txs); i += streams {
				mine = append(mine, txs[i])
			}
			var n int64
			n, sizes[s], errs[s] = submitStream(ctx, conns[s%len(conns)], mine)
			committed.Add(n)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return committed.Load(), 0, err
	}
	_, err = apiv1.NewAuditorsClient(conns[0]).Checkpoint(ctx, &apiv1.CheckpointRequest{Size: slices.Max(sizes)})
	return committed.Load(), time.Since(begin), err
}

// submitStream gives the number of anchors and the size that the log has with
// the last of them.
func submitStream(ctx context.Context, conn *grpc.ClientConn, txs [][]byte) (anchors int64, size uint64, err error) {
	if len(txs) == 0 {
		return 0, 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := apiv1.NewDepartmentsClient(conn).SubmitStream(ctx)
	if err != nil {
		return 0, 0, err
	}
	sent := make(chan error, 1)
	go func() {
		for _, tx := range txs {
			if err := stream.Send(&apiv1.SubmitStreamRequest{Submit: &apiv1.SubmitRequest{Transaction: tx}}); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for range txs {
		r, err := stream.Recv()
		if err != nil {
			return anchors, size, err
		}
		if r.Submit.GetReason() != "OK" {
			return anchors, size, fmt.Errorf("refused: %s, item %d", r.Submit.GetReason(), r.Submit.GetBadItem())
		}
		anchors += int64(r.Submit.GetCount())
		size = max(size, r.Submit.GetFirstIndex()+r.Submit.GetCount())
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return anchors, size, fmt.Errorf("the stream goes on after the last answer: %w", err)
	}
	return anchors, size, <-sent
}
