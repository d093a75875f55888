package client

// Transport is the way that the bytes of a connection take between this process and the daemon.
type Transport int

const (
	// Auto is DataSocket, and GRPCStream where the data socket can't be reached.
	Auto Transport = iota
	// DataSocket is a unix stream socket for each connection: the fast way.
	DataSocket
	// GRPCStream is a Stream RPC for each connection, on the control socket.
	GRPCStream
)

// String returns the name of the way, as starfishctl takes it.
func (t Transport) String() string {
	switch t {
	case DataSocket:
		return "data-socket"
	case GRPCStream:
		return "grpc"
	default:
		return "auto"
	}
}
