package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/state"
)

// entriesLevel is how golang.org/x/mod/sumdb/tlog numbers tiles of entries.
const entriesLevel = -1

// tileConfig is TLS for the listener of the log tiles: a client may bring a
// certificate, and needs one for the entries.
func (s *Server) tileConfig() *tls.Config {
	config := identity.ServerConfig(s.options.Certificate, s.connect)
	config.ClientAuth = tls.RequestClientCert
	config.NextProtos = []string{"h2", "http/1.1"}
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		return verify(state)
	}
	return config
}

// tileHandler serves the log as C2SP tlog-tiles: /checkpoint and /tile/ with hash
// tiles for everybody, and entry bundles for callers with a registered
// certificate. Partial tiles of any width that the log has reached are there,
// so that every tree that was ever signed can be read.
func (s *Server) tileHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", s.serveCheckpoint)
	mux.HandleFunc("GET /tile/", s.serveTile)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.reading.Add(1)
		defer s.reading.Done()
		s.options.Handled("tiles")
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.handshake)
	defer cancel()
	text, _, err := s.options.Node.Cosigned(ctx, 0)
	if err != nil {
		http.Error(w, "no cosigned checkpoint yet: try again", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(text)
}

func (s *Server) serveTile(w http.ResponseWriter, r *http.Request) {
	const noTile = "no such tile: the log has not grown so far, or the path is not one of C2SP tlog-tiles"
	tile, err := torchwood.ParseTilePath(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.Error(w, noTile, http.StatusNotFound)
		return
	}
	sharing := "public"
	if tile.L == entriesLevel {
		if !s.mayReadEntries(r) {
			http.Error(w, "entries need the certificate of a registered office: bring one", http.StatusForbidden)
			return
		}
		sharing = "private" // a cache in between must not give it to others
	}
	data, err := s.tile(tile)
	switch {
	case errors.Is(err, state.ErrNotThere):
		http.Error(w, noTile, http.StatusNotFound)
	case err != nil:
		s.options.Log.Error("tile not served", "tile", r.URL.Path, "err", err)
		http.Error(w, "the node could not answer: its log says why", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", sharing+", max-age=31536000, immutable")
		w.Write(data)
	}
}

// mayReadEntries asks what Auditors.Entry would.
func (s *Server) mayReadEntries(r *http.Request) bool {
	if r.TLS == nil || len(r.TLS.PeerCertificates) != 1 {
		return false
	}
	c, err := s.authority.current(r.TLS.PeerCertificates[0])
	return err == nil && may(c.roles, apiv1.Auditors_Entry_FullMethodName)
}

// tile gives the bytes of a tile of the committed log.
func (s *Server) tile(t tlog.Tile) ([]byte, error) {
	if t.L != entriesLevel {
		return s.options.State.Tile(t.L, t.N, t.W)
	}
	size := s.options.Node.View().Head().Size
	if t.N > size/torchwood.TileWidth || t.N*torchwood.TileWidth+int64(t.W) > size {
		return nil, state.ErrNotThere
	}
	entries, err := s.options.State.Entries(record.Index(t.N*torchwood.TileWidth), t.W)
	if err != nil {
		return nil, err
	}
	var data []byte
	for i, entry := range entries {
		if data, err = torchwood.AppendTileEntry(data, entry); err != nil {
			return nil, fmt.Errorf("entry %d of tile %d: %w", i, t.N, err)
		}
	}
	return data, nil
}
