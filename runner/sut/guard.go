package sut

import (
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// guard kills a foreign server's process group when this process ends, whatever ends it: the kernel kills the server itself then
// (Pdeathsig), and its children would live on.
type guard struct {
	cmd  *exec.Cmd
	life io.WriteCloser // ends with this process
}

// watchOver starts a guard. Without a shell there is none, and an error.
func watchOver(group int) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", `read x; kill -s KILL -- "-$1"`, "guard", strconv.Itoa(group))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what ends our group must not end it
	life, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	return &guard{cmd, life}, nil
}

// release ends the guard before the group's number can be another's.
func (g *guard) release() {
	if g == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	g.life.Close()
}
