package receipt_test

import (
	"fmt"
	"log"
	"os"

	"github.com/muniment/muniment/app/receipt"
)

// An auditor verifies a receipt with nothing but the network file.
func ExampleVerify() {
	file, err := os.ReadFile("testdata/solo.mun")
	if err != nil {
		log.Fatal(err)
	}
	network, err := receipt.ParseNetwork(file)
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile("testdata/anchor.receipt")
	if err != nil {
		log.Fatal(err)
	}
	verdict, err := receipt.Verify(network, text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verdict.Outcome, verdict.Kind, verdict.Grade, verdict.Cosigners)
	fmt.Println("not before", verdict.NotBefore.Time)
	fmt.Println("not after ", verdict.NotAfter.Time)
	// Output:
	// PASSED anchor city 1 of 1 validators
	// not before 2030-01-01 00:00:01 +0000 UTC
	// not after  2030-01-01 00:01:40 +0000 UTC
}

// A state receipt can show that the state held nothing under a key.
func ExampleVerifyState() {
	file, err := os.ReadFile("testdata/solo.mun")
	if err != nil {
		log.Fatal(err)
	}
	network, err := receipt.ParseNetwork(file)
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile("testdata/state-absent.receipt")
	if err != nil {
		log.Fatal(err)
	}
	verdict, err := receipt.VerifyState(network, text, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(verdict.Outcome, verdict.State.Present, verdict.BlockHeight)
	// Output: PASSED false 5
}
