package packetdrill

import (
	"reflect"
	"testing"
)

func TestShellPipelines(t *testing.T) {
	tests := []struct {
		text string
		want []pipeline
	}{
		{` a  'b c'd "e f=1 2"`, []pipeline{{stages: [][]string{{"a", "b cd", "e f=1 2"}}}}},
		{"a; b && c || d\ne # f; g\n#h\ni", []pipeline{
			{stages: [][]string{{"a"}}},
			{stages: [][]string{{"b"}}},
			{stages: [][]string{{"c"}}},
			{stages: [][]string{{"d"}}},
			{stages: [][]string{{"e"}}},
			{stages: [][]string{{"i"}}},
		}},
		{"a 1 \\\n  2 | b -c | d", []pipeline{{stages: [][]string{{"a", "1", "2"}, {"b", "-c"}, {"d"}}}}},
		{"echo 3 > /proc/sys/x; a > /dev/null 2>&1; b 2>/dev/null", []pipeline{
			{stages: [][]string{{"echo", "3"}}, output: "/proc/sys/x"}, {stages: [][]string{{"a"}}}, {stages: [][]string{{"b"}}},
		}},
		{`a="1 2 $((15*1024*1024))"`, []pipeline{{stages: [][]string{{"a=1 2 15728640"}}}}},
		{"  \n", nil},
	}
	for _, tt := range tests {
		got, err := shellPipelines(tt.text)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %q, %v", tt.text, got, err)
		}
	}
	for _, text := range []string{"a $((1+", "a $((x))"} {
		if got, err := shellPipelines(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}
