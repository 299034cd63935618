package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/app/rpc"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/vault"
)

// followEvery is how often custody looks for new entries.
const followEvery = 2 * time.Second

// statusPatience bounds what a status waits for: with a million records they are read
// for some seconds.
const statusPatience = 8 * time.Second

// Service is a node with everything that serves callers: custody, gRPC, tiles
// and the operators' socket.
type Service struct {
	node     *Node
	custody  *custody.Custody // nil where the node keeps no content, and so are its stores
	vault    *vault.Vault
	rings    *keyring.Keyring
	accesses *vault.AccessLog
	close    []func() error // of custody's stores and their root, in order
	server   *rpc.Server

	behind    atomic.Bool // the ledger may be old: custody gives nothing out
	least     int64       // entries that the ledger had once, as vault and cosigner know
	erasing   erasing
	copying   *copying   // nil where the node keeps no content
	backingUp sync.Mutex // one backup at a time

	addresses  Addresses
	background sync.WaitGroup
	cancel     context.CancelFunc
	failed     chan error
	stop       sync.Once
	stopErr    error
}

// Addresses are where a started service listens, as host:port.
type Addresses struct {
	GRPC  string
	Tiles string // empty: not served
}

// NewService opens the node of a home with its content and makes the servers.
// Nothing listens yet. What was opened must be stopped.
func NewService(home Home, config Config, o Options) (*Service, error) {
	n, err := New(home, config, o)
	if err != nil {
		return nil, err
	}
	if err := n.checkBlocks(); err != nil {
		return nil, errors.Join(err, n.Stop())
	}
	s := &Service{node: n, failed: make(chan error, 5)}
	if n.keys.Custodian != nil {
		if err := s.openCustody(o); err != nil {
			return nil, errors.Join(err, s.closeCustody(), n.Stop())
		}
	}
	s.server = rpc.New(rpc.Options{
		Node: served{s}, State: n.state, Custody: s.custody, Certificate: n.keys.TLS(), Now: n.now, Log: n.log,
		Handovers: func(eras int64) [][]byte { return n.cosigning.handoversAfter(int(eras), math.MaxInt) }, Cards: n.members.registered,
		Erase: s.eraseForOperator, Leave: s.leaveForOperator, Heard: s.heard, Backup: s.backupForOperator,
		Handled: n.metrics.handled, Refused: n.metrics.refusedConnection,
	})
	return s, nil
}

// openCustody opens vault, rings and access log. Nothing is made where rings are
// missing: a keyring can be restored into their place.
func (s *Service) openCustody(o Options) error {
	home, fatal := s.node.home, s.node.fatal
	root, done, err := home.RingRoot(o.Passphrase)
	if err != nil {
		return err
	}
	s.close = append(s.close, done)
	v, err := vault.Open(home.Vault(), vault.Options{Fatal: fatal})
	if err != nil {
		return err
	}
	s.close = append(s.close, v.Close)
	if err := home.checkRings(v); errors.Is(err, ErrRingsLost) && o.WithoutRings {
		s.node.log.Warn("what the missing rings held opens for nobody", "why", err)
	} else if err != nil {
		return err
	}
	rings, err := keyring.Open(home.Rings(), root, keyring.Options{Fatal: fatal})
	if err != nil {
		return err
	}
	s.close = append(s.close, rings.Close)
	accesses, err := vault.OpenLog(home.Accesses(), vault.Options{Fatal: fatal})
	if err != nil {
		return err
	}
	s.close = append(s.close, accesses.Close)
	s.vault, s.rings, s.accesses = v, rings, accesses
	followed, err := v.Position()
	if err != nil {
		return err
	}
	s.least = max(int64(followed), s.node.cosigning.state.Size())
	s.behind.Store(true)
	key := public(s.node.keys.Custodian)
	s.custody, err = custody.New(v, rings, accesses, custody.Config{
		View: s.node.View, Now: s.node.now, Custodian: record.KeyIDOf(key[:]), Behind: s.behind.Load, Submit: s.submitReport,
		Depart: s.submitDeparture,
	})
	s.observeErasures()
	s.copying = s.newCopying()
	return err
}

func (s *Service) closeCustody() (err error) {
	for i := len(s.close) - 1; i >= 0; i-- {
		err = errors.Join(err, s.close[i]())
	}
	s.close = nil
	return err
}

// Start starts consensus, serves operators, and then departments and auditors:
// once the first block is there, since without the registry of the genesis
// nobody is known, and once custody has followed the log to its end and knows
// which rings are older than the ledger. While the ledger itself is behind its
// peers, custody gives nothing out. Start returns early, without an error, where
// ctx ends.
func (s *Service) Start(ctx context.Context) error {
	if err := s.node.Start(); err != nil {
		return err
	}
	if err := s.listenForOperators(); err != nil {
		return err
	}
	ctx, s.cancel = context.WithCancel(ctx)
	for next := s.node.NextBlock(); s.node.state.View().Head().Size == 0; next = s.node.NextBlock() {
		select {
		case <-next:
		case <-ctx.Done():
			return nil
		}
	}
	if s.custody != nil {
		if !s.lagging() {
			if err := s.settle(ctx); err != nil {
				return err
			}
		}
		s.run("custody", func() error { return s.keep(ctx) })
	}
	return s.listen()
}

// listen opens the listeners for departments and auditors.
func (s *Service) listen() error {
	grpc, err := net.Listen("tcp", s.node.config.GRPC.Listen)
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	s.addresses.GRPC = grpc.Addr().String()
	s.run("gRPC", func() error { return s.server.Serve(grpc) })
	if s.node.config.Tiles.Listen != "" {
		tiles, err := net.Listen("tcp", s.node.config.Tiles.Listen)
		if err != nil {
			return fmt.Errorf("listen for tiles: %w", err)
		}
		s.addresses.Tiles = tiles.Addr().String()
		s.run("tiles", func() error { return s.server.ServeTiles(tiles) })
	}
	return nil
}

// listenForOperators opens the operators' socket, for the owner alone.
func (s *Service) listenForOperators() error {
	// Pebble's lock says that no other process runs this home: what stands at
	// the socket's place is left over.
	if err := os.Remove(s.node.home.Socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clear operators' socket: %w", err)
	}
	operators, err := net.Listen("unix", s.node.home.Socket())
	if err != nil {
		return fmt.Errorf("listen for operators: %w", err)
	}
	if err := os.Chmod(s.node.home.Socket(), 0o600); err != nil {
		return fmt.Errorf("guard operators' socket: %w", err)
	}
	s.run("operators", func() error { return s.server.ServeOperators(operators) })
	return nil
}

// run serves in the background; an error ends the service.
func (s *Service) run(what string, serve func() error) {
	s.background.Go(func() {
		if err := serve(); err != nil {
			s.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// Addresses tells where the service listens.
func (s *Service) Addresses() Addresses { return s.addresses }

// Node gives the node under the service.
func (s *Service) Node() *Node { return s.node }

// Wait returns when ctx ends, with nil, or when the node must be stopped, with
// the reason.
func (s *Service) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	case err := <-s.node.StopWanted():
		return err
	}
}

// Stop stops accepting, lets calls under way finish until ctx ends, and stops
// custody, the node and last the stores. It may be called again.
func (s *Service) Stop(ctx context.Context) error {
	s.stop.Do(func() { s.stopErr = s.end(ctx) })
	return s.stopErr
}

func (s *Service) end(ctx context.Context) error {
	s.node.app.Stop() // waits for blocks end now, so that their calls can
	s.server.Stop(ctx)
	if s.cancel != nil {
		s.cancel()
	}
	s.background.Wait()
	// What is in tables has checksums that tell every damage; the end of the
	// write-ahead log has not.
	return errors.Join(s.closeCustody(), s.node.db.Flush(), s.node.Stop())
}

// served is the node as package rpc wants it.
type served struct{ *Service }

func (s served) View() ledger.View { return s.node.View() }

// Submit gives errors the names that package rpc knows. Where the node stops
// while a transaction is under way, what counts is that its outcome is unknown.
func (s served) Submit(ctx context.Context, raw []byte) (ledger.Result, int64, error) {
	result, height, err := s.node.Submit(ctx, raw)
	for _, known := range []struct{ from, to error }{
		{abci.ErrOutcomeUnknown, rpc.ErrOutcomeUnknown}, {abci.ErrShare, rpc.ErrShare}, {abci.ErrBusy, rpc.ErrBusy}, {abci.ErrStopping, rpc.ErrStopping},
	} {
		if errors.Is(err, known.from) {
			return result, height, fmt.Errorf("%w: %w", known.to, err)
		}
	}
	return result, height, err
}

func (s served) Cosigned(ctx context.Context, size int64) ([]byte, int64, error) {
	c, err := s.node.CosignedCheckpoint(ctx, size)
	return c.Signed, c.Size, err
}

func (s served) Status() *apiv1.StatusResponse {
	status := s.node.Status()
	r := &apiv1.StatusResponse{
		ChainId: status.Head.ChainID, Origin: status.Head.Origin, Network: status.Head.Network[:],
		Height: uint64(status.Head.Height), BlockTime: status.Head.Time, LogSize: uint64(status.Head.Size),
		CosignedSize: uint64(status.CosignedSize), AppHash: status.Head.AppHash[:], Validators: uint32(status.Validators),
		Peers: uint32(status.Peers), CatchingUp: status.CatchingUp, FreeBytes: status.FreeBytes, Version: buildVersion(),
	}
	if s.custody != nil {
		if records, err := s.custody.Records(); err == nil {
			r.RecordsHere = records
		}
		r.Claim = s.rings.Claim().String()
		if fact, ok, err := s.node.registered(s.node.View()); err == nil && ok {
			r.RestartForCustodianKey = s.node.otherCustodian(fact)
		}
		if pending, quarantined, err := s.custody.Pending(); err == nil {
			r.ErasuresPending, r.Quarantined = pending, quarantined
		}
		ctx, cancel := context.WithTimeout(context.Background(), statusPatience)
		defer cancel()
		r.Copies = s.copying.status(ctx)
	}
	return r
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unversioned"
}
