package differential

import "testing"

// The engine against the kernel's TCP, over a TUN device.
func TestKernel(t *testing.T) {
	NewSuite(NewKernel(t)).Run(t)
}
