package client

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	starfishv1 "github.com/MUCZ/Starfish/api/proto/starfish/v1"
)

// optionFields are the options of the API.
var optionFields = (*starfishv1.Options)(nil).ProtoReflect().Descriptor().Fields()

// OptionNames returns the names that Set knows: those of the API's Options message.
func OptionNames() []string {
	names := make([]string, optionFields.Len())
	for i := range names {
		names[i] = string(optionFields.Get(i).Name())
	}
	slices.Sort(names)
	return names
}

// Set sets the option that has a name in the API, such as "ttl" or "no_delay", from text: a switch takes true or false,
// true when the text is empty; a time takes a unit ("200ms"), a number may have one ("64K", "4M", "1G"). What is set this way
// goes before the field of the same option, and unlike a field it can also switch off what is on by default.
func (o *Options) Set(name, text string) error {
	field := optionFields.ByName(protoreflect.Name(name))
	if field == nil {
		return fmt.Errorf("unknown option %q: the options are %s", name, strings.Join(OptionNames(), ", "))
	}
	value, err := optionValue(field, text)
	if err != nil {
		return fmt.Errorf("option %s: %q is %w", name, text, err)
	}
	set := new(starfishv1.Options)
	if o.set != nil {
		set = proto.CloneOf(o.set) // Options are values: a copy keeps what it had
	}
	set.ProtoReflect().Set(field, value)
	o.set = set
	return nil
}

// optionValue reads the value of an option.
func optionValue(field protoreflect.FieldDescriptor, text string) (v protoreflect.Value, err error) {
	switch field.Kind() {
	case protoreflect.BoolKind:
		if text == "" {
			return protoreflect.ValueOfBool(true), nil
		}
		on, err := strconv.ParseBool(text)
		if err != nil {
			return v, errors.New("neither true nor false")
		}
		return protoreflect.ValueOfBool(on), nil
	case protoreflect.Uint32Kind:
		n, err := parseNumber(text)
		if err != nil {
			return v, err
		}
		return protoreflect.ValueOfUint32(n), nil
	case protoreflect.EnumKind:
		return enumValue(field.Enum(), text)
	case protoreflect.MessageKind: // a duration: the API has no other
		d, err := time.ParseDuration(text)
		if err != nil {
			return v, errors.New("not a time with its unit, such as 200ms or 2m")
		}
		return protoreflect.ValueOfMessage(durationpb.New(d).ProtoReflect()), nil
	default:
		panic("client: an option of kind " + field.Kind().String())
	}
}

// parseNumber reads a number, of units of 2^10, 2^20 or 2^30 when it ends so.
func parseNumber(text string) (uint32, error) {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("KMG", text[n-1]&^0x20); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 0, 32)
	if err != nil || n > math.MaxUint32>>shift {
		return 0, errors.New("not a number below 4G, such as 1460 or 64K")
	}
	return uint32(n << shift), nil
}

// enumValue finds a value by its name without what all of them begin with: "cubic" is CONGESTION_CONTROL_CUBIC.
func enumValue(enum protoreflect.EnumDescriptor, text string) (v protoreflect.Value, err error) {
	values := enum.Values()
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	var known []string
	for i := range values.Len() {
		name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(string(values.Get(i).Name()), prefix), "_", "-"))
		if values.Get(i).Number() == 0 {
			continue
		}
		if name == strings.ToLower(text) {
			return protoreflect.ValueOfEnum(values.Get(i).Number()), nil
		}
		known = append(known, name)
	}
	return v, fmt.Errorf("none of %s", strings.Join(known, ", "))
}
