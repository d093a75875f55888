package tcp

// prrState is proportional rate reduction (RFC 9937 §6): during fast recovery the amount that may be sent follows what
// is delivered, so that the window comes down to ssthresh over one round trip, without a pause and without a burst.
type prrState struct {
	recoverFS int // RecoverFS: what was in flight when recovery began
	delivered int // prr_delivered
	out       int // prr_out
	window    int // what may be in flight now
}

// begin starts an episode with flight bytes in flight.
func (p *prrState) begin(flight, mss int) { *p = prrState{recoverFS: max(flight, mss), window: 0} }

// sent counts what was transmitted during recovery.
func (p *prrState) sent(n int) { p.out += n }

// onAck sets the window after an ACK that delivered n bytes. safe says that the ACK advanced SND.UNA and that nothing more
// was found lost (SafeACK); partial that without SACK it showed the next loss, which is sent again at once (RFC 6582 §3.2
// step 3).
func (p *prrState) onAck(n, pipe, ssthresh, mss int, safe, partial bool) {
	p.delivered += n
	var count int
	if pipe > ssthresh {
		// "Proportional Rate Reduction: sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out"
		count = (p.delivered*ssthresh+p.recoverFS-1)/p.recoverFS - p.out
	} else {
		// PRR-SSRB: "if (SafeACK) … slow start", else packet conservation.
		count = max(p.delivered-p.out, n)
		if safe {
			count += mss
		}
		count = min(count, ssthresh-pipe)
	}
	if p.out == 0 || partial {
		count = max(count, mss) // "Force a fast retransmit upon entering recovery"
	}
	p.window = pipe + max(count, 0)
}
