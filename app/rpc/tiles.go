package rpc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/muniment/muniment/app/identity"
	"github.com/muniment/muniment/app/record"
)

// entriesLevel is how golang.org/x/mod/sumdb/tlog numbers tiles of entries.
const entriesLevel = -1

// TileConfig is TLS for the listener of the log tiles: a client may bring a
// certificate, and needs one for the entries.
func (s *Server) TileConfig() *tls.Config {
	config := identity.ServerConfig(s.options.Certificate, s.authority.connect)
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

// Tiles serves the log as C2SP tlog-tiles: /checkpoint and /tile/ with hash
// tiles for everybody, and entry bundles for callers with a registered
// certificate. Partial tiles of any width that the log has reached are there,
// so that every tree that was ever signed can be read.
func (s *Server) Tiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkpoint", s.serveCheckpoint)
	mux.HandleFunc("GET /tile/", s.serveTile)
	return mux
}

func (s *Server) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	text, _, err := s.options.Node.Cosigned(r.Context(), 0)
	if err != nil {
		http.Error(w, "no cosigned checkpoint yet: try again", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Write(text)
}

// errNoTile says that a path names no tile of this log.
var errNoTile = errors.New("no such tile: the log has not grown so far, or the path is not one of C2SP tlog-tiles")

func (s *Server) serveTile(w http.ResponseWriter, r *http.Request) {
	tile, err := torchwood.ParseTilePath(strings.TrimPrefix(r.URL.Path, "/"))
	if err != nil {
		http.Error(w, errNoTile.Error(), http.StatusNotFound)
		return
	}
	if tile.L == entriesLevel && !s.mayReadEntries(r) {
		http.Error(w, "entries need the certificate of a registered office: bring one", http.StatusForbidden)
		return
	}
	data, err := s.tile(tile)
	if err != nil {
		http.Error(w, errNoTile.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(data)
}

func (s *Server) mayReadEntries(r *http.Request) bool {
	if r.TLS == nil || len(r.TLS.PeerCertificates) != 1 {
		return false
	}
	_, _, err := s.authority.standing(r.TLS.PeerCertificates[0])
	return err == nil
}

// tile gives the bytes of a tile of the committed log.
func (s *Server) tile(t tlog.Tile) ([]byte, error) {
	if t.L != entriesLevel {
		return s.options.State.Tile(t.L, t.N, t.W)
	}
	size := s.options.Node.View().Head().Size
	if t.N > size/torchwood.TileWidth || t.N*torchwood.TileWidth+int64(t.W) > size {
		return nil, errNoTile
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
