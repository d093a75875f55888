// Package archtest holds the shape of the system that docs/ARCHITECTURE.md describes: which package may import which,
// what the engine does without, and how long functions and files may grow. It has tests only.
package archtest
