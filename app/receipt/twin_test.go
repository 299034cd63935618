package receipt

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needNode finds Node, which runs the twins, or skips the test. It is in .ci/run.
func needNode(t *testing.T) string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("the twin in JavaScript needs Node 20: ", err)
	}
	return node
}

// twinOf has the second implementation of a format judge vectors, and gives what
// it says. It has to end well exactly where it finds no difference.
func twinOf(t *testing.T, node, format string, vectors any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), format+".json")
	if err := os.WriteFile(path, must1(json.Marshal(vectors)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(node, "../../scripts/twin/"+format+".mjs", path).CombinedOutput()
	if agrees := strings.Contains(string(out), " 0 differences"); agrees != (err == nil) {
		t.Errorf("the twin ends with %v after\n%s", err, out)
	}
	return string(out)
}
