package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

const (
	documentBytes  = 1 << 20
	depositClients = 8
	depositChunk   = 256 << 10
	depositProfile = "raw/1"
)

// document is what a department deposits, with what it computed beforehand.
type document struct {
	content    []byte
	key        commitment.RecordKey
	commitment commitment.Commitment
}

// newDocument makes a document of 1 MiB that differs from all others in its
// first bytes, and computes its commitment as a client does.
func newDocument(tail []byte) (document, error) {
	content := make([]byte, documentBytes)
	_, _ = rand.Read(content[:32])
	copy(content[32:], tail)
	return documentOf(content)
}

// documentOf computes the commitment of a content.
func documentOf(content []byte) (document, error) {
	d := document{content: content}
	_, _ = rand.Read(d.key[:])
	layout, err := commitment.Arrange(depositProfile, d.content, nil)
	if err != nil {
		return document{}, err
	}
	m, _, err := commitment.Commit(commitment.NewState(d.key, layout.N()), layout)
	d.commitment = m.Commitment()
	return d, err
}

// runDeposits: documents of 1 MiB by eight clients, sealed, synced and read
// back, beside plain Pebble that stores the same padded and sealed bytes with
// one synced commit for each.
func runDeposits(b *bench) ([]result, error) {
	r := result{name: "deposit of 1 MiB documents, eight clients", unit: "documents/s", baseline: "plain Pebble, bytes sealed beforehand",
		target: ratioAtLeast(0.85, "at least 0.85"), clients: fmt.Sprintf("%d connections", depositClients)}
	tail := make([]byte, documentBytes-32)
	_, _ = rand.Read(tail)
	sealed, err := sealedDocument(tail)
	if err != nil {
		return nil, err
	}
	r.note = fmt.Sprintf("%s bytes sealed", number(float64(len(sealed))))
	documents := b.count(160, 16)
	for round := range b.rounds {
		rate, cpu, disk, err := b.plainPebble(sealed, documents)
		if err != nil {
			return nil, err
		}
		r.base, r.baseCPU, r.baseDisk = append(r.base, rate), append(r.baseCPU, cpu), disk
		n, err := b.node()
		if err == nil {
			err = b.deposit(n, tail, documents, &r)
		}
		if err != nil {
			return onlyBase(err, r), nil
		}
		b.logf("round %d: ours %s, plain Pebble %s documents/s", round+1, number(r.ours[round]), number(rate))
	}
	return []result{r}, nil
}

// sealedDocument gives the bytes that a vault would keep for a document, end to end.
func sealedDocument(tail []byte) ([]byte, error) {
	d, err := newDocument(tail)
	if err != nil {
		return nil, err
	}
	layout, err := commitment.Arrange(depositProfile, d.content, nil)
	if err != nil {
		return nil, err
	}
	state := commitment.NewState(d.key, layout.N())
	var all []byte
	for i, segment := range layout.Segments {
		if segment.Kind == commitment.Padding {
			continue
		}
		enc, _, _ := state.Secret(uint32(i))
		sealed, err := commitment.Seal(enc, [16]byte{}, uint32(i), segment.Kind, segment.Payload)
		if err != nil {
			return nil, err
		}
		all = append(all, sealed...)
	}
	return all, nil
}

// plainPebble stores n documents with eight writers into a store opened as the
// vault opens its own, in values of 256 KiB.
func (b *bench) plainPebble(sealed []byte, n int) (rate, cpu, disk float64, err error) {
	dir, err := os.MkdirTemp(b.dir, "plain-pebble-")
	if err != nil {
		return 0, 0, 0, err
	}
	defer os.RemoveAll(dir)
	db, err := openPlain(filepath.Join(dir, "db"))
	if err != nil {
		return 0, 0, 0, err
	}
	before := usageNow()
	took, _, err := flood(n, depositClients, func(_, i int) error {
		batch := db.NewBatchWithSize(len(sealed) + 1024)
		for part := 0; part*depositChunk < len(sealed); part++ {
			value := sealed[part*depositChunk : min((part+1)*depositChunk, len(sealed))]
			key := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64([]byte{'b'}, uint64(i)*0x9E3779B97F4A7C15), uint32(part))
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
		}
		return errors.Join(batch.Commit(pebble.Sync), batch.Close())
	})
	used, _ := usageNow().since(before)
	disk = float64(diskBytes(dir)) / float64(n)
	return float64(n) / took.Seconds(), used.Seconds() * 1e6 / float64(n), disk, errors.Join(err, db.Close())
}

// openPlain opens a store as the vault opens its own.
func openPlain(dir string) (*pebble.DB, error) {
	options := &pebble.Options{FormatMajorVersion: pebble.FormatNewest, MemTableSize: 32 << 20, MemTableStopWritesThreshold: 4,
		CacheSize: 32 << 20, BytesPerSync: 1 << 20, Logger: quietPebble{}}
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return pebble.Open(dir, options)
}

// quietPebble says nothing, and ends the process where Pebble cannot go on.
type quietPebble struct{}

func (quietPebble) Infof(string, ...any)  {}
func (quietPebble) Errorf(string, ...any) {}
func (quietPebble) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

// deposit has eight clients deposit documents.
func (b *bench) deposit(n *node, tail []byte, count int, r *result) error {
	documents := make([]document, count)
	for i := range documents {
		var err error
		if documents[i], err = newDocument(tail); err != nil {
			return err
		}
	}
	conns, err := n.dial(department, depositClients)
	if err != nil {
		return err
	}
	defer func() { _ = hangUp(conns) }()
	for _, conn := range conns {
		if _, err := apiv1.NewAuditorsClient(conn).Checkpoint(b.ctx, &apiv1.CheckpointRequest{}); err != nil {
			return err
		}
	}
	day := record.LedgerDay(time.Now().UnixNano())
	m, err := b.measured(n, func() (float64, time.Duration, error) {
		took, _, err := flood(count, depositClients, func(worker, i int) error {
			return depositOne(b.ctx, conns[worker], documents[i], depositProfile, day)
		})
		return float64(count), took, err
	})
	if err == nil {
		r.add(m)
	}
	return err
}

// depositOne streams a document and compares the commitments.
func depositOne(ctx context.Context, conn *grpc.ClientConn, d document, profile commitment.Profile, day record.Day) error {
	stream, err := apiv1.NewDepartmentsClient(conn).Deposit(ctx)
	if err != nil {
		return err
	}
	header := &apiv1.DepositHeader{Series: series, Custody: custody, NotAfterDay: uint32(day + 2), Profile: string(profile),
		RecordKey: d.key[:], ExpectedCommitment: d.commitment[:], Size: uint64(len(d.content))}
	if err := stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Header{Header: header}}); err != nil {
		return lastError(stream, err)
	}
	for from := 0; from < len(d.content); from += depositChunk {
		chunk := d.content[from:min(from+depositChunk, len(d.content))]
		if err := stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Chunk{Chunk: chunk}}); err != nil {
			return lastError(stream, err)
		}
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	if string(resp.Commitment) != string(d.commitment[:]) {
		return errors.New("the custodian has another commitment")
	}
	return nil
}

// lastError gives the server's reason where a stream was cut off: Send says EOF only.
func lastError(stream grpc.ClientStreamingClient[apiv1.DepositRequest, apiv1.DepositResponse], err error) error {
	if _, reason := stream.CloseAndRecv(); reason != nil {
		return reason
	}
	return err
}
