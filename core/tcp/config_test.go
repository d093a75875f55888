package tcp

import (
	"errors"
	"testing"
	"time"

	"github.com/MUCZ/Starfish/core/wire"
	"github.com/MUCZ/Starfish/core/zbuf"
)

func TestConfigValidation(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		ok     bool
	}{
		"defaults":              {func(*Config) {}, true},
		"no pool":               {func(c *Config) { c.Pool = nil }, false},
		"no addresses":          {func(c *Config) { c.Owns = nil }, false},
		"MTU of 100":            {func(c *Config) { c.MTU = 100 }, false},
		"MTU of 65,535":         {func(c *Config) { c.MTU = 65_535 }, true},
		"MTU of 65,536":         {func(c *Config) { c.MTU = 65_536 }, false},
		"shard 3 of 4":          {func(c *Config) { c.Shard, c.Shards = 3, 4 }, true},
		"shard 4 of 4":          {func(c *Config) { c.Shard, c.Shards = 4, 4 }, false},
		"shard -1":              {func(c *Config) { c.Shard = -1 }, false},
		"minus one shards":      {func(c *Config) { c.Shards = -1 }, false},
		"ports the wrong way":   {func(c *Config) { c.FirstPort, c.LastPort = 2000, 1000 }, false},
		"one port":              {func(c *Config) { c.FirstPort, c.LastPort = 2000, 2000 }, true},
		"delayed ACK of 500 ms": {func(c *Config) { c.DelayedAck = 500 * time.Millisecond }, false},
		"delayed ACK negative":  {func(c *Config) { c.DelayedAck = -1 }, false},
		"initial window":        {func(c *Config) { c.InitialWindow = -1 }, false},
		"quick ACKs off":        {func(c *Config) { c.QuickAcks = -1 }, true},
		"quick ACKs, too many":  {func(c *Config) { c.QuickAcks = 256 }, false},
		"TIME-WAIT negative":    {func(c *Config) { c.TimeWait = -1 }, false},
		"FIN-WAIT-2 negative":   {func(c *Config) { c.FinWait2 = -1 }, false},
		"bad default option":    {func(c *Config) { c.Defaults.RecvBuffer = -1 }, false},
		"connections":           {func(c *Config) { c.Limits.Connections = -1 }, false},
		"listeners":             {func(c *Config) { c.Limits.Listeners = -1 }, false},
		"SYN queue":             {func(c *Config) { c.Limits.SynQueue = -1 }, false},
		"accept queue":          {func(c *Config) { c.Limits.AcceptQueue = -1 }, false},
		"TIME-WAIT records":     {func(c *Config) { c.Limits.TimeWait = -1 }, false},
		"out of order":          {func(c *Config) { c.Limits.OutOfOrder = -1 }, false},
		"sent segments":         {func(c *Config) { c.Limits.SentSegments = -1 }, false},
		"buffers of one byte":   {func(c *Config) { c.RecvBuffer, c.SendBuffer = Autotuning{1, 1}, Autotuning{1, 1} }, true},
		"only a small maximum":  {func(c *Config) { c.RecvBuffer.Max = 1000 }, true},
		"only a large start":    {func(c *Config) { c.SendBuffer.Initial = 1 << 30 }, true},
		"start above maximum":   {func(c *Config) { c.RecvBuffer = Autotuning{Initial: 1001, Max: 1000} }, false},
		"receive start below 0": {func(c *Config) { c.RecvBuffer.Initial = -1 }, false},
		"start negative":        {func(c *Config) { c.SendBuffer.Initial = -1 }, false},
		"maximum of 2 GiB":      {func(c *Config) { c.SendBuffer.Max = 2 << 30 }, false},
		"receive memory":        {func(c *Config) { c.Limits.ReceiveMemory = -1 }, false},
		"resets":                {func(c *Config) { c.Limits.ResetsPerSec = -1 }, false},
		"resets, too many":      {func(c *Config) { c.Limits.ResetsPerSec = 2e9 }, false},
		"challenge ACKs":        {func(c *Config) { c.Limits.ChallengeAcks = -1 }, false},
		"dropped replies":       {func(c *Config) { c.Limits.DroppedReplies = -1 }, false},
		"choice of SYN, FIN":    {func(c *Config) { c.Choices.SynFin = SynFinDropped }, true},
		"no choice of SYN, FIN": {func(c *Config) { c.Choices.SynFin = numSynFin }, false},
		"RTO margin":            {func(c *Config) { c.Choices.RTOMargin = 2 * time.Second }, false},
	} {
		cfg := Config{Pool: zbuf.NewPool(0), Owns: func(wire.Addr) bool { return true }}
		c.change(&cfg)
		if s, err := New(cfg); (err == nil) != c.ok || (s == nil) == c.ok || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigDefaultsComplete(t *testing.T) {
	cfg := Config{Pool: zbuf.NewPool(0), Owns: func(wire.Addr) bool { return true }, Defaults: Options{SynRetries: 3}}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.cfg.Defaults.SynRetries != 3 || s.cfg.RecvBuffer.Max == 0 {
		t.Errorf("options by default are %+v", s.cfg.Defaults)
	}
	if s.cfg.Limits.Connections == 0 || s.cfg.MTU != 1500 {
		t.Errorf("defaults are missing in %+v", s.cfg)
	}
	if s.PollTimeout() != Never {
		t.Error("an empty stack has a deadline")
	}
}
