package client

import (
	"net"
	"os"
	"syscall"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// Write copies p into the outgoing frame, and waits when that is full until sendLoop has taken it.
func (s *grpcStream) Write(p []byte) (int, error) {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.expired(s.writeDeadline); err != nil {
		return 0, err
	}
	written := 0
	for {
		n, err := s.fill(p[written:])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
		select {
		case <-s.emptied:
		case <-s.closed:
			return written, net.ErrClosed
		case <-s.ended:
			return written, s.writeEnd()
		case <-s.writeDeadline.done():
			return written, os.ErrDeadlineExceeded
		}
	}
}

// fill appends to the outgoing frame what it has room for.
func (s *grpcStream) fill(p []byte) (int, error) {
	if isClosed(s.ended) {
		return 0, s.writeEnd()
	}
	s.outMu.Lock()
	defer s.outMu.Unlock()
	switch {
	case isClosed(s.closed):
		return 0, net.ErrClosed
	case s.finish != goOn:
		return 0, syscall.EPIPE
	case len(p) == 0:
		return 0, nil
	}
	if s.out == nil {
		s.out = frames.Get(frameSize)
	}
	n := min(len(p), frameSize-len(*s.out))
	*s.out = append(*s.out, p[:n]...)
	signal(s.filled)
	return n, nil
}

// take returns the outgoing frame, nil if there is none, and what follows it.
func (s *grpcStream) take() (*[]byte, finish) {
	s.outMu.Lock()
	defer s.outMu.Unlock()
	data := s.out
	s.out = nil
	return data, s.finish
}

// sendLoop sends what Write leaves and, after the last byte, what finish says. It is the only sender, as gRPC wants it;
// an error of gRPC's here is explained by what receiveLoop gets.
func (s *grpcStream) sendLoop() {
	for {
		data, next := s.take()
		if data == nil && next != goOn {
			s.sendFinish(next)
			return
		}
		if data == nil {
			select {
			case <-s.filled:
			case <-s.ended:
				return
			}
			continue
		}
		signal(s.emptied)
		if err := s.rpc.SendMsg(&outgoing{data: data}); err != nil {
			return
		}
	}
}

func (s *grpcStream) sendFinish(f finish) {
	if f == letGo {
		message := &starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Close{Close: &starfishv1.StreamClose{}}}
		if err := s.rpc.SendMsg(&outgoing{message: message}); err != nil {
			return
		}
	}
	_ = s.rpc.CloseSend() // gRPC's documentation: the error is always nil
}
