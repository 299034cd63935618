package e2e

import (
	"crypto/rand"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/muniment/muniment/app/commitment"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

// deposit keeps a document with the custodian and gives its commitment and the
// record key that the client drew.
func (c *city) deposit(t testing.TB, conn *grpc.ClientConn, series record.Code, content []byte, fields []commitment.Field) (record.Commitment, commitment.RecordKey) {
	t.Helper()
	return c.depositAs(t, conn, series, commitment.Choose("", content), content, fields)
}

// depositAs is a deposit of a document that is cut by a profile.
func (c *city) depositAs(t testing.TB, conn *grpc.ClientConn, series record.Code, profile commitment.Profile, content []byte, fields []commitment.Field) (record.Commitment, commitment.RecordKey) {
	t.Helper()
	layout, err := commitment.Arrange(profile, content, fields)
	if err != nil {
		t.Fatal(err)
	}
	var key commitment.RecordKey
	rand.Read(key[:])
	manifest, _, err := commitment.Commit(commitment.NewState(key, layout.N()), layout)
	if err != nil {
		t.Fatal(err)
	}
	want := manifest.Commitment()
	stream, err := apiv1.NewDepartmentsClient(conn).Deposit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	header := &apiv1.DepositHeader{
		Series: string(series), Custody: "CITY", NotAfterDay: uint32(record.LedgerDay(time.Now().UnixNano()) + 5), Profile: string(profile),
		RecordKey: key[:], ExpectedCommitment: want[:], Size: uint64(len(content)),
	}
	for _, f := range fields {
		header.Fields = append(header.Fields, &apiv1.MetadataField{Key: f.Key, Value: f.Value})
	}
	if err := stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Header{Header: header}}); err != nil {
		t.Fatal(err)
	}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 256<<10)
		if err := stream.Send(&apiv1.DepositRequest{Part: &apiv1.DepositRequest_Chunk{Chunk: rest[:n]}}); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	if record.Commitment(answer.Commitment) != record.Commitment(want) {
		t.Fatalf("deposit answers %x, want %x", answer.Commitment, want)
	}
	return record.Commitment(want), key
}

// transaction signs an anchor of commitments by an office.
func (c *city) transaction(t testing.TB, code, series record.Code, commitments ...record.Commitment) []byte {
	t.Helper()
	m := &record.AnchorRecords{Series: series, Custody: "CITY"}
	for _, id := range commitments {
		m.Items = append(m.Items, record.AnchorItem{Commitment: id, Day: 20_000})
	}
	var nonce record.Nonce
	rand.Read(nonce[:])
	body, err := record.NewBody(c.network.ID, nonce, record.LedgerDay(time.Now().UnixNano())+5, m)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := record.Sign(c.offices[code].signing, body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// submit hands in a transaction and wants reason.
func submit(t testing.TB, conn *grpc.ClientConn, raw []byte, reason string) *apiv1.SubmitResponse {
	t.Helper()
	resp, err := apiv1.NewDepartmentsClient(conn).Submit(ctx(t), &apiv1.SubmitRequest{Transaction: raw})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Reason != reason {
		t.Fatalf("submit answers %s, want %s", resp.Reason, reason)
	}
	return resp
}
