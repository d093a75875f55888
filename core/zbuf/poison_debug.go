//go:build zbufdebug

package zbuf

func init() { poisonOn.Store(true) }
