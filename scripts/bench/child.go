package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// childMode is the first argument of this program where it runs as its own
// child: a server to measure against.
const childMode = "child"

// children are the servers that this program can be, by name. Each answers
// lines of its input with lines of JSON and ends with its input.
var children = map[string]func(dir string, in *bufio.Scanner, out *json.Encoder) error{
	"bare":  serveBare,
	"empty": serveEmpty,
	"flood": serveFlood,
}

func runChild(args []string) int {
	serve, ok := children[args[0]]
	if !ok || len(args) != 2 {
		fmt.Fprintf(os.Stderr, "bench: no child %q\n", args)
		return 2
	}
	if err := serve(args[1], bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "bench: child %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// child is a process that this program started.
type child struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
	ended   chan error
}

// startChild starts this program again as one of its children, in a folder of
// its own.
func (b *bench) startChild(name string) (*child, error) {
	dir, err := os.MkdirTemp(b.dir, name+"-")
	if err != nil {
		return nil, err
	}
	return b.startChildIn(name, dir)
}

// startChildIn starts it in a folder that holds what it needs.
func (b *bench) startChildIn(name, dir string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{command: exec.Command(self, childMode, name, dir), ended: make(chan error, 1)}
	c.command.Stderr = b.log
	if c.in, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = json.NewDecoder(out)
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	return c, nil
}

// ask sends a line and reads the answer.
func (c *child) ask(line string, answer any) error {
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		return err
	}
	return c.out.Decode(answer)
}

// stop closes the child's input and waits until it is gone.
func (c *child) stop() error {
	_ = c.in.Close()
	return c.wait(10 * time.Second)
}

// wait waits for the end of the process, and makes it end in the end.
func (c *child) wait(patience time.Duration) error {
	go func() { c.ended <- c.command.Wait() }()
	select {
	case err := <-c.ended:
		return err
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("%s did not end within %v", c.command.Path, patience), c.command.Process.Kill(), <-c.ended)
	}
}
