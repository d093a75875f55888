package client

import (
	"os"
	"testing"

	"github.com/MUCZ/Starfish/internal/daemontest"
)

func TestMain(m *testing.M) { os.Exit(daemontest.Main(m)) }

// startReal runs starfishd on its in-memory link, as a program: this package must not import it.
func startReal(t testing.TB) testPeer {
	t.Helper()
	return testPeer{daemontest.Start(t), daemontest.Host}
}
