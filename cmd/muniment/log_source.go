package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/record"
)

// What a node may send.
const (
	maxCheckpointBytes = 64 << 10
	maxBundleBytes     = torchwood.TileWidth * (2 + record.MaxEntryBytes)
)

// tileSource reads the log from a node's listener for tiles, in the name of an
// office. It is safe for concurrent use.
type tileSource struct {
	session *session
	address string

	mu     sync.Mutex // guards client and until
	client *http.Client
	until  time.Time // when a new certificate is due
}

// connected gives a client whose certificate has time left.
func (s *tileSource) connected() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.session.program.now()
	if s.client != nil && now.Before(s.until) {
		return s.client, nil
	}
	config, err := s.session.tlsConfig(now)
	if err != nil {
		return nil, err
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	s.client = &http.Client{
		Transport:     &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, TLSHandshakeTimeout: connectTimeout, IdleConnTimeout: callTimeout},
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.until = now.Add(renewAfter)
	return s.client, nil
}

// read fetches a path of the log, of at most limit bytes.
func (s *tileSource) read(ctx context.Context, path string, limit int64) ([]byte, error) {
	client, err := s.connected()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "muniment/"+version())
	response, err := client.Do(request)
	if err != nil {
		return nil, s.unreachable(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, s.unreachable(err)
	case response.StatusCode == http.StatusForbidden:
		return nil, failed(exitDenied, "DENIED", adviceOn["DENIED"], "the node does not let this office read the entries of the log")
	case response.StatusCode == http.StatusServiceUnavailable:
		return nil, failed(exitUnavailable, "BUSY", adviceOn["BUSY"], "the node has no cosigned checkpoint to show yet")
	case response.StatusCode != http.StatusOK:
		return nil, failed(exitUnavailable, "NOT_FOUND", "is this the listener for tiles? --tiles says where it is", "the node answers %d for %s", response.StatusCode, path)
	case int64(len(data)) > limit:
		return nil, failed(exitError, "TOO_LARGE", "", "the node sends more than %d bytes for %s", limit, path)
	}
	return data, nil
}

// unreachable says why a request got no answer.
func (s *tileSource) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	why := unreachable(err)
	if reasonOf(why) != "UNAVAILABLE" {
		return why
	}
	return failed(exitUnavailable, "UNAVAILABLE", "give the host and port of the node's tiles.listen with --tiles, or run it again: it goes on where it was",
		"the log is not served at %s: %s", s.address, shortened(err.Error()))
}

// bundle fetches the entries of a tile and gives them with their hashes.
func (s *tileSource) bundle(ctx context.Context, n int64, width int) (data []byte, hashes []record.Hash, err error) {
	path := torchwood.TilePath(tileAt(entriesLevel, n, width))
	if data, err = s.read(ctx, path, maxBundleBytes); err != nil {
		return nil, nil, err
	}
	rest := data
	for range width {
		var entry []byte
		if entry, rest, err = torchwood.ReadTileEntry(rest); err != nil {
			break
		}
		hashes = append(hashes, record.LeafHash(entry))
	}
	if err != nil || len(rest) > 0 {
		return nil, nil, failed(exitContradicted, "MALFORMED", "do not rely on this node: tell whoever runs it", "the node sends something else than %d entries for %s", width, path)
	}
	return data, hashes, nil
}

// entriesLevel is how torchwood numbers tiles of entries.
const entriesLevel = -1

func tileAt(level int, n int64, width int) tlog.Tile {
	return tlog.Tile{H: torchwood.TileHeight, L: level, N: n, W: width}
}

// bytesOf gives hashes as a tile has them.
func bytesOf(hashes []record.Hash) []byte {
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data
}

// hashesOf takes a tile of so many hashes apart.
func hashesOf(data []byte, width int) ([]record.Hash, error) {
	if len(data) != width*tlog.HashSize {
		return nil, fmt.Errorf("a tile of %d bytes, not of %d hashes", len(data), width)
	}
	hashes := make([]record.Hash, width)
	for i := range hashes {
		copy(hashes[i][:], data[i*tlog.HashSize:])
	}
	return hashes, nil
}
