//go:build race

package zbuf

const (
	discardWorks = false
	raceBuild    = true
)
