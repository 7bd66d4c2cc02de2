package ring

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// oldest is the oldest kernel that has all this package needs: minimum waits and incremental buffers came last.
const oldest = "6.12"

// Probe reports why a ring can't be had here, nil if it can: it sets one up and sends a byte through it.
func Probe() error {
	failure := make(chan error)
	go func() {
		// Never unlocked: the thread to which a ring belonged is not given back.
		runtime.LockOSThread()
		failure <- probe()
	}()
	return <-failure
}

func probe() error {
	r, err := New(Config{Submissions: 4, Completions: 8, Buffers: 1, BufferSize: 4096})
	if err != nil {
		return err
	}
	defer r.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("trying io_uring: opening sockets: %w", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := r.Start(); err != nil {
		return err
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	word := []byte("x")
	pin.Pin(&word[0])
	const received = 1
	r.Receive(int32(pair[0]), received)
	r.Send(int32(pair[1]), word, received+1)
	for range 100 { // of 10 ms: a kernel that takes longer for a byte is of no use
		if errno := r.Wait(1, 0, 10e6); errno != 0 {
			return fmt.Errorf("trying io_uring: waiting: %w", errno)
		}
		for n := r.Ready(); n > 0; n-- {
			c := r.Completion(0)
			r.Release(1)
			switch {
			case c.Errno() != 0:
				return fmt.Errorf("trying io_uring: sending a byte: %w (is the kernel older than %s?)", c.Errno(), oldest)
			case c.Data == received:
				if b := r.Take(c); string(b) != "x" || !c.More() {
					return fmt.Errorf("trying io_uring: %q came instead of a byte, kernel %s: want Linux %s", b, release(), oldest)
				}
				return nil
			}
		}
	}
	return errors.New("trying io_uring: a byte that was sent did not come within 1 s")
}

// setupError says what an error of io_uring_setup means.
func setupError(errno syscall.Errno) error {
	why := "see io_uring_setup(2)"
	switch errno {
	case unix.ENOSYS:
		why = fmt.Sprintf("kernel %s was built without it, or a sandbox hides it", release())
	case unix.EPERM:
		why = "a sandbox forbids it, such as a container's seccomp profile"
		b, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
		if v := strings.TrimSpace(string(b)); err == nil && v != "0" {
			why = fmt.Sprintf("it is off: kernel.io_uring_disabled=%s, want 0", v)
		}
	case unix.EINVAL:
		why = tooOld()
	case unix.ENOMEM:
		why = "no memory to lock: see ulimit -l"
	}
	return fmt.Errorf("setting up io_uring: %w: %s", errno, why)
}

// missing says which feature that is needed is not among those the kernel has.
func missing(features uint32) error {
	for _, f := range []struct {
		bit  uint32
		name string
	}{
		{featSingleMmap, "rings in one mapping"},
		{featNoDrop, "completions that are never dropped"},
		{featExtArg, "waits with a timeout"},
		{featMinTimeout, "minimum waits"},
	} {
		if features&f.bit == 0 {
			return fmt.Errorf("setting up io_uring: no %s: %s", f.name, tooOld())
		}
	}
	return nil
}

func tooOld() string { return fmt.Sprintf("kernel %s is too old: want Linux %s", release(), oldest) }

// release is the kernel's version.
func release() string {
	var u unix.Utsname
	// It has no other argument.
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Release[:])
}
