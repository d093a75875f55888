package config

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 65536, 64K or 64KiB.
type Size int64

// sizeUnits are powers of 1,024: in this field a "64K buffer" has 65,536 bytes.
const sizeUnits = "KMGT"

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number := strings.TrimSpace(string(text))
	number = strings.TrimSuffix(strings.TrimSuffix(number, "B"), "i")
	shift := 0
	if n := len(number); n > 0 {
		if i := strings.IndexByte(sizeUnits, number[n-1]&^0x20); i >= 0 {
			shift = 10 * (i + 1)
			number = number[:n-1]
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("size %q: use a number of bytes, such as 65536, 64K or 4MiB", text)
	}
	*s = Size(n << shift)
	return nil
}

// MarshalText writes the size with the largest unit that divides it.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	n, unit := int64(s), ""
	for _, u := range sizeUnits {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, string(u)+"iB"
	}
	return strconv.FormatInt(n, 10) + unit
}

// FileMode is a file's permissions, in octal.
type FileMode fs.FileMode

// UnmarshalText reads permissions as chmod does: 660, 0660 or 0o660.
func (m *FileMode) UnmarshalText(text []byte) error {
	digits := strings.TrimPrefix(strings.TrimPrefix(string(text), "0o"), "0")
	n, err := strconv.ParseUint(digits, 8, 32)
	if err != nil || n > 0o777 {
		return fmt.Errorf("socket mode %q: use octal permissions, such as 0660", text)
	}
	*m = FileMode(n)
	return nil
}

// MarshalText writes the permissions in octal.
func (m FileMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m FileMode) String() string { return fmt.Sprintf("%04o", uint32(m)) }
