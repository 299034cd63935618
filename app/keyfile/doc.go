// Package keyfile seals secret keys into the one text format in which Muniment's
// programs keep them on disk, and opens them again.
//
//	muniment sealed key v1
//	label CLERK-SIGNING
//	kdf pbkdf2-hmac-sha256 600000 5f0e...
//	sealed pLqs...
//
// A file is sealed by a passphrase ([Seal], [Open]) or under a 32-byte key
// ([SealUnder], [OpenUnder]); [Parse] tells which without opening it. The exact
// bytes are in docs/spec/keyfile.md.
//
// Invariants:
//   - One file has one spelling; every changed byte is noticed.
//   - On error nothing is returned but the error, which never quotes a secret.
//
// The package is pure but for one thing: nonces come from the system's
// generator, not from an argument, since FIPS 140-3 lets nobody choose the nonce
// of AES-GCM.
package keyfile
