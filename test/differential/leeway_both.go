package differential

// both is the subject of leeways that the kernel and gVisor take alike.
const both = "kernel gvisor"

var sharedLeeways = []Leeway{
	{
		Subject: both, Pattern: pattern(`FIN-WAIT-[12]`, `FIN.*|data.*`, `{ack} → FIN-WAIT-[12]`, `({rst}|{rstack}) → (CLOSED|LISTEN)`),
		Section: "RFC 9293 §3.6.1",
		Why:     "data after CLOSE should be answered with an RST; others do so when a FIN shows that data are missing, the engine when they come",
		Script:  "connect; < SYN-ACK; close; < FIN ahead",
	},
	{
		Subject: both, Pattern: pattern(`SYN-RECEIVED`, `SYN in window|SYN-ACK in window|SYN beyond`, `{ack} → SYN-RECEIVED`, `({rst}|{rstack})(; S 0 .*)? → (LISTEN|SYN-RECEIVED)`),
		Section: "RFC 5961 §4.2",
		Why:     "RFC 9293 §3.10.7.4 returns to LISTEN, as others do after an RST; the engine challenges, as in the synchronized states, so that a blind SYN ends no handshake",
		Script:  "listen; < SYN; < SYN in window",
	},
	{
		Subject: both, Pattern: pattern(`SYN-RECEIVED`, `SYN-ACK of the (future|past)`, `{ack} → SYN-RECEIVED`, `{rst}( <ts>)? → SYN-RECEIVED`),
		Section: "RFC 9293 §3.10.7.4, §3.5.2",
		Why:     "the sequence number is checked first, and an unacceptable segment acknowledged; others look at the acknowledgment first, as group 2 of §3.5.2 reads",
		GoOn:    true,
		Script:  "listen; < SYN; < SYN-ACK of the future",
	},
	{
		Subject: both, Pattern: pattern(`TIME-WAIT`, `{any}`, `- → TIME-WAIT`, `{ack} → TIME-WAIT`),
		Section: "RFC 9293 §3.10.7.4",
		Why:     "an acceptable segment without a FIN asks for no answer in TIME-WAIT; others acknowledge what is not at RCV.NXT",
		GoOn:    true,
		Script:  "connect; < SYN-ACK; close; < FIN; < data; < ACK",
	},
	{
		Subject: both, Pattern: callPattern(`SYN-SENT|SYN-RECEIVED`, `send \d+|receive`, `error → {state}`, `EAGAIN → {state}`),
		Section: "RFC 9293 §3.10.2, §3.10.3",
		Why:     "a call before ESTABLISHED may queue; the engine refuses it, others would wait",
		GoOn:    true,
		Script:  "connect; receive",
	},
	{
		Subject: both, Pattern: callPattern(`SYN-SENT|SYN-RECEIVED`, `shutdown write|shutdown read`, `(error|ok) → {state}`, `(error|ok) → {state}`),
		Section: "RFC 9293 §3.10.4",
		Why:     "shutdown is POSIX's, not TCP's: the engine refuses to half-close what is not open, others end it",
		Script:  "connect; shutdown write",
	},
	{
		Subject: both, Pattern: callPattern(`{state}`, `shutdown write|shutdown read`, `ok → {state}`, `error → {state}`),
		Section: "RFC 9293 §3.10.4",
		Why:     "the second shutdown of a direction is no error of the engine; POSIX has others say ENOTCONN",
		GoOn:    true,
		Script:  "connect; < SYN-ACK; shutdown write; < FIN; shutdown write",
	},
	{
		Subject: both, Pattern: callPattern(`{state}`, `receive`, `EOF → {state}`, `\d+ → {state}`),
		Section: "RFC 9293 §3.10.3",
		Why:     "after shutdown of reading the engine discards what comes; others' users may still read it",
		Script:  "connect; < SYN-ACK; shutdown read; < data; receive",
	},
}
