package plots

import (
	"os"
	"testing"

	"github.com/millrace/millrace/plots/synthetic"
	"github.com/millrace/millrace/results"
)

func load(t *testing.T, o synthetic.Options) *results.Result {
	t.Helper()
	root := t.TempDir()
	if keep := os.Getenv("PLOTS_KEEP"); keep != "" {
		root = keep
	}
	path, err := synthetic.Write(root, o)
	if err != nil {
		t.Fatal(err)
	}
	res, err := results.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLook(t *testing.T) {
	for _, sc := range []string{"burst", "idle", "churn"} {
		res := load(t, synthetic.Options{Scenario: sc, Full: true, Rounds: 3, Invalid: []string{"workers@1"}, Suspect: []string{"gnet@2"}})
		figs, err := Draw(res, res.Path+"/plots")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range figs {
			t.Logf("%+v", f)
		}
	}
}
