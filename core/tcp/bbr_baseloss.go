package tcp

import (
	"math"
	"time"
)

// bbrBaseLoss is the share that the path loses however little is in flight: a radio link's, or a policer's of others. The
// draft takes any loss above bbrLossThresh for a sign that too much is in flight, so that on a path that loses more by
// itself each probe ends at once and the model shrinks from cycle to cycle. What is lost in CRUISE while there is no queue
// is not due to what is in flight, and does not count against a probe either.
type bbrBaseLoss struct {
	share    float64
	roundRTT time.Duration // the least of this round; 0 when unknown
}

const (
	// bbrBaseRounds is over how many rounds the share is averaged, about.
	bbrBaseRounds = 16
	// bbrMostBaseLoss bounds what is taken for the path's nature; BBRv1 bears as much.
	bbrMostBaseLoss = 0.15
	// bbrQueueRTT is the part of the minimum RTT by which a queue shows, if that is more than bbrQueueNoise.
	bbrQueueRTT   = 16
	bbrQueueNoise = time.Millisecond
	// bbrChance is in standard deviations: what chance makes of the share within one window is not taken for more loss.
	bbrChance = 2
)

func (l *bbrBaseLoss) noteRTT(rtt time.Duration) {
	if rtt > 0 && (l.roundRTT == 0 || rtt < l.roundRTT) {
		l.roundRTT = rtt
	}
}

// learn takes in a round that has lost so many bytes of those in flight, and begins the next one.
func (l *bbrBaseLoss) learn(cruising bool, lost, flight int, minRTT time.Duration) {
	queued := l.roundRTT-minRTT > max(minRTT/bbrQueueRTT, bbrQueueNoise)
	if cruising && l.roundRTT > 0 && !queued && flight > 0 {
		l.share += (float64(lost)/float64(flight) - l.share) / bbrBaseRounds
		l.share = min(l.share, bbrMostBaseLoss)
	}
	l.roundRTT = 0
}

// expectedLoss is what the path loses by itself of so many bytes in flight, with bad luck.
func (l *bbrBaseLoss) expectedLoss(inFlight, mss int) int {
	if l.share == 0 {
		return 0
	}
	mean := l.share * float64(inFlight) / float64(mss)
	return int(float64(mean+float64(bbrChance*math.Sqrt(mean))) * float64(mss))
}
