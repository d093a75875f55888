package ctl

import (
	"encoding/json"
	"io"
)

// writeJSON writes an object and a newline.
func writeJSON(w io.Writer, object any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(object)
}

// printJSON writes an object to stdout.
func (a *app) printJSON(object any) error {
	if err := writeJSON(a.stdout, object); err != nil {
		return stdoutError{err}
	}
	return nil
}

// print writes text to stdout.
func (a *app) print(text string) error {
	if _, err := io.WriteString(a.stdout, text); err != nil {
		return stdoutError{err}
	}
	return nil
}
