package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"filippo.io/torchwood"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
)

// fetchers is how many tiles are fetched at once.
const fetchers = 8

// mirroring brings a folder to the newest tree of a node. Steps, each safe to
// repeat:
//  1. fetch the full tiles of entries that are not there, and hash them
//  2. hold the tree of all entries against the checkpoint
//  3. write the partial tiles and the tiles of hashes of hashes
//  4. write the checkpoint: from here on the folder has the new tree
//  5. remove partial tiles of the tree before
//
// What is below the old checkpoint is held against it first. What is above it is
// left from a run that was cut off, and is fetched anew if it does not fit.
type mirroring struct {
	*tileSource
	dir  string
	was  receipt.Checkpoint // in the folder; Size 0: none
	tops []record.Hash      // of the full tiles of hashes
	seam []record.Hash      // of the tile in which the tree in the folder ends
	left bool               // tiles of an earlier run are among them
}

// run gives whose word the tree in the folder is, and how many entries were
// there before.
func (m *mirroring) run(ctx context.Context) (receipt.Standing, int64, error) {
	signed, err := m.read(ctx, "checkpoint", maxCheckpointBytes)
	if err != nil {
		return receipt.Standing{}, 0, err
	}
	standing, err := m.session.network.CheckCheckpoint(signed, nil)
	if refusal, ok := errors.AsType[*receipt.Refusal](err); ok {
		return receipt.Standing{}, 0, unbelieved(refusal)
	}
	if err == nil {
		err = m.open()
	}
	if err == nil {
		err = m.follow(ctx, signed, standing.Checkpoint)
	}
	if err != nil {
		return receipt.Standing{}, 0, err
	}
	return standing, m.was.Size, nil
}

// unbelieved is the failure of a checkpoint that the network file does not bear out.
func unbelieved(r *receipt.Refusal) error {
	code, next := exitContradicted, "do not rely on this node: tell whoever runs it"
	if r.Reason.Outcome() == receipt.Indeterminate {
		code, next = exitIndeterminate, "the network file may be out of date: ask whoever runs the node"
	}
	return failed(code, string(r.Reason), next, "the checkpoint of the node is %s: %s", r.Reason.Outcome(), printable(r.Detail))
}

// open reads what tree the folder has, and wants it to be whole.
func (m *mirroring) open() error {
	signed, err := readBounded(m.path("checkpoint"), maxCheckpointBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(m.dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("read mirror: %w", err)
	}
	if m.was, err = receipt.ParseCheckpoint(signed); err != nil {
		return m.damaged("its checkpoint: %v", err)
	}
	if origin := m.session.network.Origin; m.was.Origin != origin {
		return failed(exitUsage, "WRONG_NETWORK", "use another folder", "%s has the log of %s, the network is %s", m.dir, m.was.Origin, origin)
	}
	root, err := m.rootAt(m.was.Size)
	if err != nil {
		return m.damaged("%v", err)
	}
	if root != m.was.Root {
		return m.damaged("its hashes are not the tree of its checkpoint")
	}
	return nil
}

func (m *mirroring) damaged(format string, args ...any) error {
	return failed(exitError, "MIRROR_DAMAGED", "move it away and mirror anew", "the mirror in %s is damaged: %w", m.dir, fmt.Errorf(format, args...))
}

// rootAt computes the root of the tree of a size from the hashes in the folder.
// The size is at most that of its tree.
func (m *mirroring) rootAt(size int64) (record.Hash, error) {
	var frontier []record.Hash
	for at := int64(0); at < size; at += torchwood.TileWidth {
		width := int(min(torchwood.TileWidth, m.was.Size-at))
		data, err := os.ReadFile(m.tilePath(0, at/torchwood.TileWidth, width))
		if err != nil {
			return record.Hash{}, err
		}
		hashes, err := hashesOf(data, width)
		if err != nil {
			return record.Hash{}, err
		}
		frontier = ledger.AppendLeaves(frontier, at, hashes[:min(int64(width), size-at)])
	}
	return ledger.LogRoot(frontier), nil
}

// follow brings the folder to the tree of a checkpoint whose signatures hold.
func (m *mirroring) follow(ctx context.Context, signed []byte, c receipt.Checkpoint) error {
	if c.Size <= m.was.Size {
		root, err := m.rootAt(c.Size)
		switch {
		case err != nil:
			return m.damaged("%v", err)
		case root != c.Root:
			return m.another("has another tree of %d entries than the one in %s", c.Size, m.dir)
		case c.Size < m.was.Size:
			return failed(exitUnavailable, "NODE_BEHIND", "wait until it has caught up, or ask another node with --node",
				"the node shows a log of %d entries, smaller than that in %s with %d, of which it is a part", c.Size, m.dir, m.was.Size)
		}
		return replaceFile(m.path("checkpoint"), signed)
	}
	last, err := m.fetch(ctx, c, false)
	if err == nil && last == nil && m.left {
		last, err = m.fetch(ctx, c, true)
	}
	switch {
	case err != nil:
		return err
	case last == nil && m.was.Size == 0:
		return m.another("serves entries that are not the tree of %d entries that was cosigned", c.Size)
	case last == nil:
		return m.another("serves entries that do not continue the log in %s, of %d entries, to the tree of %d that was cosigned", m.dir, m.was.Size, c.Size)
	}
	return m.finish(c, signed, last)
}

// another is the failure of a log that is not the one in the folder, or not its own.
func (m *mirroring) another(format string, args ...any) error {
	return failed(exitContradicted, "LOG_DIFFERS", "keep the folder: two trees that were cosigned and do not fit prove that somebody was shown another history",
		"the node "+format, args...)
}

// partial is the last tile of a log: of entries, and of their hashes.
type partial struct {
	entries []byte
	hashes  []record.Hash
}

// fetch fetches what the folder does not have of a tree. It gives nil where the
// entries are not those of the tree. With anew it takes nothing that is above
// the tree of the folder.
func (m *mirroring) fetch(ctx context.Context, c receipt.Checkpoint, anew bool) (*partial, error) {
	full := c.Size / torchwood.TileWidth
	m.tops, m.seam, m.left = make([]record.Hash, full), nil, false
	steps, done := m.progress(full)
	defer done()
	err := each(ctx, full, func(n int64) error {
		hashes, err := m.full(ctx, n, anew)
		if err != nil {
			return err
		}
		m.tops[n] = top(hashes)
		if n == m.was.Size/torchwood.TileWidth {
			m.seam = hashes
		}
		steps()
		return nil
	})
	if err != nil {
		return nil, err
	}
	var last partial
	if width := int(c.Size % torchwood.TileWidth); width > 0 {
		if last.entries, last.hashes, err = m.bundle(ctx, full, width); err != nil {
			return nil, err
		}
	}
	if full == m.was.Size/torchwood.TileWidth {
		m.seam = last.hashes
	}
	was, rest := m.was.Size/torchwood.TileWidth, m.was.Size%torchwood.TileWidth
	if m.was.Size > 0 && rootOver(m.tops[:was], m.seam[:rest]) != m.was.Root || rootOver(m.tops, last.hashes) != c.Root {
		return nil, nil
	}
	return &last, nil
}

// rootOver gives the root of a log from the roots of its full tiles and the
// hashes of the entries behind them.
func rootOver(tops, rest []record.Hash) record.Hash {
	return ledger.LogRoot(append(ledger.AppendLeaves(nil, 0, tops), ledger.AppendLeaves(nil, 0, rest)...))
}

// full gives the hashes of a full tile, from the folder where it is there.
func (m *mirroring) full(ctx context.Context, n int64, anew bool) ([]record.Hash, error) {
	const width = torchwood.TileWidth
	above := (n+1)*width > m.was.Size
	if data, err := os.ReadFile(m.tilePath(0, n, width)); err == nil && !(anew && above) {
		_, missing := os.Stat(m.tilePath(entriesLevel, n, width))
		if hashes, err := hashesOf(data, width); err == nil && missing == nil {
			if above {
				m.mu.Lock()
				m.left = true
				m.mu.Unlock()
			}
			return hashes, nil
		}
	}
	entries, hashes, err := m.bundle(ctx, n, width)
	if err == nil {
		err = m.save(entriesLevel, n, width, entries)
	}
	if err == nil {
		err = m.save(0, n, width, bytesOf(hashes))
	}
	return hashes, err
}

// finish writes what is left of a tree that holds, its checkpoint last.
func (m *mirroring) finish(c receipt.Checkpoint, signed []byte, last *partial) error {
	full := c.Size / torchwood.TileWidth
	if width := len(last.hashes); width > 0 {
		err := errors.Join(m.save(entriesLevel, full, width, last.entries), m.save(0, full, width, bytesOf(last.hashes)))
		if err != nil {
			return err
		}
	}
	for level, hashes := 1, m.tops; len(hashes) > 0; level++ {
		var above []record.Hash
		for n := int64(0); len(hashes) > 0; n++ {
			width := min(torchwood.TileWidth, len(hashes))
			if err := m.save(level, n, width, bytesOf(hashes[:width])); err != nil {
				return err
			}
			if width == torchwood.TileWidth {
				above = append(above, top(hashes[:width]))
			}
			hashes = hashes[width:]
		}
		hashes = above
	}
	if err := replaceFile(m.path("checkpoint"), signed); err != nil {
		return fmt.Errorf("write mirror: %w", err)
	}
	m.tidy(c.Size)
	return nil
}

// tidy removes the partial tiles of the tree before, which nobody needs any more.
func (m *mirroring) tidy(now int64) {
	drop := func(level int, n int64, width int) {
		path := m.tilePath(level, n, width)
		os.Remove(path)
		os.Remove(filepath.Dir(path)) // which goes only if it is empty
	}
	was := m.was.Size
	for level := 0; was != now && was > 0; level++ {
		if n, width := was/torchwood.TileWidth, int(was%torchwood.TileWidth); width > 0 {
			drop(level, n, width)
			if level == 0 {
				drop(entriesLevel, n, width)
			}
		}
		was, now = was/torchwood.TileWidth, now/torchwood.TileWidth
	}
}

// top gives the root of a full tile of hashes.
func top(hashes []record.Hash) record.Hash {
	return ledger.LogRoot(ledger.AppendLeaves(nil, 0, hashes))
}

func (m *mirroring) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

func (m *mirroring) tilePath(level int, n int64, width int) string {
	return m.path(torchwood.TilePath(tileAt(level, n, width)))
}

// save writes a tile whole or not at all. It is not synced: a tile that a crash
// of the machine leaves damaged does not fit its tree.
func (m *mirroring) save(level int, n int64, width int, data []byte) error {
	path := m.tilePath(level, n, width)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write mirror: %w", err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write mirror: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write mirror: %w", err)
	}
	return nil
}

// progress shows a bar where people watch. It is safe for concurrent use.
func (m *mirroring) progress(tiles int64) (step, done func()) {
	p := m.session.program
	if !p.stderrTerminal || p.output != "text" {
		return func() {}, func() {}
	}
	progress := mpb.New(mpb.WithOutput(p.stderr), mpb.WithWidth(40))
	bar := progress.AddBar(tiles*torchwood.TileWidth,
		mpb.PrependDecorators(decor.Name("entries "), decor.CountersNoUnit("%d of %d ")),
		mpb.AppendDecorators(decor.AverageSpeed(0, "%.0f/s "), decor.AverageETA(decor.ET_STYLE_GO)))
	return func() { bar.IncrBy(torchwood.TileWidth) }, func() {
		bar.Abort(false)
		progress.Wait()
	}
}

// each does work for 0 to n-1, some at once, until the first error. What is
// under way then is done to its end.
func each(ctx context.Context, n int64, work func(int64) error) error {
	next, failures := make(chan int64), make(chan error, fetchers)
	var running sync.WaitGroup
	for range fetchers {
		running.Go(func() {
			for i := range next {
				if err := work(i); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	var err error
	for i := int64(0); i < n && err == nil; i++ {
		select {
		case next <- i:
		case err = <-failures:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	close(next)
	running.Wait()
	close(failures)
	return cmp.Or(err, <-failures)
}
