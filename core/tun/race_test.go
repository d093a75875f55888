//go:build race

package tun

const raceBuild = true
