package daemon

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
	"github.com/MUCZ/Starfish/core/tcp"
)

// Every option of the engine can be set through the API, and shows in GetInfo.
func TestOptionsAreComplete(t *testing.T) {
	isn := uint32(7)
	all := tcp.Options{Congestion: tcp.CongestionReno, ECN: tcp.ECNOn, FixedISN: &isn}
	value := reflect.ValueOf(&all).Elem()
	for i := range value.NumField() {
		switch field := value.Field(i); field.Kind() {
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Int64:
			field.SetInt(int64(time.Second))
		case reflect.Int:
			field.SetInt(100)
		case reflect.Uint8:
			if field.Uint() == 0 {
				field.SetUint(64)
			}
		}
	}
	message := optionsProto(&all)
	message.FixedIsn = &isn // for tests only: GetInfo has no use for it
	got, err := overlay("test", tcp.Options{}, message)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, all) {
		t.Errorf("got  %+v\nwant %+v", got, all)
	}
}

// Every choice of ECN that the engine has can be made through the API.
func TestECNModesAreComplete(t *testing.T) {
	for e := tcp.ECNOff; ; e++ {
		if _, err := tcp.ParseECN(e.String()); err != nil {
			if int(e) != len(ecnModes)+1 {
				t.Errorf("the engine has %d modes, the API %d", e-1, len(ecnModes))
			}
			return
		}
		if ecnModes[ecnProto(e)] != e {
			t.Errorf("the API has no %v", e)
		}
	}
}

func TestOverlayKeepsWhatIsNotSet(t *testing.T) {
	base := tcp.Options{NoDelay: true, RecvBuffer: 1000, KeepAlive: time.Minute}
	no := false
	got, err := overlay("test", base, &starfishv1.Options{NoDelay: &no, KeepAlive: durationpb.New(-1)})
	if err != nil {
		t.Fatal(err)
	}
	if got.NoDelay || got.RecvBuffer != 1000 || got.KeepAlive >= 0 {
		t.Errorf("got %+v", got)
	}
}

func TestOverlayRefuses(t *testing.T) {
	number := func(n uint32) *uint32 { return &n }
	unknown := starfishv1.CongestionControl(99)
	unknownECN := starfishv1.Ecn(99)
	for name, o := range map[string]*starfishv1.Options{
		"unknown ECN":       {Ecn: &unknownECN},
		"zero duration":     {InitialRto: durationpb.New(0)},
		"invalid duration":  {InitialRto: &durationpb.Duration{Seconds: 1, Nanos: -1}},
		"long duration":     {UserTimeout: &durationpb.Duration{Seconds: 300_000_000_000}},
		"zero buffer":       {RecvBuffer: number(0)},
		"large buffer":      {SendBuffer: number(1<<30 + 1)},
		"ttl":               {Ttl: number(256)},
		"ECN bits":          {TrafficClass: number(1)},
		"traffic class":     {TrafficClass: number(256)},
		"congestion":        {CongestionControl: &unknown},
		"segment too small": {MaxSegment: number(1)},
	} {
		if _, err := overlay("test", tcp.Options{}, o); reasonOf(err) != "EINVAL" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
