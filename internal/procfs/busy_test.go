package procfs

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What this process takes is part of what all processes take.
func TestBusyTimeHasOurOwn(t *testing.T) {
	const resolution = 40 * time.Millisecond // a tick of each column
	before, err := BusyTime()
	if err != nil {
		t.Fatal(err)
	}
	own, err := CPUTime(0)
	if err != nil {
		t.Fatal(err)
	}
	var used int64
	for used < int64(200*time.Millisecond) {
		now, err := CPUTime(0)
		if err != nil {
			t.Fatal(err)
		}
		used = now - own
	}
	after, err := BusyTime()
	if err != nil {
		t.Fatal(err)
	}
	if after-before < used-int64(resolution) {
		t.Errorf("all processes took %v while this one took %v", time.Duration(after-before), time.Duration(used))
	}
}

// Only what is there is set: a lower priority can't be taken back.
func TestSetProcessNice(t *testing.T) {
	now, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	nice := 20 - now // the system call answers 20 − nice
	if err := SetProcessNice(nice); err != nil {
		t.Error(err)
	}
}
