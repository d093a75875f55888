package relay

import (
	"container/heap"

	"github.com/MUCZ/Starfish/core/tcp"
)

// packet is under way until a time. Of those of one time the one that came first is first.
type packet struct {
	at     tcp.Time
	serial uint64
	data   []byte
}

// packetHeap holds packets, the next one to arrive first.
type packetHeap []packet

// Len, Less, Swap, Push and Pop are heap.Interface's.
func (h packetHeap) Len() int { return len(h) }

func (h packetHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].serial < h[j].serial
}
func (h packetHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *packetHeap) Push(x any)   { *h = append(*h, x.(packet)) }

func (h *packetHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = packet{}
	*h = (*h)[:last]
	return p
}

func (h *packetHeap) push(p packet) { heap.Push(h, p) }
func (h *packetHeap) pop()          { heap.Pop(h) }
