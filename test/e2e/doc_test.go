// Package e2e proves the daemon, the client and starfishctl against programs and kernels that are not ours, over real
// TUN devices in network namespaces of their own.
//
// The tests run in full with -e2e.long; without it, the heavy ones run a smaller version.
package e2e
