package main

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// chunkBytes is how much of a document one message carries.
const chunkBytes = 256 << 10

// arrangement cuts a content and adds the other leaves of its record.
type arrangement func(commitment.Profile, []byte, []commitment.Field) (commitment.Layout, error)

// deposit hands a document to the custodian under a fresh record key and gives
// its commitment, computed here: the custodian only has to agree. Arrange is how
// it is laid out: commitment.Arrange, or ArrangeBatch for series that want that.
func (s *session) deposit(ctx context.Context, header *apiv1.DepositHeader, content []byte, fields []commitment.Field, arrange arrangement) (record.Commitment, error) {
	layout, err := arrange(commitment.Profile(header.Profile), content, fields)
	if err != nil {
		return record.Commitment{}, failed(exitRefused, "PROFILE_REFUSED", "leave --profile out, or use raw/1", "it cannot be cut by %s: %w", header.Profile, err)
	}
	var key commitment.RecordKey
	rand.Read(key[:]) // never fails
	header.RecordKey = key[:]
	defer clear(key[:]) // the header shares its memory
	manifest, _, err := commitment.Commit(commitment.NewState(key, layout.N()), layout)
	if err != nil {
		return record.Commitment{}, err
	}
	want := manifest.Commitment()
	header.ExpectedCommitment = want[:]
	header.Size = uint64(len(content))
	for _, f := range fields {
		header.Fields = append(header.Fields, &apiv1.MetadataField{Key: f.Key, Value: f.Value})
	}
	response, err := s.stream(ctx, header, content)
	if err != nil {
		return record.Commitment{}, err
	}
	if record.Commitment(want) != record.Commitment(padded(response.Commitment)) || response.Segments != layout.N() {
		return record.Commitment{}, failed(exitContradicted, "COMMITMENT_MISMATCH", "do not rely on this node: tell whoever runs it", "the custodian answered with another commitment")
	}
	return record.Commitment(want), nil
}

// padded makes any bytes 32 bytes, so that a wrong length compares as different.
func padded(b []byte) (out [32]byte) {
	if len(b) == len(out) {
		copy(out[:], b)
	}
	return out
}

func (s *session) stream(ctx context.Context, header *apiv1.DepositHeader, content []byte) (*apiv1.DepositResponse, error) {
	client, err := s.departments(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	stream, err := client.Deposit(ctx)
	if err != nil {
		return nil, remote(err)
	}
	err = stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Header{Header: header}})
	for part := range slices.Chunk(content, chunkBytes) {
		if err != nil {
			break
		}
		err = stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Chunk{Chunk: part}})
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the node has ended the call, and its answer says why
		return nil, remote(err)
	}
	response, err := stream.CloseAndRecv()
	if err != nil {
		return nil, remote(err)
	}
	return response, nil
}
