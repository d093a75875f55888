//go:build !race

package tun

const raceBuild = false
