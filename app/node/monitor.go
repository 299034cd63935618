package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/rpc"
)

// metrics are the node's own figures. Others may add theirs to the registry.
type metrics struct {
	registry *prometheus.Registry
	blocks   prometheus.Counter
	results  *prometheus.CounterVec
	alarms   prometheus.Counter
	calls    *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		blocks:   prometheus.NewCounter(prometheus.CounterOpts{Name: "muniment_blocks_total", Help: "Blocks written since the start."}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_transactions_total", Help: "Transactions in written blocks since the start, by outcome.",
		}, []string{"code"}),
		alarms: prometheus.NewCounter(prometheus.CounterOpts{Name: "muniment_alarms_total", Help: "Alarms that need a person."}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_calls_total", Help: "Calls that got to their handler since the start; tiles are the requests for the log.",
		}, []string{"method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_refused_connections_total", Help: "Connections with a certificate that were not let in since the start, by reason.",
		}, []string{"reason"}),
	}
	m.registry.MustRegister(m.blocks, m.results, m.alarms, m.calls, m.refused, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe adds the figures that are read when they are asked for.
func (m *metrics) observe(n *Node) {
	for _, g := range []struct {
		name, help string
		read       func(Status) float64
	}{
		{"muniment_height", "Height of the last block.", func(s Status) float64 { return float64(s.Head.Height) }},
		{"muniment_block_time_seconds", "Time of the last block, Unix seconds.", func(s Status) float64 { return float64(s.Head.Time) / 1e9 }},
		{"muniment_log_entries", "Entries of the log.", func(s Status) float64 { return float64(s.Head.Size) }},
		{"muniment_cosigned_entries", "Entries of the newest tree with the validators' quorum.", func(s Status) float64 { return float64(s.CosignedSize) }},
		{"muniment_mempool_transactions", "Transactions that wait for a block.", func(s Status) float64 { return float64(s.MempoolTxs) }},
		{"muniment_mempool_bytes", "Their bytes.", func(s Status) float64 { return float64(s.MempoolBytes) }},
		{"muniment_peers", "Connected nodes.", func(s Status) float64 { return float64(s.Peers) }},
		{"muniment_free_bytes", "Free bytes of the home's disk.", func(s Status) float64 { return float64(s.FreeBytes) }},
		{"muniment_healthy", "1 where the node is healthy.", func(s Status) float64 {
			if len(s.Unhealthy) == 0 {
				return 1
			}
			return 0
		}},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: g.name, Help: g.help}, func() float64 { return g.read(n.Status()) }))
	}
}

func (m *metrics) handled(method string) {
	m.calls.WithLabelValues(strings.TrimPrefix(method, "/muniment.api.v1.")).Inc()
}

func (m *metrics) refusedConnection(reason string) { m.refused.WithLabelValues(reason).Inc() }

func (m *metrics) wrote(results []ledger.Result) {
	m.blocks.Inc()
	for _, r := range results {
		m.results.WithLabelValues(r.Code.String()).Inc()
	}
}

// monitorPlaces bounds the connections of the monitor. It is for this machine or a
// trusted network: it asks nobody who they are.
const monitorPlaces = 64

// startMonitor serves /metrics and /healthz where the configuration says.
func (n *Node) startMonitor() error {
	if n.config.Monitor.Listen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", n.config.Monitor.Listen)
	if err != nil {
		return fmt.Errorf("listen for the monitor: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", n.serveHealth)
	n.monitorAddress = listener.Addr().String()
	n.monitor = &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	n.background.Go(func() {
		if err := n.monitor.Serve(rpc.Crowd(listener, monitorPlaces)); err != http.ErrServerClosed {
			n.log.Error("monitor", "err", err)
		}
	})
	return nil
}

// serveHealth answers 200 or 503, with the reasons.
func (n *Node) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s := n.Status()
	w.Header().Set("Content-Type", "application/json")
	if len(s.Unhealthy) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{ // the caller may be gone
		"healthy": len(s.Unhealthy) == 0, "reasons": append([]string{}, s.Unhealthy...), "height": s.Head.Height,
	})
}

func (n *Node) stopMonitor() {
	if n.monitor == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := n.monitor.Shutdown(ctx); err != nil {
		n.log.Warn("stop monitor", "err", err)
	}
}
