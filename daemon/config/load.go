package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxFile bounds the configuration file. A long one of ours has two kilobytes.
const maxFile = 1 << 20

// Load returns the defaults with what the file says. A file that nobody named may be missing.
func Load(path string, named bool) (*Config, error) {
	c := Default()
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("configuration: %s is larger than %d bytes", path, maxFile)
	}
	if err := Parse(text, c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Parse reads YAML into c. Unknown keys and wrong types are errors that show the line.
func Parse(text []byte, c *Config) error {
	var content any
	if err := yaml.Unmarshal(text, &content); err == nil && content == nil {
		return nil // nothing but comments: the decoder would take it for a null, and clear c
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict(),
		yaml.CustomUnmarshaler(unmarshalText[Size, *Size]),
		yaml.CustomUnmarshaler(unmarshalText[FileMode, *FileMode]))
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	return nil
}

// unmarshalText reads a scalar by its text: YAML's own idea of 0660 is a number in base 8.
func unmarshalText[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](value *T, scalar []byte) error {
	text := strings.TrimSpace(string(scalar))
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	return P(value).UnmarshalText([]byte(strings.Trim(text, "'")))
}
