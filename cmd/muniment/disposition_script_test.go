package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/muniment/muniment/app/record"
)

// TestStaffScripts runs the program as records staff do. Each script has a city
// hall with its own services, in which PERMITS has anchored records of series
// DEMO-PERMITS: $OLD-$OLDEST are due, $ANCIENT is of 1890, $YOUNG is not due yet.
func TestStaffScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/staff",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			d := &desk{t: t, dir: e.WorkDir}
			d.places = places{config: filepath.Join(d.dir, "config", "muniment"), state: filepath.Join(d.dir, "state", "muniment")}
			d.file("passphrase", testPassphrase+"\n")
			hall := newHallAt(d, time.Now())
			today := hall.hall.clock()
			records := hall.keep("DEMO-PERMITS", "2019-03-01", "2019-03-02", "2019-03-03", "1890-07-01", dayText(dayOf(today)-90))
			for i, name := range []string{"OLD", "OLDER", "OLDEST", "ANCIENT", "YOUNG"} {
				e.Setenv(name, numeral(records[i]))
			}
			for name, dir := range map[string]string{"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "HOME": "."} {
				e.Setenv(name, filepath.Join(e.WorkDir, dir))
			}
			e.Setenv("TODAY", dayText(record.LedgerDay(today.UnixNano())))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exitsAs, "as": as, "grab": grab, "mode": mode,
		},
	})
}
