package main

import (
	"errors"
	"fmt"
	"os"
)

// roleVariable names the environment variable that tells a process of this program what it is. Without it, it is the one
// that a person started.
const roleVariable = "STARFISH_BENCH_ROLE"

func main() {
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		err = enter()
	case roleBench:
		err = obey(os.Args[1:])
	default:
		err = child(role)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, errTold) {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
	}
	os.Exit(1)
}
