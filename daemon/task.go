package daemon

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// task is one of the things that a daemon does all the time.
type task struct {
	name string
	// run works until the context ends, or something breaks. It calls ready once it can serve.
	run func(ctx context.Context, ready func()) error
}

// runTasks runs all tasks until one fails or the context ends, and calls allReady when every one is ready.
func runTasks(ctx context.Context, tasks []task, allReady func()) error {
	group, ctx := errgroup.WithContext(ctx)
	readiness := make(chan struct{}, len(tasks))
	for _, t := range tasks {
		group.Go(func() error {
			if err := t.run(ctx, func() { readiness <- struct{}{} }); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		for range tasks {
			select {
			case <-readiness:
			case <-ctx.Done():
				return nil
			}
		}
		allReady()
		return nil
	})
	return group.Wait()
}
