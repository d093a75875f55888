package client

import (
	"net"
	"testing"

	"golang.org/x/net/nettest"
)

func TestConn(t *testing.T) {
	forEach(t, func(t *testing.T, peer testPeer, way Transport) {
		c := peer.open(t)
		l := peer.listen(t, c, way)
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			dialled, taken, err := connect(c, l, way)
			if err != nil {
				return nil, nil, nil, err
			}
			return dialled, taken, func() {
				_ = dialled.Close()
				_ = taken.Close()
			}, nil
		})
	})
}
