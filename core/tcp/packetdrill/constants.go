package packetdrill

import "strings"

// constants are the system's names for numbers, with the values of Linux on amd64.
var constants = map[string]int64{
	"AF_INET": 2, "PF_INET": 2, "AF_INET6": 10, "PF_INET6": 10, "SOCK_STREAM": 1, "SOCK_NONBLOCK": 0x800, "SOCK_CLOEXEC": 0x80000,
	"IPPROTO_IP": 0, "IPPROTO_TCP": 6, "IPPROTO_IPV6": 41, "SOL_SOCKET": 1, "SOL_IP": 0, "SOL_TCP": 6, "SOL_IPV6": 41,
	"SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2,
	"F_GETFL": 3, "F_SETFL": 4, "F_GETFD": 1, "F_SETFD": 2, "FD_CLOEXEC": 1, "O_RDWR": 2, "O_NONBLOCK": 0x800,
	"MSG_OOB": 1, "MSG_PEEK": 2, "MSG_DONTWAIT": 0x40, "MSG_EOR": 0x80, "MSG_WAITALL": 0x100, "MSG_NOSIGNAL": 0x4000,
	"MSG_MORE": 0x8000, "MSG_ZEROCOPY": 0x4000000, "MSG_FASTOPEN": 0x20000000, "MSG_TRUNC": 0x20, "MSG_ERRQUEUE": 0x2000,
	"SO_REUSEADDR": 2, "SO_ERROR": 4, "SO_SNDBUF": 7, "SO_RCVBUF": 8, "SO_KEEPALIVE": 9, "SO_PRIORITY": 12, "SO_LINGER": 13,
	"SO_REUSEPORT": 15, "SO_RCVLOWAT": 18, "SO_RCVTIMEO": 20, "SO_SNDTIMEO": 21, "SO_SNDBUFFORCE": 32, "SO_RCVBUFFORCE": 33,
	"TCP_NODELAY": 1, "TCP_MAXSEG": 2, "TCP_CORK": 3, "TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6, "TCP_SYNCNT": 7,
	"TCP_LINGER2": 8, "TCP_DEFER_ACCEPT": 9, "TCP_WINDOW_CLAMP": 10, "TCP_INFO": 11, "TCP_QUICKACK": 12, "TCP_CONGESTION": 13,
	"TCP_USER_TIMEOUT": 18, "TCP_FASTOPEN": 23, "TCP_TIMESTAMP": 24, "TCP_NOTSENT_LOWAT": 25, "TCP_FASTOPEN_CONNECT": 30,
	"TCP_INQ": 36, "TCP_CM_INQ": 36, "TCP_TX_DELAY": 37,
	"IP_TOS": 1, "IP_TTL": 2, "IP_MTU_DISCOVER": 10, "IP_RECVERR": 11, "IP_MTU": 14, "IP_PMTUDISC_DONT": 0,
	"IP_PMTUDISC_WANT": 1, "IP_PMTUDISC_DO": 2, "IP_PMTUDISC_PROBE": 3, "IPV6_UNICAST_HOPS": 16, "IPV6_TCLASS": 67, "IPV6_V6ONLY": 26,
	"POLLIN": 1, "POLLPRI": 2, "POLLOUT": 4, "POLLERR": 8, "POLLHUP": 0x10, "POLLNVAL": 0x20, "POLLRDNORM": 0x40,
	"POLLRDBAND": 0x80, "POLLWRNORM": 0x100, "POLLWRBAND": 0x200, "POLLRDHUP": 0x2000,
	"FIONREAD": 0x541b, "SIOCINQ": 0x541b, "SIOCOUTQ": 0x5411, "SIOCOUTQNSD": 0x894b, "FIONBIO": 0x5421,
	"TCP_ESTABLISHED": 1, "TCP_SYN_SENT": 2, "TCP_SYN_RECV": 3, "TCP_FIN_WAIT1": 4, "TCP_FIN_WAIT2": 5, "TCP_TIME_WAIT": 6,
	"TCP_CLOSE": 7, "TCP_CLOSE_WAIT": 8, "TCP_LAST_ACK": 9, "TCP_LISTEN": 10, "TCP_CLOSING": 11,
	"TCP_CA_Open": 0, "TCP_CA_Disorder": 1, "TCP_CA_CWR": 2, "TCP_CA_Recovery": 3, "TCP_CA_Loss": 4,
	"TCPI_OPT_TIMESTAMPS": 1, "TCPI_OPT_SACK": 2, "TCPI_OPT_WSCALE": 4, "TCPI_OPT_ECN": 8, "TCPI_OPT_ECN_SEEN": 16,
	"TCPI_OPT_SYN_DATA": 32, "TCP_INFINITE_SSTHRESH": infiniteSsthresh, "INADDR_ANY": 0, "INT_MAX": 1<<31 - 1,
	"EPOLLIN": 1, "EPOLLPRI": 2, "EPOLLOUT": 4, "EPOLLERR": 8, "EPOLLHUP": 0x10, "EPOLLRDNORM": 0x40, "EPOLLWRNORM": 0x100,
	"EPOLLRDHUP": 0x2000, "EPOLLEXCLUSIVE": 1 << 28, "EPOLLONESHOT": 1 << 30, "EPOLLET": 1 << 31,
	"EPOLL_CTL_ADD": 1, "EPOLL_CTL_DEL": 2, "EPOLL_CTL_MOD": 3, "EPOLL_CLOEXEC": 0x80000,
	"TCPI_CLOSED": 7, "TCPI_LISTEN": 10, "TCPI_SYN_SENT": 2, "TCPI_SYN_RECEIVED": 3, "TCPI_SYN_RCVD": 3, "TCPI_ESTABLISHED": 1,
	"TCPI_CLOSE_WAIT": 8, "TCPI_FIN_WAIT_1": 4, "TCPI_CLOSING": 11, "TCPI_LAST_ACK": 9, "TCPI_FIN_WAIT_2": 5, "TCPI_TIME_WAIT": 6,
	"IPTOS_LOWDELAY": 0x10, "IPTOS_THROUGHPUT": 8, "IPTOS_RELIABILITY": 4, "IPTOS_DSCP_CS0": 0, "IPTOS_DSCP_CS1": 0x20,
	"IPTOS_DSCP_CS2": 0x40, "IPTOS_DSCP_CS3": 0x60, "IPTOS_DSCP_CS4": 0x80, "IPTOS_DSCP_CS5": 0xa0, "IPTOS_DSCP_CS6": 0xc0,
	"IPTOS_DSCP_CS7": 0xe0, "IPTOS_DSCP_EF": 0xb8, "IPTOS_DSCP_AF11": 0x28, "IPTOS_DSCP_AF12": 0x30, "IPTOS_DSCP_AF13": 0x38,
	"IPTOS_DSCP_AF21": 0x48, "IPTOS_DSCP_AF22": 0x50, "IPTOS_DSCP_AF23": 0x58, "IPTOS_DSCP_AF31": 0x68, "IPTOS_DSCP_AF32": 0x70,
	"IPTOS_DSCP_AF33": 0x78, "IPTOS_DSCP_AF41": 0x88, "IPTOS_DSCP_AF42": 0x90, "IPTOS_DSCP_AF43": 0x98,
	"AF_UNSPEC": 0, "AF_UNIX": 1, "AF_LOCAL": 1, "SOCK_DGRAM": 2, "SOCK_SEQPACKET": 5, "SOCK_RAW": 3, "IPPROTO_UDP": 17, "IPPROTO_SCTP": 132,
	"IPPROTO_MPTCP": 262, "IPPROTO_UDPLITE": 136, "O_RDONLY": 0, "O_WRONLY": 1, "NULL": 0,
	"ENOMSG": 42, "SO_EE_ORIGIN_NONE": 0, "SO_EE_ORIGIN_LOCAL": 1, "SO_EE_ORIGIN_ICMP": 2, "SO_EE_ORIGIN_ICMP6": 3,
	"SO_EE_ORIGIN_TXSTATUS": 4, "SO_EE_ORIGIN_TIMESTAMPING": 4, "SO_EE_ORIGIN_ZEROCOPY": 5, "SO_EE_CODE_ZEROCOPY_COPIED": 1,
	"SCM_TSTAMP_SND": 0, "SCM_TSTAMP_SCHED": 1, "SCM_TSTAMP_ACK": 2,
	"SOF_TIMESTAMPING_TX_HARDWARE": 1, "SOF_TIMESTAMPING_TX_SOFTWARE": 2, "SOF_TIMESTAMPING_RX_HARDWARE": 4,
	"SOF_TIMESTAMPING_RX_SOFTWARE": 8, "SOF_TIMESTAMPING_SOFTWARE": 0x10, "SOF_TIMESTAMPING_SYS_HARDWARE": 0x20,
	"SOF_TIMESTAMPING_RAW_HARDWARE": 0x40, "SOF_TIMESTAMPING_OPT_ID": 0x80, "SOF_TIMESTAMPING_TX_SCHED": 0x100,
	"SOF_TIMESTAMPING_TX_ACK": 0x200, "SOF_TIMESTAMPING_OPT_CMSG": 0x400, "SOF_TIMESTAMPING_OPT_TSONLY": 0x800,
	"SOF_TIMESTAMPING_OPT_STATS": 0x1000, "SO_TIMESTAMPING": 37, "SO_ZEROCOPY": 60, "SO_MARK": 36, "MSG_CTRUNC": 8,
	"TCP_NOPUSH": 3, "SIOCATMARK": 0x8905, "IPPROTO_ICMP": 1, "SO_BROADCAST": 6, "true": 1, "false": 0, "True": 1, "False": 0,
}

// infiniteSsthresh is how Linux reports a slow start threshold that was never set.
const infiniteSsthresh = 0x7fffffff

// eval returns the number that e stands for.
func eval(e *Expr) (int64, error) {
	switch e.Kind {
	case ExprInt:
		return e.Int, nil
	case ExprName:
		if n, ok := constants[e.Text]; ok {
			return n, nil
		}
		return 0, failf(Unsupported, 0, "constant %s", e.Text)
	case ExprCall:
		if len(e.Args) == 1 && strings.Contains("htons ntohs htonl ntohl", e.Text) {
			return eval(&e.Args[0])
		}
		return 0, failf(Unsupported, 0, "%s() in an expression", e.Text)
	case ExprOp:
		return evalOp(e)
	case ExprList:
		if len(e.Args) == 1 {
			return eval(&e.Args[0])
		}
	case ExprEllipsis, ExprString, ExprStruct:
	}
	return 0, failf(ParseError, 0, "want a number")
}

func evalOp(e *Expr) (int64, error) {
	a, err := eval(&e.Args[0])
	if err != nil {
		return 0, err
	}
	b, err := eval(&e.Args[1])
	if err != nil {
		return 0, err
	}
	switch e.Text {
	case "|":
		return a | b, nil
	case "&":
		return a & b, nil
	case "+":
		return a + b, nil
	case "-":
		return a - b, nil
	case "*":
		return a * b, nil
	default:
		if b < 0 || b > 62 {
			return 0, failf(ParseError, 0, "shift by %d", b)
		}
		return a << b, nil
	}
}
