// Package differential gives the same sequences of segments and calls to several implementations of TCP and compares
// what they answer and the states they come to. A sequence is a script of steps; generated ones are guided by coverage of
// pairs of state transitions. Every difference is a bug, or stands in the list of leeways with the section that allows
// it. docs/differential.md says how to run it, and what it found.
package differential
