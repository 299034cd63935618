package node

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cometbft/cometbft/consensus"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	cometnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/proxy"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	"github.com/cometbft/cometbft/types"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/ledger"
	"github.com/muniment/muniment/app/receipt"
	"github.com/muniment/muniment/app/record"
	"github.com/muniment/muniment/store/cometdb"
	"github.com/muniment/muniment/store/state"
)

var (
	// ErrUntrue is returned for a peer's backup that the network has not signed, or
	// that the rules do not make of its blocks.
	ErrUntrue = errors.New("the backup is not what the network has decided")
	// ErrNotJoined is returned for a home that belongs to no network.
	ErrNotJoined = errors.New("home belongs to no network yet")
)

// Adopted is what an adoption took over.
type Adopted struct {
	Node    string // whose backup it was
	Taken   time.Time
	Height  int64 // of the last block
	Entries int64
	AppHash [32]byte
	Eras    int // handed over, the first included
}

// Adopt gives a home that has no ledger the one of a peer's backup. It is block
// sync from a folder: nothing of the backup is believed. The steps:
//
//  1. HOME/restoring, which keeps the node from starting; the node is stopped
//  2. the backup is finished, and of the network of the home; its ledger is
//     copied, and each file is what the manifest says
//  3. every block from the first on is carried out anew into a new ledger: it has
//     the commit of the validators that the blocks before it give, from the
//     genesis document of the home on; its header has the AppHash of the replay
//  4. the log of the backup is that of the replay, entry by entry, and the trees
//     that the network file of the home and the handovers pin are in it
//  5. ledger and handovers move into the home, each by one step; HOME/restoring goes
//
// Keys, rings, vault and what was signed are the home's own and stay as they are:
// a node that adopts signs nothing below what it has signed, and one that has
// lost HOME/signer does not start. Until step 5 nothing of the home is changed.
// Progress is called after each block.
func Adopt(home Home, dir string, progress func(height, of int64)) (Adopted, error) {
	var a Adopted
	_, err := home.restore(func(staging string, r *Restored) error {
		if there, err := present(home.Ledger()); err != nil || there {
			return err // nothing is missing
		}
		m, genesis, facts, err := readAdoption(home, dir)
		if err != nil {
			return err
		}
		peer := filepath.Join(staging, "peer")
		for _, f := range m.Files {
			if part := f.part(); part != "ledger" && part != "eras" {
				continue
			}
			if err := f.copy(dir, peer); err != nil {
				return fmt.Errorf("%s: %w", f.Path, err)
			}
		}
		a = Adopted{Node: m.Node, Taken: m.Taken}
		if err := a.ledger(home, peer, staging, genesis, facts, progress); err != nil {
			return err
		}
		r.Put = []string{"ledger"}
		if a.Eras > 1 {
			if there, err := present(home.Eras()); err != nil {
				return err
			} else if !there {
				r.Put = append(r.Put, "eras")
			} else if err := os.RemoveAll(filepath.Join(staging, "eras")); err != nil {
				return err
			}
		}
		return errors.Join(os.RemoveAll(peer), syncFolders(staging))
	})
	if err != nil {
		return Adopted{}, fmt.Errorf("adopt %s: %w", dir, err)
	}
	return a, nil
}

// readAdoption reads the manifest and what the home starts from, and sees that
// they are of one network.
func readAdoption(home Home, dir string) (Manifest, Genesis, ledger.GenesisFacts, error) {
	none := func(err error) (Manifest, Genesis, ledger.GenesisFacts, error) {
		return Manifest{}, Genesis{}, ledger.GenesisFacts{}, err
	}
	m, err := readManifest(dir)
	if err != nil {
		return none(err)
	}
	text, err := os.ReadFile(home.Genesis())
	if errors.Is(err, fs.ErrNotExist) {
		return none(ErrNotJoined)
	}
	if err != nil {
		return none(err)
	}
	if id := sha256.Sum256(text); id != m.Network {
		return none(fmt.Errorf("%w: it is of network %x, this home of %x", ErrOtherBackup, m.Network[:8], id[:8]))
	}
	genesis, err := ParseGenesis(text)
	if err != nil {
		return none(err)
	}
	return m, genesis, genesis.ledgerFacts(text), nil
}

// ledger takes the steps 3 and 4.
func (a *Adopted) ledger(home Home, peer, staging string, genesis Genesis, facts ledger.GenesisFacts, progress func(height, of int64)) (err error) {
	options := state.NewOptions(state.Options{Exit: func(int) {}})
	options.ReadOnly = true
	from, err := pebble.Open(filepath.Join(peer, "ledger"), options)
	if err != nil {
		return fmt.Errorf("open the ledger of the backup: %w", err)
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := pebble.Open(filepath.Join(staging, "ledger"), state.NewOptions(state.Options{}))
	if err != nil {
		return fmt.Errorf("make a ledger: %w", err)
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	made, err := state.Open(to)
	if err != nil {
		return err
	}
	if err := syncFrom(from, to, made, genesis, facts, progress); err != nil {
		return err
	}
	head := made.View().Head()
	a.Height, a.Entries, a.AppHash = head.Height, head.Size, head.AppHash
	there, err := state.Open(from)
	if err != nil {
		return fmt.Errorf("open the ledger of the backup: %w", err)
	}
	if err := sameLog(there.View(), made.View()); err != nil {
		return err
	}
	return a.eras(home, filepath.Join(peer, "eras"), filepath.Join(staging, "eras"), made)
}

// syncFrom carries out the blocks of one store into another, each as block sync
// would take it from a peer.
func syncFrom(from, to *pebble.DB, made *state.State, genesis Genesis, facts ledger.GenesisFacts, progress func(height, of int64)) (err error) {
	blocks := store.NewBlockStore(cometdb.New(from, cometdb.PrefixBlockStore))
	switch {
	case blocks.Base() > 1:
		return fmt.Errorf("blocks %d to %d: %w", blocks.Base(), blocks.Height(), ErrPruned)
	case blocks.Height() < 1:
		return fmt.Errorf("the backup: %w", ErrNoBlocks)
	}
	document, err := genesis.document()
	if err != nil {
		return err
	}
	var fatal error
	app := abci.New(abci.Options{
		Genesis: facts, KnownRules: MaxVersion, MaxBlockBytes: maxBlockBytes,
		View: made.View, Write: made.Commit, Fatal: func(err error) { fatal = errors.Join(fatal, err) },
	})
	engine := proxy.NewAppConns(proxy.NewConnSyncLocalClientCreator(app), proxy.NopMetrics())
	if err := engine.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Stop()) }()
	states, kept := cometdb.New(to, cometdb.PrefixState), store.NewBlockStore(cometdb.New(to, cometdb.PrefixBlockStore))
	at, _, err := cometnode.LoadStateFromDBOrGenesisDocProvider(states, func() (*types.GenesisDoc, error) { return document, nil })
	if err != nil {
		return err
	}
	stateStore := sm.NewStore(states, sm.StoreOptions{DiscardABCIResponses: true})
	if err := consensus.NewHandshaker(stateStore, at, kept, document).Handshake(engine); err != nil {
		return errors.Join(err, fatal)
	}
	if at, err = stateStore.Load(); err != nil {
		return err
	}
	executor := sm.NewBlockExecutor(stateStore, cmtlog.NewNopLogger(), engine.Consensus(), &mempool.NopMempool{}, sm.EmptyEvidencePool{}, kept)
	last := blocks.Height()
	block, err := loadBlock(blocks, 1)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUntrue, err)
	}
	for h := int64(1); h <= last; h++ {
		next, b, err := withCommit(blocks, block, h)
		if err == nil {
			err = b.judge(at, executor)
		}
		if err != nil {
			return fmt.Errorf("%w: block %d: %w", ErrUntrue, h, err)
		}
		kept.SaveBlock(b.block, b.parts, b.commit)
		at, err = executor.ApplyVerifiedBlock(at, b.id, b.block)
		if err := errors.Join(err, fatal); err != nil {
			return fmt.Errorf("block %d: %w", h, err)
		}
		block = next
		progress(h, last)
	}
	return nil
}

// signedBlock is a block with the commit that its backup has for it.
type signedBlock struct {
	block  *types.Block
	parts  *types.PartSet
	id     types.BlockID
	commit *types.Commit
}

// withCommit gives a block with its commit, which the block after it carries, and
// that one; the last block has the commit that the peer has seen.
func withCommit(blocks *store.BlockStore, block *types.Block, height int64) (next *types.Block, b signedBlock, err error) {
	defer func() {
		if p := recover(); p != nil { // the engine, over what it cannot read
			next, b, err = nil, signedBlock{}, fmt.Errorf("%w: %v", ErrBlockDamaged, p)
		}
	}()
	if b.block = block; block == nil || block.Height != height {
		return nil, signedBlock{}, fmt.Errorf("%w: it is missing", ErrBlockDamaged)
	}
	if height == blocks.Height() {
		b.commit = blocks.LoadSeenCommit(height)
	} else if next, err = loadBlock(blocks, height+1); err == nil && next != nil {
		b.commit = next.LastCommit
	}
	if b.commit == nil && err == nil {
		err = fmt.Errorf("%w: it has no commit", ErrBlockDamaged)
	}
	if err == nil {
		b.parts, err = block.MakePartSet(types.BlockPartSizeBytes)
	}
	if err != nil {
		return nil, signedBlock{}, err
	}
	b.id = types.BlockID{Hash: block.Hash(), PartSetHeader: b.parts.Header()}
	return next, b, nil
}

// judge wants the commit of the validators that the blocks before give, and a
// header that follows from them.
func (b signedBlock) judge(at sm.State, executor *sm.BlockExecutor) error {
	if err := at.Validators.VerifyCommit(at.ChainID, b.id, b.block.Height, b.commit); err != nil {
		return err
	}
	return executor.ValidateBlock(at, b.block)
}

// sameLog wants the log of a backup to be the one that its blocks make, and its
// state as well where both are at one height.
func sameLog(there, made ledger.View) error {
	was, is := there.Head(), made.Head()
	if was.Size > is.Size {
		return fmt.Errorf("%w: entry %d: no block makes it", ErrUntrue, is.Size)
	}
	for i := range was.Size {
		a, err := there.Entry(record.Index(i))
		if err != nil {
			return fmt.Errorf("%w: entry %d: %w", ErrUntrue, i, err)
		}
		b, err := made.Entry(record.Index(i))
		if err != nil {
			return err
		}
		if !bytes.Equal(a, b) {
			return fmt.Errorf("%w: entry %d is another one than the blocks make", ErrUntrue, i)
		}
	}
	if was.Height == is.Height && was.AppHash != is.AppHash {
		return fmt.Errorf("%w: its state after block %d has AppHash %x, the blocks make %x", ErrUntrue, was.Height, was.AppHash, is.AppHash)
	}
	return nil
}

// eras takes over the handovers of the backup that follow from the network file
// of the home, and wants each tree that closes an era to be in the log.
func (a *Adopted) eras(home Home, from, to string, made *state.State) error {
	text, err := os.ReadFile(home.Network())
	if err != nil {
		return fmt.Errorf("read network file: %w", err)
	}
	file, err := receipt.ParseNetwork(text)
	if err != nil {
		return fmt.Errorf("read network file: %w", err)
	}
	t, err := openTrust(from, file)
	if err != nil {
		return err
	}
	for i, text := range t.handovers {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		if err := replaceFile(handoverFile(to, i+2), text, nil); err != nil {
			return err
		}
	}
	a.Eras = t.eras()
	size := made.View().Head().Size
	for i, era := range t.network().Eras {
		if era.Closed == nil || era.Closed.Size > size {
			continue
		}
		root, err := receipt.TreeRoot(era.Closed.Size, made)
		if err != nil {
			return err
		}
		if root != era.Closed.Root {
			return fmt.Errorf("%w: the last tree of era %d has %d entries and root %s, the backup has root %s there", ErrUntrue, i+1, era.Closed.Size, era.Closed.Root, root)
		}
	}
	return nil
}
