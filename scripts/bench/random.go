package main

import (
	"crypto/rand"
	mathrand "math/rand/v2"
)

// newRandom gives a fast stream of bytes that never repeats itself. What is
// drawn from it is made up to be measured and protects nothing.
func newRandom() *mathrand.ChaCha8 {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // never fails: it ends the program instead
	return mathrand.NewChaCha8(seed)
}
