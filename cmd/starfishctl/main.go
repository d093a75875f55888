// Starfishctl is the command line of Starfish: netcat, ss and the like over connections of starfishd.
package main

import (
	"os"

	"github.com/MUCZ/Starfish/internal/ctl"
)

func main() { os.Exit(ctl.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
