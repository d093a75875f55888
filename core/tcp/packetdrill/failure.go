package packetdrill

import (
	"errors"
	"fmt"
)

// Cause is the kind of a failure.
type Cause uint8

// The causes. ParseError and Unsupported say that the script could not be run to its end; the others that the engine did
// something else than it wants.
const (
	ParseError Cause = 1 + iota
	Unsupported
	WrongPacket
	WrongTime
	WrongResult
	WrongState // a %{ assert }% failed
	numCauses
)

// String names the cause as the summary prints it.
func (c Cause) String() string {
	switch c {
	case ParseError:
		return "parse"
	case Unsupported:
		return "unsupported"
	case WrongPacket:
		return "wrong packet"
	case WrongTime:
		return "wrong time"
	case WrongResult:
		return "wrong result"
	case WrongState:
		return "wrong state"
	default:
		return "unknown"
	}
}

// Failure is why a script did not pass.
type Failure struct {
	Cause Cause
	Line  int
	Text  string
}

// Error returns line, cause and text.
func (f *Failure) Error() string { return fmt.Sprintf("line %d: %s: %s", f.Line, f.Cause, f.Text) }

func failf(cause Cause, line int, format string, args ...any) *Failure {
	return &Failure{Cause: cause, Line: line, Text: fmt.Sprintf(format, args...)}
}

// at gives an error the line of the event that it belongs to.
func at(line int, err error) error {
	var f *Failure
	if errors.As(err, &f) && f.Line == 0 {
		f.Line = line
	}
	return err
}
