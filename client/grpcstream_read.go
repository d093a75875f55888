package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
)

// Read takes what has arrived; a message that doesn't fit into p is taken in parts.
func (s *grpcStream) Read(p []byte) (int, error) {
	if err := s.expired(s.readDeadline); err != nil {
		return 0, err
	}
	if isClosed(s.readClosed) {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	s.readMu.Lock()
	defer s.readMu.Unlock()
	for s.rest == nil || s.rest.Remaining() == 0 {
		if err := s.nextMessage(); err != nil {
			return 0, err
		}
	}
	return s.rest.Read(p)
}

func (s *grpcStream) nextMessage() error {
	select {
	case message, ok := <-s.arrived:
		if !ok {
			return s.readEnd
		}
		s.rest = message
		return nil
	case <-s.closed:
		return net.ErrClosed
	case <-s.readClosed:
		return io.EOF
	case <-s.readDeadline.done():
		return os.ErrDeadlineExceeded
	}
}

// receiveLoop takes the RPC's messages until it ends.
func (s *grpcStream) receiveLoop() {
	end := s.receiveData()
	s.readEnd = end
	close(s.arrived)
	if errors.Is(end, io.EOF) {
		// The peer's FIN: sending may go on. The RPC ends when both directions have, or with an error.
		end = s.receive()
	}
	s.endErr = end
	close(s.ended)
	s.cancel()
	s.client.flushEnds(s)
}

// receiveData hands data over until the peer's FIN, io.EOF, or until the RPC ends.
func (s *grpcStream) receiveData() error {
	for {
		var in incoming
		if err := s.rpc.RecvMsg(&in); err != nil {
			return s.rpcEnd(err)
		}
		if in.data == nil {
			if in.message.GetEof() != nil {
				return io.EOF
			}
			s.cancel()
			return errors.New("starfishd broke the protocol: unexpected message in the stream")
		}
		select {
		case s.arrived <- in.data:
			continue
		case <-s.closed:
			s.refuse()
		case <-s.readClosed:
		}
		_ = in.data.Close() // always nil
	}
}

// receive waits for the end of an RPC that has no more data to bring.
func (s *grpcStream) receive() error {
	var in incoming
	if err := s.rpc.RecvMsg(&in); err != nil {
		return s.rpcEnd(err)
	}
	s.cancel()
	return errors.New("starfishd broke the protocol: message after the peer's FIN")
}

// refuse answers data that come after Close as the kernel does, with a reset, if the close message can't do that.
func (s *grpcStream) refuse() {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	if s.finish == halfClose {
		s.cancel()
	}
}

// rpcEnd returns why the RPC ended; io.EOF if it did so in order.
func (s *grpcStream) rpcEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return s.client.failure(context.Background(), err)
}
