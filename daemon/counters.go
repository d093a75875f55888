package daemon

import "sync/atomic"

// counters are the daemon's own numbers, beside the stack's.
type counters struct {
	dataSockets    atomic.Uint64 // attached
	tokensExpired  atomic.Uint64
	tokensRejected atomic.Uint64
	refused        atomic.Uint64 // sessions refused for their number
}

// each calls visit for every counter with its name.
func (c *counters) each(visit func(name string, value uint64)) {
	visit("DaemonDataSockets", c.dataSockets.Load())
	visit("DaemonTokensExpired", c.tokensExpired.Load())
	visit("DaemonTokensRejected", c.tokensRejected.Load())
	visit("DaemonSessionsRefused", c.refused.Load())
}
