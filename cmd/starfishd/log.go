package main

import (
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/MUCZ/Starfish/daemon/config"
)

// newLogger writes to standard error: for a person on a terminal, JSON for what collects logs.
func newLogger(cfg *config.Config) (*zap.Logger, zap.AtomicLevel) {
	level := zap.NewAtomicLevelAt(cfg.LogLevel)
	format := cfg.LogFormat
	if format == config.LogAuto {
		format = config.LogJSON
		if isTerminal(os.Stderr) {
			format = config.LogConsole
		}
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoding.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if format == config.LogConsole {
		encoding.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level)), level
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
