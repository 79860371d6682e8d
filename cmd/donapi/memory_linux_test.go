package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// watchMemory follows a process and its descendants until stop and returns the largest sum of their resident memory, bytes.
func watchMemory(pid int, stop chan struct{}) int64 {
	var peak int64
	for {
		select {
		case <-stop:
			return peak
		case <-time.After(10 * time.Millisecond):
			peak = max(peak, resident(pid))
		}
	}
}

func resident(pid int) int64 {
	var sum int64
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		if f := strings.Fields(string(b)); len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			sum = n * int64(os.Getpagesize())
		}
	}
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, c := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(c); err == nil {
				sum += resident(child)
			}
		}
	}
	return sum
}
