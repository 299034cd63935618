package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muniment/muniment/app/node"
)

// A home comes into being in a folder within it, whose presence tells that it
// is unfinished. Steps of init, of which only the last makes a home of it:
//
//  1. make HOME, which must be empty, and HOME/unfinished
//  2. make everything in HOME/unfinished
//  3. move everything from there to HOME, and sync
//  4. remove HOME/unfinished
//
// A refusal in step 2 takes back step 1. A crash leaves HOME/unfinished, and
// every command says what to do; the keys in it were never used.
const unfinished = "unfinished"

var (
	errUnfinished = errors.New("the making of this home was interrupted: remove the folder, and make it again")
	errNotEmpty   = errors.New("the folder is not empty: name another, or clear it if it is no home")
)

// checkFinished refuses a home that is still in the making.
func (o options) checkFinished() error {
	if _, err := os.Stat(filepath.Join(o.home, unfinished)); err == nil {
		return fmt.Errorf("home %s: %w", o.home, errUnfinished)
	}
	return nil
}

// checkHome refuses what is no home, or not a whole one.
func (o options) checkHome() error {
	if err := errors.Join(o.checkFinished(), o.node().CheckRestored()); err != nil {
		return err
	}
	if _, err := os.Stat(o.node().Genesis()); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(o.node().OwnCard()); err == nil {
		return fmt.Errorf("home %s belongs to no network yet: give its member.card to who assembles one, or admits nodes to one, and join that with munimentd genesis join or munimentd member join", o.home)
	}
	if _, err := os.Stat(o.node().Keys()); err == nil {
		return fmt.Errorf("home %s lacks genesis.json: restore it as it was at the founding", o.home)
	}
	return fmt.Errorf("%s is no home of a node: make one with munimentd init, or name another with --home", o.home)
}

// checkNew refuses a folder that holds anything, except what the making of a
// file system leaves.
func (o options) checkNew() error {
	if err := o.checkFinished(); err != nil {
		return withCode(exitPrecondition, err)
	}
	if _, err := os.Stat(o.node().Keys()); err == nil {
		return withCode(exitPrecondition, fmt.Errorf("%s: %w: name another with --home", o.home, node.ErrHomeInUse))
	}
	entries, err := os.ReadDir(o.home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make home: %w", err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return withCode(exitPrecondition, fmt.Errorf("%s: %w", o.home, errNotEmpty))
		}
	}
	return nil
}

// makeHome has build make everything in a folder that becomes the home. The
// caller has checked that the home is new.
func (o options) makeHome(build func(node.Home) (node.Keys, error)) (node.Keys, error) {
	undo := made(o.home)
	nascent := filepath.Join(o.home, unfinished)
	if err := os.MkdirAll(nascent, 0o700); err != nil {
		return node.Keys{}, err
	}
	keys, err := build(node.Home(nascent))
	if err == nil {
		err = moveUp(nascent, o.home)
	}
	if err != nil {
		return node.Keys{}, errors.Join(err, os.RemoveAll(nascent), undo())
	}
	return keys, nil
}

// made gives what removes the folders that MkdirAll will have made for path.
func made(path string) (undo func() error) {
	var missing []string
	for ; ; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); err == nil || path == filepath.Dir(path) {
			break
		}
		missing = append(missing, path)
	}
	return func() error {
		for _, dir := range missing {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	}
}

// moveUp moves all that a folder holds into its parent and removes the folder.
func moveUp(nascent, home string) error {
	entries, err := os.ReadDir(nascent)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(nascent, e.Name()), filepath.Join(home, e.Name())); err != nil {
			return err
		}
	}
	if err := syncFolder(home); err != nil {
		return err
	}
	if err := os.Remove(nascent); err != nil {
		return err
	}
	return errors.Join(syncFolder(home), syncFolder(filepath.Dir(home)))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
