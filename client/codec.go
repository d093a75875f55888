package client

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	protobuf "google.golang.org/protobuf/proto"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// Field numbers of starfish.v1's stream messages; a test holds them against the generated code.
const (
	requestDataField  = 2
	responseDataField = 2
)

// outgoing is a StreamRequest: data, or any message.
type outgoing struct {
	data    *[]byte // from frames; the codec takes it over
	message *starfishv1.StreamRequest
}

// incoming is a StreamResponse: data, or any other message.
type incoming struct {
	data    *mem.Reader // nil if message is set
	message *starfishv1.StreamResponse
}

// streamCodec marshals the messages of the Stream RPC as protobuf does, without copying their data: the generated code
// would copy each byte once more in each direction, into memory allocated per message.
type streamCodec struct{}

var _ encoding.CodecV2 = streamCodec{}

// Name is that of the standard codec, since the bytes are the same.
func (streamCodec) Name() string { return proto.Name }

func (streamCodec) Marshal(v any) (mem.BufferSlice, error) {
	out, ok := v.(*outgoing)
	if !ok {
		return nil, fmt.Errorf("stream codec: cannot marshal %T", v)
	}
	if out.data == nil {
		buf, err := protobuf.Marshal(out.message)
		return mem.BufferSlice{mem.SliceBuffer(buf)}, err
	}
	header := make([]byte, 0, 1+4) // tag, and a length below 2^28
	header = protowire.AppendTag(header, requestDataField, protowire.BytesType)
	header = protowire.AppendVarint(header, uint64(len(*out.data)))
	return mem.BufferSlice{mem.SliceBuffer(header), mem.NewBuffer(out.data, &frames)}, nil
}

func (streamCodec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return fmt.Errorf("stream codec: cannot unmarshal into %T", v)
	}
	r := data.Reader()
	if isData(r) {
		in.data = r
		return nil
	}
	if err := r.Close(); err != nil {
		return err
	}
	in.message = new(starfishv1.StreamResponse)
	if err := protobuf.Unmarshal(data.Materialize(), in.message); err != nil {
		return err
	}
	if in.message.GetMessage() == nil {
		return errors.New("stream codec: empty message")
	}
	return nil
}

// isData reports whether the message is the data field and nothing else, and has read what comes before the bytes.
func isData(r *mem.Reader) bool {
	tag, err := r.ReadByte()
	if err != nil || uint64(tag) != protowire.EncodeTag(responseDataField, protowire.BytesType) {
		return false
	}
	length, err := binary.ReadUvarint(r)
	return err == nil && length == uint64(r.Remaining())
}
