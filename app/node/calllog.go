//go:build !crashtest

package node

import abcitypes "github.com/cometbft/cometbft/abci/types"

// callLogged gives the application as the engine calls it: itself. Builds with
// the tag crashtest may put a call log before it.
func callLogged(app abcitypes.Application) abcitypes.Application { return app }
