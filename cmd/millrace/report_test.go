package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/plots/synthetic"
)

func TestReportReference(t *testing.T) {
	root := t.TempDir()
	dir, err := synthetic.Write(root, synthetic.Options{Scenario: "churn", Rounds: 6, Variants: []string{"goroutine", "gnet"}})
	if err != nil {
		t.Fatal(err)
	}
	report := func(args ...string) (string, error) {
		c := reportCommand()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetArgs(append(args, "--results", root))
		c.SilenceErrors, c.SilenceUsage = true, true
		err := c.Execute()
		return out.String(), err
	}
	out, err := report(filepath.Base(dir), "--reference", "gnet") // a run's id will do
	if err != nil || !strings.Contains(out, "gnet (reference)") || !strings.Contains(out, "ratio to gnet with its 95 % interval") {
		t.Errorf("report --reference gnet: %v:\n%s", err, out)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil || !bytes.Contains(page, []byte("| gnet (reference) |")) {
		t.Errorf("report.md is not against gnet: %v", err)
	}
	if _, err := report("--reference", "nginx"); err == nil || !strings.Contains(err.Error(), `reference "nginx"`) || !strings.Contains(err.Error(), "want one of goroutine, gnet") {
		t.Errorf("an unknown reference: %v", err)
	}
}
