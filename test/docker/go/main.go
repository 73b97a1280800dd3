// Command judge reads files for Docker with the code that Docker itself reads them with: Compose's loader, which
// checks against the schema of the Compose Specification, and BuildKit's parser of Dockerfiles.
//
// Usage: judge compose FILE | judge dockerfile FILE
// It prints what it read as JSON, or says what is wrong and exits 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

type stage struct {
	Name     string   `json:"name"`
	Base     string   `json:"base"`
	Commands []string `json:"commands"`
}

func main() {
	if len(os.Args) != 3 {
		fail(errors.New("usage: judge compose|dockerfile FILE"))
	}
	judges := map[string]func(string) ([]byte, error){"compose": compose, "dockerfile": dockerfile}
	judge := judges[os.Args[1]]
	if judge == nil {
		fail(fmt.Errorf("there is no judge of %q", os.Args[1]))
	}
	out, err := judge(os.Args[2])
	if err != nil {
		fail(err)
	}
	fmt.Printf("%s\n", out)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// compose does what "docker compose config" does: schema, interpolation, merging, normalisation, consistency.
// Every profile is on, so that no service goes unread.
func compose(file string) ([]byte, error) {
	options, err := cli.NewProjectOptions(
		[]string{file},
		cli.WithWorkingDirectory(filepath.Dir(file)),
		cli.WithProfiles([]string{"*"}),
	)
	if err != nil {
		return nil, err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return nil, err
	}
	return project.MarshalJSON()
}

func dockerfile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tree, err := parser.Parse(f)
	if err != nil {
		return nil, err
	}
	if len(tree.Warnings) > 0 {
		return nil, errors.New(tree.Warnings[0].Short)
	}
	var warnings []error
	lint := linter.New(&linter.Config{
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			warnings = append(warnings, fmt.Errorf("%s: %s", rule, message))
		},
	})
	stages, _, err := instructions.Parse(tree.AST, lint)
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, errors.Join(warnings...)
	}
	out := make([]stage, len(stages))
	for i, s := range stages {
		out[i] = stage{Name: s.Name, Base: s.BaseName}
		for _, command := range s.Commands {
			out[i].Commands = append(out[i].Commands, fmt.Sprint(command))
		}
	}
	return json.Marshal(out)
}
