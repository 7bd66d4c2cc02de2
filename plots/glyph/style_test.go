package glyph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/results"
)

func TestStyles(t *testing.T) {
	variant := func(name string) results.Variant {
		model, _, _ := strings.Cut(name, "/")
		return results.Variant{Name: name, Model: model}
	}
	var modelNames []string
	for _, m := range models {
		modelNames = append(modelNames, m.name)
	}
	var all []results.Variant
	for _, name := range append(modelNames, "gnet/ants", "gnet/reuseport", "gnet/tuned", "nginx", "nginx/tuned", "rust") {
		all = append(all, variant(name))
	}
	styles := Styles(all)
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(styles)) {
		s := styles[name]
		key := fmt.Sprint(s.Color, s.Dashes)
		if other, taken := seen[key]; taken {
			t.Errorf("%s and %s look alike: %s", name, other, key)
		}
		seen[key] = name
		if model, _, ok := strings.Cut(name, "/"); ok && s.Color != styles[model].Color {
			t.Errorf("%s has another colour than %s", name, model)
		}
	}
	alone := Styles([]results.Variant{variant("gnet/ants"), variant("netpoll")})
	if !slices.Equal(alone["gnet/ants"].Dashes, styles["gnet/ants"].Dashes) || alone["netpoll"].Color != styles["netpoll"].Color {
		t.Error("a variant looks different in another company")
	}
}
