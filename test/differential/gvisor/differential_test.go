package gvisor

import (
	"testing"

	"github.com/MUCZ/Starfish/test/differential"
)

// The engine against gVisor's netstack.
func TestNetstack(t *testing.T) {
	differential.NewSuite(&Netstack{}).Run(t)
}
