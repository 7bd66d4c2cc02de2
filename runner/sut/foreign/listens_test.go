package foreign

import (
	"net"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

// A program that took a server's port in the meantime is not the server.
func TestListens(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		other.Process.Kill()
		other.Wait()
	}()
	if !Listens(syscall.Getpgrp(), addr) {
		t.Skip("the leader of this test's own group can't be seen here")
	}
	if Listens(other.Process.Pid, addr) {
		t.Error("another program's listener is taken for the server's")
	}
	if group, err := Group(other.Process.Pid); err != nil || !slices.Equal(group, []int{other.Process.Pid}) {
		t.Errorf("group %d, %v", group, err)
	}
	l.Close()
	if Listens(syscall.Getpgrp(), addr) {
		t.Error("nobody listens any more")
	}
	if _, err := Group(1 << 30); err == nil {
		t.Error("no error of a group that does not exist")
	}
}
