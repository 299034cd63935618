package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/muniment/muniment/app/abci"
	"github.com/muniment/muniment/app/node"
)

// stopTime is how long calls under way may take to finish.
const stopTime = 15 * time.Second

func startCommand(o *options) *cobra.Command {
	var settings []string
	var withoutRings bool
	c := &cobra.Command{
		Use:   "start",
		Short: "Run the node until it is told to stop (SIGTERM or Ctrl-C)",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			flags := map[string]string{}
			for _, s := range settings {
				name, value, ok := strings.Cut(s, "=")
				if !ok {
					return withCode(exitUsage, fmt.Errorf("setting %q: use NAME=VALUE, as grpc.listen=127.0.0.1:7450", s))
				}
				flags[name] = value
			}
			return o.start(c, flags, withoutRings)
		},
	}
	c.Flags().StringArrayVar(&settings, "set", nil, "a setting of munimentd.toml, as grpc.listen=127.0.0.1:7450")
	c.Flags().BoolVar(&withoutRings, "without-rings", false, "start although rings are missing, and no backup has them: what they opened is lost")
	return c
}

func (o options) start(c *cobra.Command, flags map[string]string, withoutRings bool) error {
	config, err := node.LoadConfig(o.node(), os.Environ(), flags)
	if err != nil {
		return withCode(exitUsage, err)
	}
	log, err := config.NewLog(c.ErrOrStderr())
	if err != nil {
		return withCode(exitUsage, err)
	}
	if err := errors.Join(o.checkHome(), o.checkSocket()); err != nil {
		return withCode(exitPrecondition, err)
	}
	if err := o.checkFounded(time.Now()); err != nil {
		return withCode(exitPrecondition, fmt.Errorf("%w: set the clock of this machine", err))
	}
	passphrase, err := o.passphrase(false)
	if err != nil {
		return err
	}
	service, err := node.NewService(o.node(), config, node.Options{Passphrase: passphrase, Log: log, WithoutRings: withoutRings, Fatal: func(err error) {
		log.Error("this node cannot go on", "err", err)
		if errors.Is(err, abci.ErrRules) { // nothing is wrong with this node
			fmt.Fprintf(c.ErrOrStderr(), "munimentd: %s\n", advise(err))
			os.Exit(exitPrecondition)
		}
		fmt.Fprintf(c.ErrOrStderr(), "munimentd: this node cannot go on: %s: the log above says why\n", advise(err))
		os.Exit(exitError)
	}})
	clear(passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: restore it from where it is kept", err)
	}
	if err != nil {
		return withCode(exitPrecondition, err)
	}
	err = service.Start(c.Context())
	if err == nil && c.Context().Err() == nil {
		addresses := service.Addresses()
		tiles := ""
		if addresses.Tiles != "" { // they may be off
			tiles = ", tiles " + addresses.Tiles
		}
		fmt.Fprintf(c.OutOrStdout(), "serving: gRPC %s%s\n", addresses.GRPC, tiles)
		err = service.Wait(c.Context())
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if stopErr := service.Stop(ctx); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, node.ErrDiskFull) {
		return withCode(exitPrecondition, err)
	}
	return err
}

// checkSocket refuses a home whose operators' socket would have too long a path
// for the system.
func (o options) checkSocket() error {
	const most = 107
	if path := o.node().Socket(); len(path) > most {
		return fmt.Errorf("%s: the path of a socket has at most %d bytes: use a shorter --home", path, most)
	}
	return nil
}

// checkFounded refuses a clock that is before the founding. The engine would
// wait for that moment, deaf to signals. A genesis document that cannot be read
// is for others to report.
func (o options) checkFounded(now time.Time) error {
	const tolerance = 10 * time.Second
	text, err := os.ReadFile(o.node().Genesis())
	if err != nil {
		return nil
	}
	genesis, err := node.ParseGenesis(text)
	if err == nil && genesis.Time.After(now.Add(tolerance)) {
		return fmt.Errorf("the network was founded at %s, the clock says %s", clock(genesis.Time), clock(now))
	}
	return nil
}
