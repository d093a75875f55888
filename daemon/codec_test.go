package daemon

import (
	"bytes"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// pieces cuts a message into buffers of n bytes, as HTTP/2's frames do.
func pieces(message []byte, n int) mem.BufferSlice {
	var s mem.BufferSlice
	for len(message) > n {
		s = append(s, mem.SliceBuffer(message[:n]))
		message = message[n:]
	}
	return append(s, mem.SliceBuffer(message))
}

func (in *streamIn) data() []byte {
	if in.payload != nil {
		return in.payload.Materialize()[in.skip:]
	}
	return in.request.GetData()
}

func dataRequest(data []byte) *starfishv1.StreamRequest {
	return &starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Data{Data: data}}
}

func TestCodecReadsDataInPlace(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 16_383, 16_384, 100_000} {
		want := pattern(size)
		message, err := proto.Marshal(dataRequest(want))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 2, 3, 16_384} {
			if n == 1 && size > 1000 {
				continue
			}
			var in streamIn
			if err := newCodec().Unmarshal(pieces(message, n), &in); err != nil {
				t.Fatal(err)
			}
			if in.payload == nil || !bytes.Equal(in.data(), want) {
				t.Errorf("%d bytes in pieces of %d: in place %v", size, n, in.payload != nil)
			}
		}
	}
}

func TestCodecReadsWhatIsUnusual(t *testing.T) {
	data, err := proto.Marshal(dataRequest([]byte("data")))
	if err != nil {
		t.Fatal(err)
	}
	twice := append(append([]byte(nil), data...), data...)
	var in streamIn
	if err := newCodec().Unmarshal(pieces(twice, 3), &in); err != nil || in.payload != nil || string(in.data()) != "data" {
		t.Errorf("a repeated field: %v, %q", err, in.data())
	}
	if err := newCodec().Unmarshal(pieces(data[:len(data)-1], 3), &in); err == nil {
		t.Error("a message that is cut off is no error")
	}
	closing, err := proto.Marshal(&starfishv1.StreamRequest{Message: &starfishv1.StreamRequest_Close{Close: &starfishv1.StreamClose{}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := newCodec().Unmarshal(pieces(closing, 1), &in); err != nil || in.request.GetClose() == nil {
		t.Errorf("close: %v, %v", err, &in.request)
	}
}

func TestCodecWritesWhatProtobufReads(t *testing.T) {
	for _, size := range []int{1, 127, 128, 100_000} {
		want := pattern(size)
		message, err := newCodec().Marshal(&streamOut{payload: mem.SliceBuffer(want)})
		if err != nil {
			t.Fatal(err)
		}
		var response starfishv1.StreamResponse
		if err := proto.Unmarshal(message.Materialize(), &response); err != nil || !bytes.Equal(response.GetData(), want) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// FuzzStreamRequests compares the shortcut with protobuf itself.
func FuzzStreamRequests(f *testing.F) {
	for _, m := range []*starfishv1.StreamRequest{
		{},
		dataRequest(nil), dataRequest([]byte("data")),
		{Message: &starfishv1.StreamRequest_Close{Close: &starfishv1.StreamClose{}}},
		{Message: &starfishv1.StreamRequest_Open{Open: openByID(7)}},
	} {
		message, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message, 3)
	}
	f.Fuzz(func(t *testing.T, message []byte, n int) {
		var want starfishv1.StreamRequest
		wantErr := proto.Unmarshal(message, &want)
		var in streamIn
		err := newCodec().Unmarshal(pieces(message, max(1, n)), &in)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, protobuf says %v", err, wantErr)
		}
		if err == nil && !bytes.Equal(in.data(), want.GetData()) {
			t.Errorf("data %q, protobuf says %q", in.data(), want.GetData())
		}
	})
}
