//go:build !race

package zbuf

const (
	discardWorks = true
	raceBuild    = false
)
