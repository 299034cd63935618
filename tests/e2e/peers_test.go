package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/protoio"
	"github.com/cometbft/cometbft/p2p"
	p2pconn "github.com/cometbft/cometbft/p2p/conn"
	tmp2p "github.com/cometbft/cometbft/proto/tendermint/p2p"
)

// shake goes through the handshake that everybody may go through, with a new key.
func shake(conn net.Conn) (secret *p2pconn.SecretConnection, key cmted25519.PrivKey, err error) {
	key = cmted25519.GenPrivKey()
	secret, err = p2pconn.MakeSecretConnection(conn, key)
	return secret, key, err
}

// introduce tells the node that one is a node like itself, of the same network.
func introduce(secret *p2pconn.SecretConnection, key cmted25519.PrivKey) error {
	var info tmp2p.DefaultNodeInfo
	if _, err := protoio.NewDelimitedReader(secret, p2p.MaxNodeInfoSize()).ReadMsg(&info); err != nil {
		return err
	}
	info.DefaultNodeID = string(p2p.PubKeyToID(key.PubKey()))
	_, err := protoio.NewDelimitedWriter(secret).WriteMsg(&info)
	return err
}

// pour writes until the other side has enough, and gives how much that was.
func pour(w io.Writer, piece []byte) (n int64) {
	for {
		m, err := w.Write(piece)
		if n += int64(m); err != nil {
			return n
		}
	}
}

// TestT03_StrangersAtTheP2PPort: whatever somebody sends whom the ledger does not list,
// before, in and after the handshake, the node takes little of it and goes on.
func TestT03_StrangersAtTheP2PPort(t *testing.T) {
	b := besiege(t)
	gigabyte := []byte{0x80, 0x80, 0x80, 0x80, 0x04} // as the length of a message
	junk := make([]byte, 64<<10)
	rand.Read(junk)
	var packets bytes.Buffer
	if _, err := protoio.NewDelimitedWriter(&packets).WriteMsg(&tmp2p.Packet{Sum: &tmp2p.Packet_PacketMsg{
		PacketMsg: &tmp2p.PacketMsg{ChannelID: 0x30, Data: junk},
	}}); err != nil {
		t.Fatal(err)
	}
	// What each gives is how much the node's side took before it closed.
	for what, talk := range map[string]func(net.Conn) (int64, error){
		"noise":          func(c net.Conn) (int64, error) { return pour(c, junk), nil },
		"half handshake": func(c net.Conn) (int64, error) { return pour(c, []byte("\x22\x0a\x20"+string(junk[:16]))), nil },
		"noise after the keys": func(c net.Conn) (int64, error) {
			secret, _, err := shake(c)
			if err != nil {
				return 0, err
			}
			return pour(c, junk), errors.Join(err, secret.SetDeadline(time.Now()))
		},
		"introduction of a gigabyte": func(c net.Conn) (int64, error) {
			secret, _, err := shake(c)
			if err != nil {
				return 0, err
			}
			if _, err := secret.Write(gigabyte); err != nil {
				return 0, nil
			}
			return pour(secret, junk), nil
		},
		"packets of a stranger": func(c net.Conn) (int64, error) {
			secret, key, err := shake(c)
			if err == nil {
				err = introduce(secret, key)
			}
			if err != nil {
				return 0, err
			}
			return pour(secret, packets.Bytes()), nil
		},
		"packet of a gigabyte": func(c net.Conn) (int64, error) {
			secret, key, err := shake(c)
			if err == nil {
				err = introduce(secret, key)
			}
			if err != nil {
				return 0, err
			}
			if _, err := secret.Write(gigabyte); err != nil {
				return 0, nil
			}
			return pour(secret, junk), nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			var taken, all atomic.Int64
			b.survives(t, nil, func(ctx context.Context) {
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(elsewhere)}, Timeout: 10 * time.Second}
				var group sync.WaitGroup
				for range 16 { // six times that is what a host may begin in a second
					group.Go(func() {
						conn, err := dialer.DialContext(ctx, "tcp", b.p2p)
						if err != nil {
							t.Error(err)
							return
						}
						defer conn.Close()
						conn.SetDeadline(time.Now().Add(20 * time.Second))
						n, err := talk(conn)
						if err != nil {
							t.Error(err)
						}
						taken.Add(n)
						all.Add(1)
					})
				}
				group.Wait()
			})
			t.Logf("%d connections wrote %d KiB before they were closed", all.Load(), taken.Load()>>10)
			if n := figure(t, b.monitor, "muniment_peers", ""); n != 0 {
				t.Errorf("the node has %v peers", n)
			}
		})
	}
	b.node.stop()
}
