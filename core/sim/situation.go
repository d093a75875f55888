package sim

import (
	"fmt"
	"strings"

	"github.com/MUCZ/Starfish/core/tcp"
)

// situation says where every user stands, for errors.
func (r *run) situation() string {
	var b strings.Builder
	for i, pair := range r.users {
		for side, u := range pair {
			name := r.hosts[side].Name
			if u == nil {
				fmt.Fprintf(&b, "\n  %s.%d: has no connection yet", name, i)
				continue
			}
			fmt.Fprintf(&b, "\n  %v: sent %d of %d, received %d, end seen %t, end sent %t, released %t, reason %v", u, u.sent,
				u.plan.total, u.received, u.gotEOF, u.finSent, u.released, u.err)
			var st tcp.Status
			if u.stack().Status(u.id, &st) == nil {
				fmt.Fprintf(&b, "; %v, queues %d (%d unsent) and %d, windows %d and %d, in flight %d, cwnd %d, RTO %v", st.State,
					st.SendQueue, st.NotSent, st.RecvQueue, st.SendWindow, st.RecvWindow, st.InFlight, st.CongestionWindow, st.RTO)
			}
		}
	}
	return b.String()
}
