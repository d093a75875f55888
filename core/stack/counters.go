package stack

// counters are what one shard has done. Its goroutine owns them.
type counters struct {
	turns, waits                     uint64 // of the loop
	packetsIn, bytesIn               uint64 // from the device; a super-segment is one packet
	packetsOut, bytesOut             uint64 // to the device
	packetsInternal, bytesInternal   uint64
	handedOver                       uint64 // packets that came to another queue than their shard's
	deviceFull, inboxFull, noBuffers uint64 // times that something had to wait
	echoReplies                      uint64
	fragmentsIn, reassembled         uint64

	dropMalformed uint64 // not an IP packet
	dropProtocol  uint64 // neither TCP nor ICMP
	dropFragment  uint64 // fragments refused, and packets that never became whole
	dropICMP      uint64 // not for us, or too many echo requests
	dropNoBuffers uint64 // the pool was exhausted, or nearly so
	dropNoDevice  uint64 // to the outside world, and there is no way
	dropDevice    uint64 // the device refused it
}

// each calls visit with the name and value of each counter.
func (c *counters) each(visit func(name string, value uint64)) {
	visit("ShellTurns", c.turns)
	visit("ShellWaits", c.waits)
	visit("DevicePacketsIn", c.packetsIn)
	visit("DeviceBytesIn", c.bytesIn)
	visit("DevicePacketsOut", c.packetsOut)
	visit("DeviceBytesOut", c.bytesOut)
	visit("DeviceFull", c.deviceFull)
	visit("DeviceNoBuffers", c.noBuffers)
	visit("InternalPackets", c.packetsInternal)
	visit("InternalBytes", c.bytesInternal)
	visit("InternalFull", c.inboxFull)
	visit("ShardHandedOver", c.handedOver)
	visit("EchoReplies", c.echoReplies)
	visit("FragmentsIn", c.fragmentsIn)
	visit("FragmentsReassembled", c.reassembled)
	visit("Drop:DeviceMalformed", c.dropMalformed)
	visit("Drop:DeviceProtocol", c.dropProtocol)
	visit("Drop:ICMPNotAnswered", c.dropICMP)
	visit("Drop:Reassembly", c.dropFragment)
	visit("Drop:NoBuffers", c.dropNoBuffers)
	visit("Drop:NoDevice", c.dropNoDevice)
	visit("Drop:DeviceRefused", c.dropDevice)
}
