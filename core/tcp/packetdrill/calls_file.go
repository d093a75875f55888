package packetdrill

// callOpen is open of a file to send: its bytes are as good as any.
func (r *runner) callOpen(c *Call) (begun, error) {
	if len(c.Args) < 2 || c.Args[1].Text != "O_RDONLY" {
		return begun{}, failf(Unsupported, 0, "files that are written: there are none")
	}
	return atOnce(func() (int64, error) {
		fd, err := eval(&c.Result)
		if err == nil {
			r.files[fd] = true
		}
		return fd, err
	})
}

// callSendfile is sendfile(socket, file, [offset], count).
func (r *runner) callSendfile(c *Call) (begun, error) {
	file, err := c.number(1)
	if err != nil {
		return begun{}, err
	}
	n, err := c.number(3)
	if err != nil {
		return begun{}, err
	}
	if !r.files[file] {
		return begun{}, errno("EBADF")
	}
	return r.beginSend(c, n, 0)
}
