package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/clients"
	"github.com/millrace/millrace/clients/capacity"
	"github.com/millrace/millrace/internal/golden"
	"github.com/millrace/millrace/scenarios"
)

// TestGeneratedDocs holds the generated pages against the code they are made from: `go test ./cmd/millrace -run Docs -update`.
func TestGeneratedDocs(t *testing.T) {
	golden.Equal(t, "../../../docs/SCENARIOS.md", scenariosPage(t))
	golden.Equal(t, "../../../docs/CLI.md", commandsPage())
	golden.Equal(t, "../../../docs/load.schema.json", schemaFile(t, reflect.TypeFor[clients.Report](), fmt.Sprint("millrace load, schema ", clients.Schema)))
	golden.Equal(t, "../../../docs/capacity.schema.json", schemaFile(t, reflect.TypeFor[capacity.Record](), fmt.Sprint("millrace load --find and --sweep, schema ", capacity.Schema)))
}

func scenariosPage(t *testing.T) []byte {
	var b bytes.Buffer
	b.WriteString("# Scenarios\n\nMade from scenarios/*.yaml by a test. Change a field with `--set PATH=VALUE`, or write a file of your own and run\n`bin/millrace run own.yaml`.\n")
	for _, name := range scenarios.Names {
		s, err := scenarios.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile("../../scenarios/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```yaml\n%s```\n", name, strings.TrimSpace(s.Why), data)
	}
	return b.Bytes()
}

func commandsPage() []byte {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nMade from the program's own help by a test.\n")
	for _, c := range command(io.Discard, io.Discard).Commands() {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			continue
		}
		long := c.Long
		if long == "" {
			long = c.Short + "."
		}
		fmt.Fprintf(&b, "\n## millrace %s\n\n%s\n\n```\n%s```\n", c.Name(), long, c.UsageString())
	}
	return b.Bytes()
}

// schemaFile is the JSON schema of what `millrace load --json` writes, made from the Go type.
func schemaFile(t *testing.T, typ reflect.Type, title string) []byte {
	schema := schemaOf(typ)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = title
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func schemaOf(typ reflect.Type) map[string]any {
	switch typ.Kind() {
	case reflect.Pointer:
		s := schemaOf(typ.Elem())
		s["type"] = []any{s["type"], "null"}
		return s
	case reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for i := range typ.NumField() {
			if typ.Field(i).Anonymous { // its fields stand among those around it
				inner := schemaOf(typ.Field(i).Type)
				maps.Copy(properties, inner["properties"].(map[string]any))
				required = append(required, inner["required"].([]string)...)
				continue
			}
			name, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			properties[name] = schemaOf(typ.Field(i).Type)
			if options != "omitempty" {
				required = append(required, name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(typ.Elem())}
	case reflect.Slice:
		return map[string]any{"type": []any{"array", "null"}, "items": schemaOf(typ.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "integer"}
}
