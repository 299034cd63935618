package record

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// CheckpointBody gives the text that is signed and cosigned for a tree of size
// entries: exactly three lines (C2SP tlog-checkpoint), no extension lines.
func CheckpointBody(origin string, size int64, root Hash) []byte {
	b := make([]byte, 0, len(origin)+72)
	b = append(b, origin...)
	b = append(b, '\n')
	b = strconv.AppendInt(b, size, 10)
	b = append(b, '\n')
	b = base64.StdEncoding.AppendEncode(b, root[:])
	return append(b, '\n')
}

// AppHash gives the SHA-256 of a checkpoint body: what consensus agrees on.
func AppHash(body []byte) [32]byte { return sha256.Sum256(body) }

// RebuildAnchorBody gives the body of an AnchorRecords transaction from its
// log entries. The result hashes to tx.BodyHash exactly if the entries are
// those of the transaction.
func RebuildAnchorBody(network Network, tx TxEntry, anchors []AnchorEntry) ([]byte, error) {
	if len(anchors) == 0 {
		return nil, malformed("a transaction without anchors")
	}
	m := &AnchorRecords{Series: anchors[0].Series, Custody: anchors[0].Custody, Items: make([]AnchorItem, len(anchors))}
	for i, a := range anchors {
		m.Items[i] = AnchorItem{Commitment: a.Commitment, Day: a.Day, Flags: a.Flags}
	}
	return NewBody(network, tx.Nonce, tx.NotAfter, m)
}
