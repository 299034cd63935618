package keyring

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestRotationThatFails lets one operation fail at each stage that is not
// Pebble's. Before the switch the old epoch stays; after it the next call goes on.
func TestRotationThatFails(t *testing.T) {
	full := errors.New("no space left on device")
	for name, c := range map[string]struct {
		kind  errorfs.OpKind
		path  string
		epoch uint64
		waits bool // for its last look
	}{
		"plan":                {errorfs.OpCreate, minutes.journal() + newSuffix, 1, false},
		"plan, renamed":       {errorfs.OpRename, minutes.journal() + newSuffix, 1, false},
		"directory":           {errorfs.OpMkdirAll, minutes.directory(2), 1, false},
		"copy, begun":         {errorfs.OpCreate, "part-0-0", 1, false},
		"copy, written":       {errorfs.OpFileWrite, "part-0-0", 1, false},
		"copy, synced":        {errorfs.OpFileSyncData, "part-0-0", 1, false},
		"old one removed":     {errorfs.OpRemoveAll, minutes.directory(1), 2, false},
		"report":              {errorfs.OpCreate, minutes.report() + newSuffix, 2, false},
		"report, renamed":     {errorfs.OpRename, minutes.report() + newSuffix, 2, false},
		"journal of the end":  {errorfs.OpRename, minutes.journal() + newSuffix, 2, true},
		"journal, taken away": {errorfs.OpRemove, minutes.journal(), 2, false},
	} {
		mem, root := vfs.NewMem(), testRoot(t)
		s := newScene(t, mem, root)
		var mu sync.Mutex
		broken, switched, failures := false, false, 0
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if broken && op.Kind == errorfs.OpRename && strings.HasSuffix(op.Path, minutes.marker()+newSuffix) {
				switched = true
			}
			if broken && op.Kind == c.kind && strings.HasSuffix(op.Path, c.path) && (switched || !c.waits) {
				failures++
				return full
			}
			return nil
		}))
		breakIt := func(on bool) {
			mu.Lock()
			defer mu.Unlock()
			broken = on
		}
		k, err := Open("rings", root, Options{FS: fs, Fatal: func(err error) { t.Errorf("%s: fatal: %v", name, err) }})
		if err != nil {
			t.Fatal(err)
		}
		breakIt(true)
		if r, err := k.Rotate(minutes, s.plan); !errors.Is(err, full) || r.To != 0 {
			t.Errorf("%s: %+v, %v; want the error of the disk", name, r, err)
		}
		breakIt(false)
		if epoch, _ := k.Epoch(minutes); epoch != c.epoch || failures == 0 {
			t.Errorf("%s: epoch %d, want %d; %d failures", name, epoch, c.epoch, failures)
		}
		mustPut(t, k, minutes, RID{7, 7}, "seven")
		if k.Unfinished(minutes) != c.waits {
			t.Errorf("%s: unfinished %v, want %v", name, !c.waits, c.waits)
		}
		if c.waits {
			s.resume(t, name, k, nil, nil)
		}
		wants := map[uint64]map[RID]want{1: s.before, 2: s.after}[c.epoch]
		wants[RID{7, 7}] = want{state: "seven"}
		for r, w := range wants {
			if got, err := k.answer(minutes, r); got != w || err != nil {
				t.Errorf("%s: record %x answers %+v, %v; want %+v", name, r[:4], got, err, w)
			}
		}
		next := Plan{Erasures: lastErasures}
		if c.epoch == 1 {
			next = s.plan
		}
		r := mustCarryOut(t, k, minutes, next)
		if err := k.Close(); err != nil {
			t.Fatal(err)
		}
		if r.From != c.epoch || r.Hits != 0 {
			t.Errorf("%s: then %+v", name, r)
		}
		s.wantOnly(t, name, mem, r.To)
		if seen, err := scan(mem, "rings", s.gone, new(pace)); err != nil || seen.hits != 0 {
			t.Errorf("%s: %d hits in %v, %v", name, seen.hits, seen.remains, err)
		}
	}
}

// TestMarkerThatFailsIsFatal: whether the marker moved cannot be told, so nothing
// goes on.
func TestMarkerThatFailsIsFatal(t *testing.T) {
	mem, root := vfs.NewMem(), testRoot(t)
	newScene(t, mem, root)
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRename && strings.HasSuffix(op.Path, minutes.marker()+newSuffix) {
			return errors.New("input/output error")
		}
		return nil
	}))
	told := make(chan error, 1)
	k, err := Open("rings", root, Options{FS: fs, Fatal: func(err error) {
		told <- err
		select {} // a process that ends does not go on
	}})
	if err != nil {
		t.Fatal(err)
	}
	returned := make(chan error, 1)
	go func() {
		_, err := k.Rotate(minutes, Plan{})
		returned <- err
	}()
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "input/output error") {
			t.Errorf("fatal: %v", err)
		}
	case err := <-returned:
		t.Errorf("Rotate returned %v", err)
	}
}

// TestHalfRemovedDirectories takes away every second file of a directory that a
// crash may have caught in its removal.
func TestHalfRemovedDirectories(t *testing.T) {
	mem, root := vfs.NewCrashableMem(), &device{}
	s := newScene(t, mem, root)
	c := newCamera(mem, 0)
	c.beside = func() any { return root.clone() }
	k, err := Open("rings", root, Options{FS: c.fs()})
	if err != nil {
		t.Fatal(err)
	}
	c.turn(true)
	mustCarryOut(t, k, minutes, s.plan)
	c.turn(false)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	halved := map[uint64]int{}
	for _, crash := range c.crashes {
		marker, err := readFile(crash.fs, "rings", minutes.marker(), maxFile)
		if err != nil {
			t.Fatal(err)
		}
		epoch, err := parseMarker(marker)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := readFile(crash.fs, "rings", minutes.journal(), maxJournal)
		if err != nil {
			continue
		}
		j, err := parseJournal(minutes, raw)
		if err != nil {
			t.Fatal(err)
		}
		if epoch == 2 && j.phase != destroyed {
			continue // no removal has begun
		}
		dir := "rings/" + minutes.directory(3-epoch)
		names, err := crash.fs.List(dir)
		if err != nil {
			continue
		}
		for i := 0; i < len(names); i += 2 {
			if err := crash.fs.RemoveAll(dir + "/" + names[i]); err != nil {
				t.Fatal(err)
			}
		}
		halved[epoch]++
		s.root = crash.beside.(*device)
		if got, _ := s.check(t, crash.name+", half removed", crash.fs, nil, nil); got != epoch {
			t.Errorf("%s: epoch %d, want %d", crash.name, got, epoch)
		}
	}
	if halved[1] == 0 || halved[2] == 0 {
		t.Errorf("half removed directories by epoch: %v", halved)
	}
}

const processVariable = "MUNIMENT_TEST_RINGS" // directory and key file of TestRotationProcess

// aheadOfRotation is how many records TestRotationProcess puts before it waits
// for a rotation: however quick the disk, the two take turns.
const aheadOfRotation = 400

// TestRotationProcess is the process that TestKilledProcess kills. It says what
// was acknowledged, and never ends.
func TestRotationProcess(t *testing.T) {
	dir := os.Getenv(processVariable)
	if dir == "" {
		return
	}
	k := openProcess(t, dir)
	var mu sync.Mutex // guards doomed, and lines
	var doomed []RID
	say := func(word string, rids ...RID) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range rids {
			fmt.Printf("%s %x\n", word, r)
		}
	}
	rotated := make(chan struct{})
	go func() {
		for {
			mu.Lock()
			rids := doomed
			doomed = nil
			mu.Unlock()
			say("destroying", rids...)
			switch _, err := k.Rotate(minutes, Plan{Changes: destroying(rids...), LastLook: spare(rids)}); {
			case err == nil:
				say("destroyed", rids...)
				say("rotated", RID{})
			case !errors.Is(err, ErrAbsent):
				fmt.Printf("error %v\n", err)
			}
			select {
			case rotated <- struct{}{}:
			default:
			}
		}
	}()
	for i := 0; ; i++ {
		r := RID{byte(i * 7), byte(os.Getpid()), byte(os.Getpid() >> 8), byte(os.Getpid() >> 16), byte(i), byte(i >> 8), byte(i >> 16)}
		if err := k.Put(minutes, r, fmt.Appendf(nil, "state %x", r)); err != nil {
			fmt.Printf("error %v\n", err)
		}
		say("put", r)
		if i%2 == 0 {
			mu.Lock()
			doomed = append(doomed, r)
			mu.Unlock()
		}
		if i%aheadOfRotation == aheadOfRotation-1 {
			<-rotated
		}
	}
}

// isSpared tells which records the last looks of the process preserve.
func isSpared(r RID) bool { return r[4]%8 == 0 }

func spare(rids []RID) func() (Preserved, error) {
	return func() (p Preserved, err error) {
		for _, r := range rids {
			if isSpared(r) {
				p.RIDs = append(p.RIDs, r)
			}
		}
		return p, nil
	}
}

func openProcess(t *testing.T, dir string) *Keyring {
	t.Helper()
	text, err := os.ReadFile(dir + "/root.key")
	if err != nil {
		t.Fatal(err)
	}
	root, err := OpenRootFile([]byte("root passphrase"), text)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Open(dir+"/rings", root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestKilledProcess kills a process that puts, destroys and rotates, again and
// again on one disk, every other time after its first rotation: what it had
// acknowledged holds.
func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	text, err := NewRootFile(strings.NewReader(strings.Repeat("test randomness ", 8)), []byte("root passphrase"), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/root.key", text, 0o600); err != nil {
		t.Fatal(err)
	}
	said := map[RID]string{} // the last that was said of a record
	rotations := 0
	for round := range 12 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRotationProcess$")
		cmd.Env = append(os.Environ(), processVariable+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, heard, hasRotated := bufio.NewScanner(out), 0, round%2 == 0
		for lines.Scan() {
			word, name, _ := strings.Cut(lines.Text(), " ")
			raw, err := hex.DecodeString(name)
			if err != nil || len(raw) != len(RID{}) {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			if word == "rotated" {
				rotations++
				hasRotated = true
			} else {
				said[RID(raw)] = word
			}
			if !hasRotated {
				continue
			}
			if heard++; heard == 3+17*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("round %d: the process ended by itself", round)
		}
		checkProcess(t, fmt.Sprintf("round %d", round), dir, said)
	}
	if rotations < 6 || len(said) == 0 {
		t.Errorf("%d rotations, %d records", rotations, len(said))
	}
}

// checkProcess opens the rings of a process that was killed, and finishes what it
// had begun.
func checkProcess(t *testing.T, name, dir string, said map[RID]string) {
	t.Helper()
	k := openProcess(t, dir)
	if k.Unfinished(minutes) {
		if _, err := k.Resume(minutes, spare(slices.Collect(maps.Keys(said)))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for r, word := range said {
		got, err := k.answer(minutes, r)
		isLive, isDestroyed := got.state == fmt.Sprintf("state %x", r), got.destroyed
		mustLive, mustDie := word == "put" || isSpared(r), word == "destroyed" && !isSpared(r)
		if err != nil || mustLive && !isLive || mustDie && !isDestroyed || !isLive && !isDestroyed {
			t.Errorf("%s: %s %x answers %+v, %v", name, word, r, got, err)
		}
	}
	if report, ok, err := k.LastReport(minutes); err != nil || ok && report.Hits != 0 {
		t.Errorf("%s: report %+v, %v", name, report, err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestReadBackSeesADifference: a new epoch that opens well but holds other states
// than the old one is refused.
func TestReadBackSeesADifference(t *testing.T) {
	k := openTest(t, vfs.NewMem(), testRoot(t))
	for i := range byte(20) {
		mustPut(t, k, minutes, rid(i*12), "state")
	}
	r := k.ring(minutes)
	written := parts(new(pace))
	err := together(written, func(p *part) error {
		return p.each(r.db, r.aead, r.place, nil, func(RID, []byte) error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	set := func(at RID, k kind, state string) error {
		return r.change(func(e *edit) error { return e.set(at, k, []byte(state)) })
	}
	check := func(name string, want error, change error) {
		t.Helper()
		if change != nil {
			t.Fatal(change)
		}
		if err := readBack(r.db, r.aead, r.place, written); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	check("the same", nil, nil)
	check("another state", ErrDamaged, set(rid(24), kindLive, "stale"))
	check("the same again", nil, set(rid(24), kindLive, "state"))
	check("a state too many", ErrDamaged, k.Put(minutes, rid(7), []byte("state")))
	check("the same once more", nil, k.Forget(minutes, rid(7)))
	check("a tombstone for a state", ErrDamaged, set(rid(36), kindDestroyed, ""))
}
