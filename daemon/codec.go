package daemon

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	goproto "google.golang.org/protobuf/proto"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// codec is gRPC's protobuf codec, except that the data messages of Stream keep their payload in gRPC's buffers:
// protobuf alone would copy and allocate it once more in each direction. What is on the wire is the same.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// dataField is the number of the field `data` in StreamRequest and in StreamResponse.
const dataField protowire.Number = 2

// dataTag is how a message begins that has nothing but `data`.
var dataTag = byte(protowire.EncodeTag(dataField, protowire.BytesType))

// maxPrefix is the longest prefix of a data message: the tag and the length.
const maxPrefix = 1 + binary.MaxVarintLen32

// streamIn is one StreamRequest as it was received: either payload in gRPC's buffers, or any other message.
type streamIn struct {
	request starfishv1.StreamRequest
	payload mem.BufferSlice // nil unless it is a data message; to be freed
	skip    int             // bytes at the front of payload that are not data
}

// streamOut is one StreamResponse with data to send.
type streamOut struct {
	payload mem.Buffer // passes to gRPC
}

// Marshal writes v; see encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	out, ok := v.(*streamOut)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	prefix := append(make([]byte, 0, maxPrefix), dataTag)
	prefix = binary.AppendUvarint(prefix, uint64(out.payload.Len()))
	return mem.BufferSlice{mem.SliceBuffer(prefix), out.payload}, nil
}

// Unmarshal reads data into v; see encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*streamIn)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	in.payload, in.skip = nil, 0
	if skip, ok := dataPrefix(data); ok {
		data.Ref()
		in.payload, in.skip = data, skip
		return nil
	}
	message := data.Materialize()
	if err := goproto.Unmarshal(message, &in.request); err != nil {
		return fmt.Errorf("StreamRequest: %w", err)
	}
	return nil
}

// dataPrefix returns how many bytes of a message stand before its data, if it holds `data` alone.
func dataPrefix(message mem.BufferSlice) (int, bool) {
	var first [maxPrefix]byte
	have := message.CopyTo(first[:])
	if have < 2 || first[0] != dataTag {
		return 0, false
	}
	length, n := binary.Uvarint(first[1:have])
	if n <= 0 || uint64(message.Len()-1-n) != length {
		return 0, false
	}
	return 1 + n, true
}
