package client

// Version is the release that this package belongs to; `make build` sets it.
var Version = "devel"
