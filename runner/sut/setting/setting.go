// Package setting reads what stands behind the slash of a variant's name: names of its model's variants, flags of its own and
// variables of Go's runtime, joined by commas. It is pure.
package setting

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxSettings bounds what stands behind the slash of a variant's name, maxName the whole of it: it is the name of a folder, too.
	maxSettings = 16
	maxName     = 120
)

// environment are the variables of Go's runtime that a variant may set, and what each may be.
var environment = []struct {
	name, want string
	check      func(value string) bool
}{
	{"GOGC", "off or 1 to 1000000 %", func(v string) bool { return v == "off" || inRange(v, 1, 1_000_000) }},
	{"GOMEMLIMIT", "off or bytes such as 512MiB", regexp.MustCompile(`^(off|[1-9][0-9]{0,15}(B|KiB|MiB|GiB|TiB)?)$`).MatchString},
	{"GOMAXPROCS", "1 to 1024", func(v string) bool { return inRange(v, 1, 1024) }},
	{"GODEBUG", "a setting such as netdns=go", regexp.MustCompile(`^[a-z0-9]+=[A-Za-z0-9_.-]+$`).MatchString},
}

func inRange(text string, least, most int) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= least && n <= most && text[0] != '+'
}

// settingWord is KEY=VALUE, the value without blanks, commas, slashes and control characters.
var settingWord = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*)=([^\s,/\\[:cntrl:]]+)$`)

// Known is what a model has to set.
type Known struct {
	Named []Named
	// Flags of its own, without dashes.
	Flags []string
}

// Named is a variant that the model names itself.
type Named struct {
	Name, Doc string
	Flags     []string // of serve
}

// Settings are what words stand for.
type Settings struct {
	Args []string // of serve
	Env  []string // KEY=VALUE
	Doc  string
	// Named is true where one of the words is a variant's name, whose Doc says what the model is then.
	Named bool
}

// Read reads the words behind the slash of name.
func (k *Known) Read(name, words string) (Settings, error) {
	list := strings.Split(words, ",")
	if len(list) > maxSettings || len(name) > maxName {
		return Settings{}, fmt.Errorf("server %.40q: %d settings in %d characters: want at most %d in %d", name, len(list), len(name), maxSettings, maxName)
	}
	var all Settings
	var docs []string
	by := map[string]string{} // the word that set a flag or a variable
	for _, word := range list {
		one, err := k.word(word)
		if err != nil {
			return Settings{}, fmt.Errorf("server %q: %w", name, err)
		}
		for _, key := range one.keys() {
			if by[key] != "" {
				return Settings{}, fmt.Errorf("server %q: %s and %s both set %s: want one of them", name, by[key], word, key)
			}
			by[key] = word
		}
		all.Args, all.Env = append(all.Args, one.Args...), append(all.Env, one.Env...)
		all.Named = all.Named || one.Named
		docs = append(docs, one.Doc)
	}
	all.Env = joinDebug(all.Env)
	all.Doc = strings.Join(docs, "; ")
	return all, nil
}

// keys are the flags and variables that are set. GODEBUG may be set more than once.
func (s *Settings) keys() []string {
	var keys []string
	for _, a := range s.Args {
		if strings.HasPrefix(a, "-") {
			key, _, _ := strings.Cut(a, "=")
			keys = append(keys, key)
		}
	}
	for _, e := range s.Env {
		if key, _, _ := strings.Cut(e, "="); key != "GODEBUG" {
			keys = append(keys, key)
		}
	}
	return keys
}

// word is what one word stands for.
func (k *Known) word(word string) (Settings, error) {
	for _, n := range k.Named {
		if n.Name == word {
			return Settings{Args: slices.Clone(n.Flags), Doc: n.Doc, Named: true}, nil
		}
	}
	unknown := fmt.Errorf("unknown setting %q: want %s", word, k.list())
	parts := settingWord.FindStringSubmatch(word)
	if parts == nil {
		return Settings{}, unknown
	}
	key, value := parts[1], parts[2]
	for _, e := range environment {
		switch {
		case e.name != key:
		case !e.check(value):
			return Settings{}, fmt.Errorf("%s: want %s", word, e.want)
		default:
			return Settings{Env: []string{word}, Doc: word}, nil
		}
	}
	if !slices.Contains(k.Flags, key) {
		return Settings{}, unknown
	}
	return Settings{Args: []string{"--" + word}, Doc: word}, nil
}

// joinDebug makes one variable of several GODEBUG settings.
func joinDebug(env []string) []string {
	var joined []string
	at := -1
	for _, e := range env {
		value, isDebug := strings.CutPrefix(e, "GODEBUG=")
		switch {
		case isDebug && at >= 0:
			joined[at] += "," + value
			continue
		case isDebug:
			at = len(joined)
		}
		joined = append(joined, e)
	}
	return joined
}

// list says what may stand behind the slash.
func (k *Known) list() string {
	var names []string
	for _, n := range k.Named {
		names = append(names, n.Name)
	}
	for _, f := range k.Flags {
		names = append(names, f+"=…")
	}
	for _, e := range environment {
		names = append(names, e.name+"=…")
	}
	return "some of " + strings.Join(names, ", ") + ", joined by commas"
}
