package ctl

import "testing"

func TestHelp(t *testing.T) {
	t.Setenv("STARFISH_SOCKET", "")
	for _, verb := range []string{"", "connect", "listen", "ss", "stats", "status", "set", "close", "abort", "chargen", "webget", "httpd", "bench", "version"} {
		name, args := "starfishctl", []string{"help"}
		if verb != "" {
			name, args = verb, append(args, verb)
		}
		status, stdout, stderr := execute(t, args...)
		if status != exitOK || stderr != "" {
			t.Errorf("%v: status %d, stderr %q", args, status, stderr)
		}
		golden(t, "help/"+name+".txt", stdout)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if status, stdout, stderr := execute(t, "completion", shell); status != exitOK || len(stdout) < 1000 {
			t.Errorf("%s: status %d, %d bytes, stderr %q", shell, status, len(stdout), stderr)
		}
	}
}
