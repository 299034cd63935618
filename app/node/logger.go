package node

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/libs/service"
)

// consensusFailure is what CometBFT logs when its consensus routine has
// panicked. The process would live on and answer as if nothing had happened.
const consensusFailure = "CONSENSUS FAILURE"

// Bounds of what one value of a log line may hold. The second is for the two
// values that explain a failure.
const (
	maxLogBytes        = 512
	maxLogFailureBytes = 8 << 10
)

// longRun matches what could be a transaction or a key in hex or base64. A
// hash (64 digits) and what is shorter passes.
var longRun = regexp.MustCompile(`[0-9A-Za-z+/=_-]{65,}`)

// engineLogger gives CometBFT's log lines to slog. Two duties come with it: a
// consensus failure ends the process, and no transaction's bytes reach the log.
type engineLogger struct {
	log  *slog.Logger
	exit func()
}

// newEngineLogger returns a logger for the engine. exit is called after a
// consensus failure has been logged and must end the process.
func newEngineLogger(log *slog.Logger, exit func()) cmtlog.Logger {
	return &engineLogger{log: log, exit: exit}
}

// Debug logs what CometBFT says while one looks for a fault in it.
func (l *engineLogger) Debug(msg string, keyvals ...any) { l.write(slog.LevelDebug, msg, keyvals) }

// Info logs the engine's course of life. It has a line or more for every
// block, so it is debugging matter for the node.
func (l *engineLogger) Info(msg string, keyvals ...any) { l.write(slog.LevelDebug, msg, keyvals) }

// Warn logs what the engine could put right by itself.
func (l *engineLogger) Warn(msg string, keyvals ...any) { l.write(slog.LevelWarn, msg, keyvals) }

// milder lists how messages begin that the engine calls errors, and that are
// none of this node: they belong to a stop, to the start after a crash, or to a
// peer that goes away. An error in the log is something to look into.
var milder = []struct {
	beginning string
	level     slog.Level
}{
	{"Stopped accept routine", slog.LevelInfo},  // every stop
	{"error on catchup replay", slog.LevelInfo}, // the last block was not finished: the handshake has replayed it
	{"Stopping peer for error", slog.LevelWarn},
	{"Connection failed @", slog.LevelWarn},
	{"Failed to write PacketMsg", slog.LevelWarn},
	{"Failed to send Packet", slog.LevelWarn},
	{"SendTimeout", slog.LevelWarn}, // a peer that sends blocks too slowly
}

// Error logs what the engine could not do, and ends the process on a
// consensus failure.
func (l *engineLogger) Error(msg string, keyvals ...any) {
	level := slog.LevelError
	for _, m := range milder {
		if strings.HasPrefix(msg, m.beginning) {
			level = m.level
		}
	}
	if slices.ContainsFunc(keyvals, func(v any) bool { err, ok := v.(error); return ok && errors.Is(err, service.ErrAlreadyStopped) }) {
		level = slog.LevelInfo // two wanted the same end
	}
	l.write(level, msg, keyvals)
	if strings.Contains(msg, consensusFailure) {
		l.exit()
	}
}

// With returns a logger whose lines also carry keyvals.
func (l *engineLogger) With(keyvals ...any) cmtlog.Logger {
	return &engineLogger{log: l.log.With(attributes(keyvals)...), exit: l.exit}
}

func (l *engineLogger) write(level slog.Level, msg string, keyvals []any) {
	if !l.log.Enabled(context.Background(), level) {
		return
	}
	l.log.Log(context.Background(), level, withoutRuns(msg, maxLogBytes), attributes(keyvals)...)
}

// attributes turns CometBFT's alternating keys and values into slog's, each
// value rendered and bounded.
func attributes(keyvals []any) []any {
	out := make([]any, 0, len(keyvals))
	for i := 0; i+1 < len(keyvals); i += 2 {
		key := fmt.Sprint(keyvals[i])
		out = append(out, slog.Any(key, loggable(key, keyvals[i+1])))
	}
	return out
}

// loggable renders a value such that no transaction can be read from it.
func loggable(key string, value any) any {
	switch v := value.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float32, float64, time.Duration, time.Time:
		return v
	case []byte:
		return bytesForLog(v)
	case interface{ Bytes() []byte }:
		if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && p.IsNil() {
			return nil // the engine logs bit arrays that it does not have
		}
		return bytesForLog(v.Bytes())
	}
	if key == "tx" || key == "txs" {
		return "[transaction]"
	}
	limit := maxLogBytes
	if key == "err" || key == "stack" {
		limit = maxLogFailureBytes
	}
	return withoutRuns(fmt.Sprint(value), limit)
}

// bytesForLog shows a hash and hides anything longer.
func bytesForLog(b []byte) string {
	if len(b) > 32 {
		return fmt.Sprintf("[%d bytes]", len(b))
	}
	return hex.EncodeToString(b)
}

// withoutRuns cuts a text to a limit and replaces long runs of hex or base64.
func withoutRuns(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] + " [cut]"
	}
	return longRun.ReplaceAllString(text, "[long]")
}
