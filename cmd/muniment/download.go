package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/grpc"
)

// maxDownloadBytes bounds what a node may send where all of it is verified in
// memory before it is written.
const maxDownloadBytes = 1 << 30

// chunked is a message that carries a part of a file.
type chunked[T any] interface {
	*T
	GetChunk() []byte
}

// download opens a stream of the Departments service and hands its chunks to
// take, in order.
func download[T any, M chunked[T]](ctx context.Context, open func(context.Context) (grpc.ServerStreamingClient[T], error), take func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := open(ctx)
	if err != nil {
		return remote(err)
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return remote(err)
		}
		if err := take(M(message).GetChunk()); err != nil {
			return err
		}
	}
}

// downloadWhole is download into memory.
func downloadWhole[T any, M chunked[T]](ctx context.Context, open func(context.Context) (grpc.ServerStreamingClient[T], error)) ([]byte, error) {
	var whole []byte
	err := download[T, M](ctx, open, func(chunk []byte) error {
		if len(whole)+len(chunk) > maxDownloadBytes {
			return failed(exitError, "TOO_LARGE", "", "the node sends more than %d MiB", maxDownloadBytes>>20)
		}
		whole = append(whole, chunk...)
		return nil
	})
	return whole, err
}

// isText tells whether bytes can go to a terminal as they are.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, r := range string(b) {
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' || r >= 0x7f && r < 0xa0 {
			return false
		}
	}
	return true
}

// deliver writes what was verified: to a file of mode 0600, or to standard
// output for "" and "-".
func (p *program) deliver(file string, data []byte) error {
	if file == "" || file == fromStdin {
		if p.stdoutTerminal && !isText(data) {
			return failed(exitUsage, "BINARY", "write it to a file with -o FILE", "it is not text, and standard output is a terminal")
		}
		_, err := p.stdout.Write(data)
		return err
	}
	if err := replaceFile(file, data); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return nil
}
