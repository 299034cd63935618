package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/muniment/muniment/app/ledger"
)

// metrics are the node's own figures. Others may add theirs to the registry.
type metrics struct {
	registry *prometheus.Registry
	blocks   prometheus.Counter
	results  *prometheus.CounterVec
	alarms   prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		blocks:   prometheus.NewCounter(prometheus.CounterOpts{Name: "muniment_blocks_total", Help: "Blocks written since the start."}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "muniment_transactions_total", Help: "Transactions in written blocks since the start, by outcome.",
		}, []string{"code"}),
		alarms: prometheus.NewCounter(prometheus.CounterOpts{Name: "muniment_alarms_total", Help: "Alarms that need a person."}),
	}
	m.registry.MustRegister(m.blocks, m.results, m.alarms, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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

func (m *metrics) wrote(results []ledger.Result) {
	m.blocks.Inc()
	for _, r := range results {
		m.results.WithLabelValues(r.Code.String()).Inc()
	}
}

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
	n.monitor = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	n.background.Go(func() {
		if err := n.monitor.Serve(listener); err != http.ErrServerClosed {
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
