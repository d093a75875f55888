package netns

import (
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do runs f in the network of the namespace, on a thread of its own that ends with f. Sockets and devices that f opens
// belong to the namespace for good; goroutines that f starts run outside.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked: a thread in another namespace must not serve other goroutines.
		runtime.LockOSThread()
		done <- n.doHere(f)
	}()
	return <-done
}

func (n *Namespace) doHere(f func() error) error {
	ns, err := os.Open(n.Path())
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter %s: %w", n.Path(), err)
	}
	return f()
}

// Path returns the network namespace's name in the file system, good for setns while the test lives.
func (n *Namespace) Path() string { return fmt.Sprintf("/proc/%d/ns/net", n.holder) }

// Listen opens a listener of the kernel's TCP in the namespace.
func (n *Namespace) Listen(address string) (net.Listener, error) {
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	return l, err
}

// Dial connects with the kernel's TCP from the namespace. The address is numeric: names would be resolved outside.
func (n *Namespace) Dial(address string) (net.Conn, error) {
	var c net.Conn
	err := n.Do(func() (err error) {
		c, err = net.Dial("tcp", address)
		return err
	})
	return c, err
}
