package main

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"google.golang.org/grpc"
)

// maxDownloadBytes bounds what a node may send: all of it is in memory until it
// is verified.
const maxDownloadBytes = 1 << 30

// download gathers the chunks of a stream of the Departments service: open
// makes the call, chunk gives the part that a message carries.
func download[T any](ctx context.Context, open func(context.Context) (grpc.ServerStreamingClient[T], error), chunk func(*T) []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := open(ctx)
	if err != nil {
		return nil, remote(err)
	}
	var whole []byte
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return nil, remote(err)
		}
		part := chunk(message)
		if len(whole)+len(part) > maxDownloadBytes {
			return nil, failed(exitError, "TOO_LARGE", "", "the node sends more than %d MiB", maxDownloadBytes>>20)
		}
		whole = append(whole, part...)
	}
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
	return writeOutput(file, data)
}
