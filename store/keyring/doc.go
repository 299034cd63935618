// Package keyring keeps what must be forgettable: one small secret state per
// record, in rings that can be replaced whole.
//
// A ring holds the states of one department and one retention class. Its states
// are sealed under a ring key, drawn for one epoch of the ring and wrapped by
// the root key. To forget for good, a ring is rotated: the states that live are
// sealed again under a new ring key in a new directory, and the old key and
// directory are destroyed. This version lays out everything that a rotation
// needs and does not rotate yet.
//
//	DIR/ring-CLERK_MINUTES.epoch      marker: the current epoch; replaced by rename
//	DIR/ring-CLERK_MINUTES-1/         the epoch's own Pebble store
//	DIR/ring-CLERK_MINUTES.journal    place of a rotation's journal
//	DIR/office-CLERK.key              fingerprint key of an office, wrapped by the root
//
// Keys in a ring's store:
//
//	m         META: version, epoch, applied height, states carried over, digest
//	          of the erasure log, wrapped ring key
//	s | rid   nonce || AES-256-GCM(ring key, kind || state), with the additional
//	          data "MUN1 ring" || ring id || epoch || rid
//
// Invariants:
//   - Put returns once the state is on disk. If a sync fails the process ends.
//   - A record that was destroyed answers ErrDestroyed for ever, also to Put; one
//     that was never there is absent.
//   - Bytes that were deleted leave the files of a ring at the next compaction:
//     no compression, no separated values, no recycled logs (COMMITMENTS-AND-ERASURE
//     1.2 to 1.4). That is hygiene; what destroys is the end of an epoch.
//   - No file holds a state, a ring key or the root key in the clear. Names of
//     offices and classes are registered codes and public.
//
// A Keyring is safe for concurrent use.
package keyring
