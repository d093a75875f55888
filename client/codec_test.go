package client

import (
	"bytes"
	"io"
	"testing"

	"google.golang.org/grpc/mem"
	protobuf "google.golang.org/protobuf/proto"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// TestCodecAgreesWithGeneratedCode marshals with one and unmarshals with the other.
func TestCodecAgreesWithGeneratedCode(t *testing.T) {
	for _, size := range []int{1, 127, 128, 16_383, 16_384, frameSize} {
		content := bytes.Repeat([]byte{0xa5}, size)
		buf := frames.Get(size)
		*buf = append(*buf, content...)
		wire, err := streamCodec{}.Marshal(&outgoing{data: buf})
		if err != nil {
			t.Fatal(err)
		}
		var request starfishv1.StreamRequest
		if err := protobuf.Unmarshal(wire.Materialize(), &request); err != nil {
			t.Fatal(err)
		}
		wire.Free()
		if !bytes.Equal(request.GetData(), content) {
			t.Errorf("%d bytes: the generated code reads %d others", size, len(request.GetData()))
		}

		response := &starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Data{Data: content}}
		marshalled, err := protobuf.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		// In pieces, as HTTP/2 frames bring them.
		cut := len(marshalled) / 2
		var in incoming
		pieces := mem.BufferSlice{mem.SliceBuffer(marshalled[:cut]), mem.SliceBuffer(marshalled[cut:])}
		if err := (streamCodec{}).Unmarshal(pieces, &in); err != nil {
			t.Fatal(err)
		}
		if in.data == nil {
			t.Fatalf("%d bytes: not seen as data", size)
		}
		if got, err := io.ReadAll(in.data); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: read %d others, %v", size, len(got), err)
		}
	}
}

func TestCodecOtherMessages(t *testing.T) {
	response := &starfishv1.StreamResponse{Message: &starfishv1.StreamResponse_Opened{Opened: &starfishv1.Connection{Id: 7}}}
	marshalled, err := protobuf.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	var in incoming
	if err := (streamCodec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(marshalled)}, &in); err != nil {
		t.Fatal(err)
	}
	if in.data != nil || in.message.GetOpened().GetId() != 7 {
		t.Errorf("%v", in.message)
	}
}

func FuzzStreamCodec(f *testing.F) {
	f.Add([]byte{0x12, 1, 'x'})
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0x1a, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var in incoming
		var want starfishv1.StreamResponse
		err := streamCodec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(wire)}, &in)
		if protobuf.Unmarshal(wire, &want) != nil || want.GetMessage() == nil {
			if err == nil {
				t.Errorf("accepts %x", wire)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if in.data == nil {
			return
		}
		if got, _ := io.ReadAll(in.data); !bytes.Equal(got, want.GetData()) {
			t.Errorf("read %x of %x", got, wire)
		}
	})
}
