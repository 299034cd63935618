//go:build crashtest

package node

import (
	"fmt"
	"os"

	abcitypes "github.com/cometbft/cometbft/abci/types"

	"github.com/muniment/muniment/app/abci"
)

// callLogVariable names the file to which the engine's calls are appended. It
// is not synced: what is killed is the process, not the machine.
const callLogVariable = "MUNIMENT_ABCI_LOG"

// callLogged puts a call log before the application where the environment says so.
func callLogged(app abcitypes.Application) abcitypes.Application {
	path := os.Getenv(callLogVariable)
	if path == "" {
		return app
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(fmt.Sprintf("open call log: %v", err))
	}
	logged, err := abci.NewCallLog(app, file)
	if err != nil {
		panic(err.Error())
	}
	return logged
}
