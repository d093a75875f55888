package packetdrill

// controlType names an entry of ancillary data: {cmsg_level=…, cmsg_type=NAME, cmsg_data=…}.
func controlType(e *Expr) string {
	kind, _ := e.field("cmsg_type")
	return kind.Text
}

// receivedControl are the numbers of unread bytes that the script wants beside a message (TCP_INQ): nil when it says
// nothing, and empty when there has to be none.
func (c *Call) receivedControl() ([]int64, error) {
	control, ok := c.Args[1].field("msg_control")
	if !ok || control.Kind == ExprEllipsis {
		return nil, nil
	}
	want := []int64{}
	for i := range control.Args {
		if name := controlType(&control.Args[i]); name != "TCP_CM_INQ" && name != "TCP_INQ" {
			return nil, failf(Unsupported, 0, "ancillary data %s: the engine has none", name)
		}
		data, _ := control.Args[i].field("cmsg_data")
		n, err := eval(&data)
		if err != nil {
			return nil, err
		}
		want = append(want, n)
	}
	return want, nil
}

// compareControl compares ancillary data, after the message was read.
func (r *runner) compareControl(s *socket, want []int64) error {
	if want == nil {
		return nil
	}
	got := []int64{}
	if s.inq {
		got = append(got, r.unread(s))
	}
	if len(got) != len(want) || len(got) == 1 && got[0] != want[0] {
		return failf(WrongResult, 0, "beside the message are bytes left to read %v, want %v", got, want)
	}
	return nil
}

// unread is what SIOCINQ and TCP_INQ say: a received FIN counts as a byte while there is no more data, as on Linux.
func (r *runner) unread(s *socket) int64 {
	st := r.status(s)
	n := int64(st.RecvQueue)
	if n == 0 && receivedFin[st.State] {
		n = 1
	}
	return n
}
