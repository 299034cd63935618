// Package keyring keeps what must be forgettable: one small secret state per
// record, in rings that can be replaced whole.
//
// A ring holds the states of one department and one retention class. Its states
// are sealed under a ring key, drawn for one epoch of the ring and wrapped by
// the root key. To destroy and to puncture, a ring is rotated by a plan
// ([Keyring.Rotate]): the states that live are sealed again under a new ring key in
// a new directory, with tombstones and punctured states where the plan has them;
// after a last look at what a hold preserves the old key is destroyed, its directory
// removed, and every file searched for what must be gone. A class of which nothing
// lives any more dies with one key.
//
//	DIR/ring-CLERK_MINUTES.epoch      marker: the current epoch; replaced by rename
//	DIR/ring-CLERK_MINUTES-1/         the epoch's own Pebble store
//	DIR/ring-CLERK_MINUTES.journal    while a rotation goes on
//	DIR/ring-CLERK_MINUTES.report     what the last rotation did
//	DIR/office-CLERK.key              fingerprint key of an office, wrapped by the root
//
// Keys in a ring's store:
//
//	m         META: version, epoch, erasures that are applied, states carried over,
//	          a seal under the ring key over all of it, wrapped ring key
//	n | name  needles of a sealed state that was forgotten
//	p | rid   mark of a record that a last look preserved
//	s | rid   nonce || AES-256-GCM(ring key, kind || state), with the additional
//	          data "MUN1 ring" || ring id || epoch || rid
//
// Invariants:
//   - Put and Forget return once the change is on disk. If a sync fails the process
//     ends.
//   - A record that was destroyed answers ErrDestroyed for ever, also to Put; one
//     that was never there is absent. Rotations keep tombstones. Nothing is
//     tombstoned in an epoch but at its beginning.
//   - After a crash at any step of a rotation, Open leaves the old epoch whole and
//     current, or the new one current and the old one whole beside it until a last
//     look is over ([Keyring.Unfinished], [Keyring.Resume]), or the new one and
//     nothing of the old. Nothing of the old goes before the new one has been read
//     back, is named by the marker, and opens, and that look has been taken.
//   - A rotation is done when its scan finds nothing. Its report is kept until the
//     next one's.
//   - Bytes that were deleted leave the files of a ring at the next compaction:
//     no compression, no separated values, no recycled logs
//     (docs/spec/keyring.md). That is hygiene; what destroys is the end of an epoch.
//   - No file holds a state, a ring key or the root key in the clear. Names of
//     offices and classes are registered codes and public.
//
// What may be claimed of an ended epoch depends on the root ([record.Claim]). A key
// file unwraps the ring key of every disk image and backup there ever was; a device
// that destroys the key which it wrapped with does not. [Keyring.Backup] writes the
// rings as they are, sealed, and [Restore] makes a keyring of that.
//
// The exact bytes are in docs/spec/keyring.md. A Keyring is safe for concurrent
// use: reading and writing go on during a rotation, and rotations take turns.
package keyring
