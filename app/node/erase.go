package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/record"
	apiv1 "github.com/muniment/muniment/proto/muniment/api/v1"
)

var (
	// ErrNoContent is returned where a node is asked for what only custodians do.
	ErrNoContent = errors.New("this node keeps no content")
	// ErrReportRefused is returned where the ledger refuses a custodian's statement.
	ErrReportRefused = errors.New("ledger refuses the statement of the custodian")
)

// reportDays is for how many ledger days a report may wait for its block. After
// that it is signed again: the text that it stands for stays the same.
const reportDays = 7

// erasing is what the rounds of custody have left.
type erasing struct {
	rotations prometheus.Counter

	mu   sync.Mutex
	last string // what the last round said went wrong, or waits; empty: all is done
}

// settle brings custody to the end of the log and has it compare its rings with
// what the ledger has erased, before it gives anything out.
func (s *Service) settle(ctx context.Context) error {
	if err := s.custody.CatchUp(ctx); err != nil {
		return err
	}
	s.behind.Store(false)
	return s.custody.Reconcile(ctx)
}

// lagging says whether the ledger here may be older than it was: the engine still
// fetches blocks from its peers, or the log is shorter than what the vault has
// followed or this node has cosigned, as after a restore. A lone validator has
// nobody to fetch blocks from.
func (s *Service) lagging() bool {
	n := s.node
	return !n.alone() && (n.engine.ConsensusReactor().WaitSync() || n.View().Head().Size < s.least)
}

// keep settles as soon as the ledger is no longer behind, and follows it then.
func (s *Service) keep(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	if s.behind.Load() {
		s.node.log.Info("the ledger is behind its peers: content is given out when it has caught up", "entries", s.node.View().Head().Size, "had", s.least)
	}
	for s.lagging() {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	if s.behind.Load() {
		if err := s.settle(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	s.run("erasures", func() error { s.eraseEvery(ctx); return nil })
	s.run("space", func() error { s.reclaimEvery(ctx); return nil })
	s.run("copies", func() error { s.copying.run(ctx); return nil })
	return s.custody.Follow(ctx, followEvery)
}

// eraseEvery carries out what waits, at once and then every so often.
func (s *Service) eraseEvery(ctx context.Context) {
	every, err := s.node.config.eraseEvery()
	if err != nil {
		every = 5 * time.Minute // LoadConfig has refused it; a test may not have called it
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.eraseRound(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// reclaimEvery is how often the space of erased content is given back: it may take
// long, and erasing does not wait for it.
const reclaimEvery = time.Minute

func (s *Service) reclaimEvery(ctx context.Context) {
	tick := time.NewTicker(reclaimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.custody.Reclaim(ctx); err != nil && ctx.Err() == nil {
			s.node.alarm(err)
		}
	}
}

// eraseRound is one round in the background. What goes wrong is tried again the
// next time; a person is told once of each thing.
func (s *Service) eraseRound(ctx context.Context) {
	e, err := s.Erase(ctx)
	if err != nil && ctx.Err() != nil {
		return // the node stops
	}
	s.erasing.mu.Lock()
	defer s.erasing.mu.Unlock()
	before := s.erasing.last
	s.erasing.last = ""
	if err != nil {
		if s.erasing.last = err.Error(); s.erasing.last != before {
			s.node.alarm(err)
		}
		return
	}
	for _, w := range e.Waiting {
		s.erasing.last += fmt.Sprintf("disposition %d: %s; ", w.Disposition, w.Why)
	}
	if s.erasing.last != "" && s.erasing.last != before {
		s.node.log.Warn("erasures wait", "why", s.erasing.last)
	}
	if len(e.Dispositions) > 0 || e.Rings > 0 {
		s.node.log.Info("erased", "dispositions", len(e.Dispositions), "destroyed", e.Destroyed, "redacted", e.Redacted,
			"preserved", e.Preserved, "rings", e.Rings, "waiting", len(e.Waiting))
	}
}

// Erase carries out now what locked dispositions wait for.
func (s *Service) Erase(ctx context.Context) (custody.Erased, error) {
	if s.custody == nil {
		return custody.Erased{}, fmt.Errorf("erase: %w", ErrNoContent)
	}
	e, err := s.custody.Erase(ctx)
	s.erasing.rotations.Add(float64(e.Rings))
	return e, err
}

// submitReport signs a report with the custodian's key and hands it in. That it
// was reported before is no error: an answer can be lost.
func (s *Service) submitReport(ctx context.Context, m *record.ReportErasure) error {
	if err := s.submitSigned(ctx, m, ledger.CodeAlreadyReported); err != nil {
		return fmt.Errorf("report disposition %d: %w", m.Disposition, err)
	}
	return nil
}

// observeErasures adds the figures of erasing to the metrics.
func (s *Service) observeErasures() {
	s.erasing.rotations = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "muniment_ring_rotations_total", Help: "Rings that were replaced since the start.",
	})
	pending := func(read func(n uint64, quarantined []string) int) func() float64 {
		return func() float64 {
			n, quarantined, err := s.custody.Pending()
			if err != nil {
				return -1
			}
			return float64(read(n, quarantined))
		}
	}
	s.node.metrics.registry.MustRegister(s.erasing.rotations,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "muniment_erasures_pending", Help: "Locked dispositions whose report this custodian owes; -1: unknown.",
		}, pending(func(n uint64, _ []string) int { return int(n) })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "muniment_rings_quarantined", Help: "Rings that are older than the ledger's erasures; -1: unknown.",
		}, pending(func(_ uint64, quarantined []string) int { return len(quarantined) })),
	)
}

// eraseForOperator answers Operators.Erase.
func (s *Service) eraseForOperator(ctx context.Context) (*apiv1.EraseResponse, error) {
	e, err := s.Erase(ctx)
	if err != nil {
		return nil, err
	}
	r := &apiv1.EraseResponse{
		Destroyed: e.Destroyed, Redacted: e.Redacted, Preserved: e.Preserved, Rings: e.Rings, Claim: s.rings.Claim().String(),
	}
	for _, d := range e.Dispositions {
		r.Dispositions = append(r.Dispositions, uint64(d))
	}
	for _, w := range e.Waiting {
		r.Waiting = append(r.Waiting, &apiv1.EraseWaiting{Disposition: uint64(w.Disposition), Why: w.Why})
	}
	return r, nil
}

// backupForOperator answers Operators.Backup.
func (s *Service) backupForOperator(ctx context.Context, path string, keyring bool) (*apiv1.BackupResponse, error) {
	if keyring {
		b, err := s.BackupKeyring(path)
		if err != nil {
			return nil, err
		}
		return &apiv1.BackupResponse{LogSize: uint64(s.node.View().Head().Size), Records: b.States, Bytes: uint64(b.Bytes)}, nil
	}
	m, err := s.Backup(ctx, path)
	if err != nil {
		return nil, err
	}
	return &apiv1.BackupResponse{LogSize: uint64(m.Entries), Records: m.Records, Bytes: uint64(m.Bytes())}, nil
}
