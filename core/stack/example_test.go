package stack_test

import (
	"fmt"
	"io"
	"log"
	"net/netip"

	"github.com/MUCZ/Starfish/core/stack"
)

// A program embeds the stack and talks to itself over the internal link, without a device and without privilege. With
// a device from tun.Open in the Config, the same calls reach the rest of the world.
func Example() {
	s, err := stack.New(stack.Config{Addresses: []netip.Prefix{netip.MustParsePrefix("10.144.0.2/16")}})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	listener, err := s.Listen("tcp", "10.144.0.2:7")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.Copy(conn, conn); err != nil {
			log.Print(err)
		}
	}()

	conn, err := s.Dial("tcp", "10.144.0.2:7")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "hello, stack")
	reply := make([]byte, len("hello, stack"))
	if _, err := io.ReadFull(conn, reply); err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(reply))
	// Output: hello, stack
}
