package wire

// AccECN is the Accurate ECN option (RFC 9768 §3.2.3): how many bytes of payload came with each ECN codepoint.
type AccECN struct {
	// Bytes are the counters, by codepoint, modulo AccECNModulus. There is none for Not-ECT.
	Bytes [4]uint32
	// Fields is how many counters there are, in the order of the option's kind.
	Fields uint8
	// ECT1First is the order of the kind AccECN1, or else that of AccECN0.
	ECT1First bool
}

// Bounds of the option.
const (
	MaxAccECNFields = 3
	AccECNModulus   = 1 << 24
	lenAccECNField  = 3
)

// Order is the order of the counters.
func (a *AccECN) Order() [MaxAccECNFields]ECN {
	if a.ECT1First {
		return [...]ECN{ECT1, CE, ECT0}
	}
	return [...]ECN{ECT0, CE, ECT1}
}

// Has reports whether the option tells the counter of a codepoint.
func (a *AccECN) Has(mark ECN) bool {
	order := a.Order()
	for _, m := range order[:min(a.Fields, MaxAccECNFields)] {
		if m == mark {
			return true
		}
	}
	return false
}

// AccECNLen is what an option of so many counters takes in a header, with its padding.
func AccECNLen(fields int) int { return (2 + fields*lenAccECNField + 3) &^ 3 }

// parseAccECN reads the option of any length: "if the AccECN Option is of any other length, implementations MUST use those
// whole 3-octet fields that fit within the length and ignore the remainder".
func (o *Options) parseAccECN(kind byte, v []byte) {
	if !o.add(OptAccECN) {
		return
	}
	a := &o.AccECN
	a.ECT1First = kind == kindAccECN1
	a.Fields = uint8(min(len(v)/lenAccECNField, MaxAccECNFields))
	for i, mark := range a.Order() {
		if i < int(a.Fields) {
			f := v[i*lenAccECNField:]
			a.Bytes[mark] = uint32(f[0])<<16 | uint32(f[1])<<8 | uint32(f[2])
		}
	}
}

// accECNFields is how many of its counters the option has beside others of n bytes, and -1 when there is no option, or no room
// for it.
func (o *Options) accECNFields(n int) int {
	if o.Set&OptAccECN == 0 {
		return -1
	}
	for fields := int(min(o.AccECN.Fields, MaxAccECNFields)); fields >= 0; fields-- {
		if n+AccECNLen(fields) <= MaxOptionsLen {
			return fields
		}
	}
	return -1
}

// accECNLen is the length of the option beside others of n bytes.
func (o *Options) accECNLen(n int) int {
	if fields := o.accECNFields(n); fields >= 0 {
		return AccECNLen(fields)
	}
	return 0
}

// putAccECN writes the option and its padding, and returns the rest of b.
func (o *Options) putAccECN(b []byte) []byte {
	fields := o.accECNFields(o.fixedLen())
	if fields < 0 {
		return b
	}
	a := &o.AccECN
	b[0], b[1] = kindAccECN0, byte(2+fields*lenAccECNField)
	if a.ECT1First {
		b[0] = kindAccECN1
	}
	order := a.Order()
	for i, mark := range order[:fields] {
		f := b[2+i*lenAccECNField:]
		n := a.Bytes[mark]
		f[0], f[1], f[2] = byte(n>>16), byte(n>>8), byte(n)
	}
	length := AccECNLen(fields)
	for i := 2 + fields*lenAccECNField; i < length; i++ {
		b[i] = kindNop
	}
	return b[length:]
}
