package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// service is what a child does: it is ready when it has been made, obeys loads, and ends with close.
type service interface {
	run(l *load) (map[string]float64, error)
	close() error
}

// services make the children of each role.
var services = map[string]func(*setup) (service, error){
	rolePeer:   newPeer,
	roleWorker: newWorker,
	roleDaemon: newDaemon,
}

// child is the life of a process that the bench process has started: it obeys until its standard input ends.
func child(role string) error {
	start, ok := services[role]
	if !ok {
		return fmt.Errorf("unknown role %q", role)
	}
	orders, reports := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	var first order
	if err := orders.Decode(&first); err != nil || first.Setup == nil {
		return errors.Join(errors.New("no set-up"), err)
	}
	stopProfile, err := profile(first.Setup.Profile)
	if err != nil {
		return err
	}
	s, err := start(first.Setup)
	if err := reports.Encode(reportOf(nil, err)); err != nil {
		return err
	}
	if err != nil {
		return nil // it has been told
	}
	for {
		var o order
		if err := orders.Decode(&o); errors.Is(err, io.EOF) {
			return errors.Join(s.close(), stopProfile())
		} else if err != nil {
			return err
		}
		if err := reports.Encode(reportOf(s.run(o.Load))); err != nil {
			return err
		}
	}
}

func reportOf(figures map[string]float64, err error) report {
	if err != nil {
		return report{Error: err.Error()}
	}
	return report{Figures: figures}
}

// profile writes a CPU profile to path until the function that it returns is called.
func profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// process is a child as the bench process sees it.
type process struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	orders  *json.Encoder
	reports *json.Decoder
}

// start runs a child in a network namespace of its own or in ours. It is not set up yet.
func start(ctx context.Context, name, role string, namespaces uintptr) (*process, error) {
	cmd := again(ctx, role, namespaces)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &process{
		name: name, cmd: cmd, stdin: stdin,
		orders: json.NewEncoder(stdin), reports: json.NewDecoder(bufio.NewReader(stdout)),
	}, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// patience is how long a child may take for an order beyond what the order asks for: 64 connects that all lose their SYN
// once fit in.
const patience = 20 * time.Second

// do has the child obey an order and returns its figures.
func (p *process) do(o order) (map[string]float64, error) {
	limit := patience
	if o.Load != nil {
		limit += maxStandstills * o.Load.Duration
	}
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = p.cmd.Process.Signal(unix.SIGQUIT) // it tells where it hangs, and ends
	})
	defer timer.Stop()
	if err := p.orders.Encode(o); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	var r report
	if err := p.reports.Decode(&r); late.Load() {
		return nil, fmt.Errorf("%s did not answer within %v", p.name, limit)
	} else if err != nil {
		return nil, fmt.Errorf("%s ended: %w", p.name, err)
	}
	if r.Error != "" {
		return nil, fmt.Errorf("%s: %s", p.name, r.Error)
	}
	return r.Figures, nil
}

// stop ends the child and waits for it.
func (p *process) stop() error {
	err := errors.Join(p.stdin.Close(), p.cmd.Wait())
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}
