package scan

import (
	"runtime/metrics"
	"time"
)

// Cost is what one stage of one analysis took: wall time of its single thread, and bytes allocated on the heap. It is measured for
// people who tune the scanner; no verdict depends on it.
type Cost struct {
	Stage     string        `json:"stage"`
	Time      time.Duration `json:"time"` // nanoseconds
	Allocated uint64        `json:"allocated"`
}

// meter measures stages one after the other.
type meter struct {
	costs []Cost
	at    time.Time
	bytes uint64
}

func newMeter() *meter { return &meter{at: time.Now(), bytes: allocated()} }

// lap adds what passed since the lap before to a stage.
func (m *meter) lap(stage string) {
	now, n := time.Now(), allocated()
	c := Cost{Stage: stage, Time: now.Sub(m.at), Allocated: n - m.bytes}
	m.at, m.bytes = now, n
	for i := range m.costs {
		if m.costs[i].Stage == stage {
			m.costs[i].Time += c.Time
			m.costs[i].Allocated += c.Allocated
			return
		}
	}
	m.costs = append(m.costs, c)
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
