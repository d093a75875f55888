// Package sim is a network in which time is a number. Hosts are tcp.Stacks, each with a pool of its own; links between
// them lose, duplicate, reorder, delay, corrupt and cut packets as a seed says. A Network goes from event to event and
// never sleeps, so that hours of traffic over a bad link run in milliseconds, and it takes every decision from seeded
// generators, so that a seed names one run down to the last bit.
//
// On top of it, Run plays the scenario of a seed: connections with random options, users and links, under checks that
// hold after every step (see invariants.go and watch.go), until both stacks are empty again. Paths change, windows shrink,
// readers stall, clocks jump and hosts restart meanwhile (see trouble.go); trouble_test.go lists what seeds draw.
//
//	go test ./core/sim -sim.seeds=1000000      // more seeds
//	go test ./core/sim -sim.seed=4711 -v       // one seed, with its trace
package sim
