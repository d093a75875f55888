package relay

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/core/tcp"
	"github.com/MUCZ/Starfish/core/tun"
)

// read takes a batch of packets from the device, and reports whether there may be more.
func (d *direction) read(now tcp.Time) (more bool, err error) {
	for range batch {
		var p tun.Packet
		err := d.from.Read(&p)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		case errors.Is(err, tun.ErrMalformed):
			continue
		case err != nil:
			return false, fmt.Errorf("relay: read: %w", err)
		}
		d.buf = append(append(d.buf[:0], p.Head.Bytes()...), p.Body.Bytes()...)
		p.Release()
		d.take(now, d.buf)
	}
	return true, nil
}

// take decides what becomes of a packet.
func (d *direction) take(now tcp.Time, data []byte) {
	fate := d.impairment.Judge(now, len(data))
	if fate.Drop != "" {
		return
	}
	if fate.Twin != 0 {
		d.keep(fate.Twin, data)
	}
	if kept := d.keep(fate.At, data); fate.Corrupt && kept != nil {
		d.impairment.Damage(kept)
	}
}

// keep puts a copy of a packet on its way and returns it.
func (d *direction) keep(at tcp.Time, data []byte) []byte {
	if len(d.underWay) >= maxInFlight {
		d.stats.Overflow++
		return nil
	}
	kept := append(d.spare(), data...)
	d.serial++
	d.underWay.push(packet{at: at, serial: d.serial, data: kept})
	return kept
}

// spare returns an empty slice, with room for a packet if there has been one.
func (d *direction) spare() []byte {
	last := len(d.free) - 1
	if last < 0 {
		return nil
	}
	s := d.free[last][:0]
	d.free = d.free[:last]
	return s
}

// write hands over what is due, as far as the device takes it.
func (d *direction) write(now tcp.Time) error {
	for d.due() <= now {
		err := d.to.Write(d.underWay[0].data, nil, tun.Meta{})
		switch {
		case errors.Is(err, unix.EAGAIN):
			d.blocked = true
			return nil
		case errors.Is(err, unix.EIO), errors.Is(err, unix.EINVAL):
			d.stats.Refused++
		case err != nil:
			return fmt.Errorf("relay: write: %w", err)
		}
		if d.underWay[0].at.Add(time.Millisecond) < now {
			d.stats.Late++
		}
		d.free = append(d.free, d.underWay[0].data)
		d.underWay.pop()
	}
	return nil
}

// due returns when the next packet can be handed over, tcp.Never when there is none or no room for it.
func (d *direction) due() tcp.Time {
	if d.blocked || len(d.underWay) == 0 {
		return tcp.Never
	}
	return d.underWay[0].at
}
