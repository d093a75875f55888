// Package gvisor runs gVisor's netstack as a subject of test/differential. It is a module of its own, so that gVisor stays
// out of the project's.
package gvisor
