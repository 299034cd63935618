package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/muniment/muniment/app/receipt"
)

// runVerification: the processor time of verifying a receipt, and the time from
// start to end of the program that does it, beside a program that does nothing.
func runVerification(b *bench) ([]result, error) {
	cpu := result{name: "receipt verification, processor time", unit: "ms", target: atMost(0.5, "0.5 ms")}
	whole := result{name: "muniment-verify, start to finish", unit: "ms", baseline: "/bin/true", target: atMost(30, "30 ms")}
	n, err := b.node()
	if err != nil {
		return onlyBase(err, cpu, whole), nil
	}
	program, err := b.build("muniment-verify")
	if err != nil {
		return nil, err
	}
	conns, err := n.dial(department, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = hangUp(conns) }()
	tx, err := n.newSigner().anchors(1)
	if err != nil {
		return nil, err
	}
	_, text, err := anchorAndReceipt(b.ctx, conns[0], tx)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(b.dir, "bench.receipt")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	cpu.note = fmt.Sprintf("a receipt of %d bytes", len(text))
	for range b.rounds {
		took, err := verifyTime(n.network, text, b.count(1000, 50))
		if err != nil {
			return nil, err
		}
		cpu.ours = append(cpu.ours, took)
		base, err := b.programTime("/bin/true")
		if err != nil {
			return nil, err
		}
		ours, err := b.programTime(program, "--network", n.networkFile(), file)
		if err != nil {
			return nil, err
		}
		whole.base, whole.ours = append(whole.base, base), append(whole.ours, ours)
	}
	return []result{cpu, whole}, nil
}

// verifyTime gives the processor time of one verification, in milliseconds.
func verifyTime(n receipt.Network, text []byte, times int) (float64, error) {
	before := processorTime()
	for range times {
		v, err := receipt.Verify(n, text)
		if err != nil {
			return 0, err
		}
		if v.Outcome != receipt.Passed {
			return 0, errors.New(v.Text())
		}
	}
	return milliseconds(processorTime()-before) / float64(times), nil
}

// programTime gives the median time of runs of a program, in milliseconds.
func (b *bench) programTime(program string, args ...string) (float64, error) {
	var times samples
	for range b.count(15, 3) {
		begin := time.Now()
		if text, err := exec.CommandContext(b.ctx, program, args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w: %s", filepath.Base(program), err, firstLine(text))
		}
		times = append(times, milliseconds(time.Since(begin)))
	}
	return times.median(), nil
}
