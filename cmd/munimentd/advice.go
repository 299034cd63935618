package main

import (
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/custody"
	"github.com/muniment/muniment/app/keyfile"
	"github.com/muniment/muniment/app/node"
	"github.com/muniment/muniment/store/keyring"
	"github.com/muniment/muniment/store/state"
	"github.com/muniment/muniment/store/vault"
)

// advice says what to do about an error: the first line that fits.
var advice = []struct {
	err  error
	next string
}{
	{node.ErrSetting, "mend the setting in munimentd.toml, the environment (MUNIMENT_...) or --set"},
	{keyfile.ErrSealed, "give the passphrase of this home; if it is the right one, restore the key file"},
	{keyfile.ErrMalformed, "restore the key file from where it is kept"},
	{node.ErrWrongKey, "restore the key files of this home, all of one time"},
	{node.ErrKeyName, "move the file away, or restore the folder of keys"},
	{node.ErrNoSuchGeneration, "munimentd keys lists them"},
	{node.ErrKeyAway, "bring keys/ back from where it is kept"},
	{node.ErrCertificate, "restore node.crt together with the key files"},
	{node.ErrGenesisForm, "restore genesis.json as it was at the founding"},
	{node.ErrOtherGenesis, "restore genesis.json and network.mun as they were at the founding"},
	{node.ErrCosignerStateMissing, "restore nothing in its place; make a new home (munimentd member request) and have it replace this node"},
	{node.ErrSignerStateOld, "restore signer/ from this machine as it was last; a backup of it is too old by nature"},
	{node.ErrStateCorrupt, "restore signer/ from this machine as it was; never make it anew: it guards against signing twice"},
	{abci.ErrRules, "install a munimentd that knows them"},
	{node.ErrNoBlocks, "start the node and rebuild when it has more than one block"},
	{node.ErrBlocksLost, "restore a copy of ledger/ that has them, and leave signer/ as it is; a lone validator cannot go on from an older one, since what it signed binds it"},
	{node.ErrRestoring, "run munimentd restore again: it goes on where it was"},
	{node.ErrHomeRuns, "stop it first"},
	{node.ErrRingsLost, ringsLostFix},
	{node.ErrNoBackup, "name a folder that munimentd backup has finished"},
	{node.ErrManifest, "nothing was changed: use another backup"},
	{node.ErrBackupDamaged, "nothing was changed: use another backup"},
	{node.ErrOtherBackup, "nothing was changed: use a backup of this home, or the home that it is of"},
	{node.ErrUntrue, "nothing was changed: use another backup, and tell the offices whose this one is"},
	{node.ErrNotJoined, "run munimentd member join first"},
	{node.ErrJoined, "a home is of one network only: make another with munimentd member request --home DIR"},
	{node.ErrNothingMissing, "move away what is to be replaced, and restore then"},
	{keyring.ErrBackup, "nothing was changed: use another backup of the keyring"},
	{custody.ErrLedgerOld, "restore a newer ledger/, or move vault/ away and restore an older one; where there are other validators, look at why this node does not get their blocks"},
	{keyring.ErrRemains, "somebody has put a copy below rings/: remove the files that are named, and run munimentd erase"},
	{keyring.ErrJournal, "leave rings/ as it is, or restore it from the newest backup of the keyring"},
	{keyring.ErrMarker, "restore rings/ from the newest backup of the keyring"},
	{node.ErrPruned, "nothing was changed: restore ledger/ from a backup, or move it away and let the node fetch the blocks of one that keeps them all"},
	{node.ErrOldLedger, "remove it, or move it away, when the node has run well since"},
	{node.ErrBlockDamaged, "nothing was changed: restore ledger/ from a backup or another node"},
	{node.ErrReplayDiffers, "nothing was changed: restore ledger/ from a backup or another node, and report this"},
	{node.ErrDiskFull, "make room and start again: nothing that was acknowledged is lost"},
	{syscall.ENOSPC, "make room on the disk"},
	{syscall.EAGAIN, "another munimentd runs this home: stop that one first"},
	{state.ErrDamaged, "the disk may be failing: restore ledger/ from a backup or another node; if only the state is damaged, munimentd rebuild makes it anew from the blocks"},
	{state.ErrFormat, "use the program that wrote it"},
	{vault.ErrBroken, "keep the file as it is and look for who changed it: lines before the one named are whole"},
	{vault.ErrDamaged, "the disk may be failing: restore vault/ from a backup"},
	{keyring.ErrRootFile, "restore keys/ring-root.key from where it is kept"},
	{keyring.ErrModule, "see that the vendor's PKCS#11 module is installed under that name, and runs"},
	{keyring.ErrToken, "connect the token that has this label and AES-GCM, or name the right one"},
	{keyring.ErrPIN, "give the right PIN; look at the token with the vendor's tool first, since wrong ones lock it"},
	{keyring.ErrDevice, "look at the device with the vendor's tool"},
	{keyring.ErrRoot, "restore keys/ring-root.key from where it is kept; with a device, restore the newest backup of the keyring: the key of an older one is destroyed"},
	{fs.ErrPermission, "run munimentd as the owner of the home"},
}

// ringsLostFix says what to do about rings that are missing.
const ringsLostFix = "put rings/ back, or run munimentd restore --keyring FILE where there is none; if no backup has them, munimentd start --without-rings goes on without what they opened"

// advise appends to an error what to do next, and makes one line of it.
func advise(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return text + ": " + a.next
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok && errors.Is(err, syscall.EADDRINUSE) {
		return text + ": stop the other program or change the address in munimentd.toml"
	}
	return text
}
