package client

import "sync"

// sharedClients holds one client for each socket that this process uses without a Client of its own. They live as long
// as the process: a session is cheap, and ending it would abort what the daemon still finishes for it.
var sharedClients = struct {
	sync.Mutex
	bySocket map[string]*Client
}{bySocket: make(map[string]*Client)}

// sharedClient returns the process's client of the socket.
func sharedClient(socket string) (*Client, error) {
	socket = SocketPath(socket)
	sharedClients.Lock()
	defer sharedClients.Unlock()
	if c := sharedClients.bySocket[socket]; c != nil {
		return c, nil
	}
	c, err := New(socket)
	if err != nil {
		return nil, err
	}
	sharedClients.bySocket[socket] = c
	return c, nil
}

// orShared returns c, or the process's client of the socket if c is nil.
func (c *Client) orShared(socket string) (*Client, error) {
	if c != nil {
		return c, nil
	}
	return sharedClient(socket)
}
