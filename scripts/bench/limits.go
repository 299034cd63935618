package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"time"
)

// runLimits: what nothing on this machine can be faster than.
func runLimits(b *bench) ([]result, error) {
	sync := result{name: "append 4 KiB and fsync, p50", unit: "ms"}
	seal := result{name: "AES-256-GCM seal of 1 MiB, one core", unit: "MB/s"}
	sum := result{name: "SHA-256 of 1 MiB, one core", unit: "MB/s"}
	check := result{name: "Ed25519 verification, one core", unit: "per second"}
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	message := make([]byte, 47) // as a transaction's signed message
	signature := ed25519.Sign(private, message)
	plain, out := make([]byte, 1<<20), make([]byte, 0, 1<<20+64)
	for range b.rounds {
		ms, err := b.syncTime()
		if err != nil {
			return nil, err
		}
		sync.ours = append(sync.ours, ms)
		n := b.count(200, 20)
		seal.ours = append(seal.ours, perSecond(n, func() { aead.Seal(out, nil, plain, nil) })*float64(len(plain))/1e6)
		sum.ours = append(sum.ours, perSecond(n, func() { sha256.Sum256(plain) })*float64(len(plain))/1e6)
		check.ours = append(check.ours, perSecond(20*n, func() { ed25519.Verify(public, message, signature) }))
	}
	return []result{sync, seal, sum, check}, nil
}

func perSecond(n int, do func()) float64 {
	begin := time.Now()
	for range n {
		do()
	}
	return float64(n) / time.Since(begin).Seconds()
}
