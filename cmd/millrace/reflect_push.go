package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/clients/reflect"
	"github.com/millrace/millrace/scenarios"
)

// pushUsage checks the flags of a push reflector.
func pushUsage(s *reflect.PushScript, rate string, processes, threads int) error {
	r, err := scenarios.ParseRate(rate)
	switch {
	case err != nil:
		return fmt.Errorf("--rate: %w", err)
	case processes != 1 || threads != 1:
		return fmt.Errorf("--processes %d and --threads %d with --protocol push: want 1 of each", processes, threads)
	}
	s.Rate = float64(r)
	return s.Validate()
}

// pushHere is the push reflector of this process. Its clock is this host's, so that loads on the same host can time what it
// sends.
func pushHere(cmd *cobra.Command, s reflect.PushScript) error {
	p, err := reflect.StartPush(s)
	if err != nil {
		return err
	}
	line := fmt.Sprintf("{\"schema\":1,\"ready\":true,\"addr\":%s,\"pid\":%d}\n", strconv.Quote(p.Addr()), os.Getpid())
	if _, err := io.WriteString(cmd.OutOrStdout(), line); err != nil {
		_ = p.Close() // the first error counts
		return fmt.Errorf("printing the ready line: %w", err)
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	go func() {
		// An error of reading is an end too.
		_, _ = io.Copy(io.Discard, cmd.InOrStdin())
		cancel()
	}()
	<-ctx.Done()
	return p.Close()
}
