package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// submitAll hands transactions in over streams, dealt out among them, and waits
// until every one of them is committed. It gives the number of anchors that the
// node says it has committed, and the time from the first to the last.
func submitAll(ctx context.Context, conns []*grpc.ClientConn, streamsEach int, txs [][]byte) (anchors int64, took time.Duration, err error) {
	streams := len(conns) * streamsEach
	errs := make([]error, streams)
	var committed atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for s := range streams {
		all.Go(func() {
			var mine [][]byte
			for i := s; i < len(txs); i += streams {
				mine = append(mine, txs[i])
			}
			n, err := submitStream(ctx, conns[s%len(conns)], mine)
			committed.Add(n)
			errs[s] = err
		})
	}
	all.Wait()
	return committed.Load(), time.Since(begin), errors.Join(errs...)
}

func submitStream(ctx context.Context, conn *grpc.ClientConn, txs [][]byte) (anchors int64, err error) {
	if len(txs) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := apiv1.NewDepartmentsClient(conn).SubmitStream(ctx)
	if err != nil {
		return 0, err
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
			return anchors, err
		}
		if r.Submit.GetReason() != "OK" {
			return anchors, fmt.Errorf("refused: %s, item %d", r.Submit.GetReason(), r.Submit.GetBadItem())
		}
		anchors += int64(r.Submit.GetCount())
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return anchors, fmt.Errorf("the stream goes on after the last answer: %w", err)
	}
	return anchors, <-sent
}
