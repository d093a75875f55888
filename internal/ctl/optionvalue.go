package ctl

import (
	"strconv"
	"strings"

	"github.com/MUCZ/Starfish/client"
)

// optionValue is a flag that sets one of all options by its name in the API: ttl=5, or cork for cork=true.
type optionValue struct {
	options *client.Options
	set     []string
}

// Set implements pflag.Value.
func (v *optionValue) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	v.set = append(v.set, text)
	if err := v.options.Set(name, value); err != nil {
		return err
	}
	if name == "fast_open" { // connect has to know
		on, err := strconv.ParseBool(value)
		v.options.FastOpen = value == "" || err == nil && on
	}
	return nil
}

// String implements pflag.Value.
func (v *optionValue) String() string { return strings.Join(v.set, ",") }

// Type implements pflag.Value.
func (v *optionValue) Type() string { return "name=value" }
