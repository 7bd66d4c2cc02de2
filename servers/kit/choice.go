package kit

import (
	"flag"
	"fmt"
	"slices"
	"strings"
)

// Choice adds a flag that takes one of the values; it begins with the first.
func Choice(fs *flag.FlagSet, value *string, name, doc string, values ...string) {
	*value = values[0]
	fs.Func(name, doc, func(v string) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("want one of %s", strings.Join(values, ", "))
		}
		*value = v
		return nil
	})
}
