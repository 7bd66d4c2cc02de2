package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/procfs"
)

// server is a running process to load, on the server's CPU.
type server struct {
	name string
	port int
	// hosts are the addresses it listens on, to be used in turn, so that sockets in TIME_WAIT from one run don't stand in
	// the next one's way. The programs in bin/servers have one.
	hosts []string
	// scheme is frame for that protocol; empty and http1 are HTTP.
	scheme string
	turn   int
	cmd    *exec.Cmd
	stdin  io.Closer
	dir    string // its own, removed at the end; empty for none
}

// url is an address of the server that has not been used for the longest time.
func (s *server) url() string {
	s.turn++
	scheme, path := "http", "/"
	if s.scheme == "frame" {
		scheme, path = s.scheme, ""
	}
	return fmt.Sprintf("%s://%s:%d%s", scheme, s.hosts[s.turn%len(s.hosts)], s.port, path)
}

// cpu is the CPU time that the server has used.
func (s *server) cpu() time.Duration {
	ns, err := procfs.CPUTime(s.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	return time.Duration(ns)
}

// stop ends the server and waits for it.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	if s.stdin != nil {
		_ = s.stdin.Close()
	}
	kill := time.AfterFunc(5*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	_ = s.cmd.Wait() // how it ends is of no interest here
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// serverNames are the servers that startServer knows.
var serverNames = []string{"nginx", "reflect", "nethttp", "gnet"}

// errMissing marks a program that is not installed; its text is the install line.
type errMissing struct{ program, install string }

func (e errMissing) Error() string {
	return fmt.Sprintf("%s is not installed: %s", e.program, e.install)
}

// startServer starts a server by name: nginx, millrace's raw reflector, or a program in bin/servers.
func startServer(ctx context.Context, bin, name string) (*server, error) {
	switch name {
	case "nginx":
		return startNginx(ctx)
	case "reflect":
		return startReady(ctx, name, filepath.Join(bin, "millrace"), "reflect", "--protocol", "http1")
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return startReady(ctx, name, filepath.Join(bin, "servers", name), "serve", "--listen", "127.0.0.1:"+strconv.Itoa(port), "--protocol", "http1")
}

// readyWithin is how long a server may take to listen.
const readyWithin = 10 * time.Second

// startReady starts a server that says where it listens in a line on its standard output, and ends with its standard input.
func startReady(ctx context.Context, name, program string, args ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := start(cmd, serverCPU); err != nil {
		return nil, err
	}
	s := &server{name: name, cmd: cmd, stdin: stdin}
	late := time.AfterFunc(readyWithin, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: it ended without a ready line", name)
	}
	var ready struct {
		Addr string `json:"addr"`
	}
	if err := json.Unmarshal(line, &ready); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: ready line %q: %w", name, line, err)
	}
	host, port, err := net.SplitHostPort(ready.Addr)
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("starting %s: ready line %q: %w", name, line, err)
	}
	s.hosts = []string{host}
	s.port, _ = strconv.Atoi(port) // SplitHostPort of an address that is listened on
	return s, nil
}

// nginxHosts are as many addresses as give each run of a comparison of several tools its own.
var nginxHosts = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"}

// nginxConfig makes one process that does what a worker does, and nothing beside: no log, no limit on a connection.
// Arguments: directory, connections, listen lines.
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/pid;
error_log stderr error;
events { worker_connections %[2]d; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server {
    %[3]s
    default_type text/plain;
    location / { return 200 "Hello, World!"; }
  }
}
`

func startNginx(ctx context.Context) (*server, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		return nil, errMissing{"nginx", "apt-get install nginx"}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ruler-nginx-")
	if err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	var listen strings.Builder
	for _, h := range nginxHosts {
		fmt.Fprintf(&listen, "listen %s:%d backlog=4096; ", h, port)
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(nginxConfig, dir, min(files.Cur-files.Cur/20, 15_000), listen.String())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, "-c", config, "-p", dir)
	s := &server{name: "nginx", port: port, hosts: nginxHosts, cmd: cmd, dir: dir}
	if err := start(cmd, serverCPU); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	if err := s.listening(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting nginx: %w", err)
	}
	return s, nil
}

// listening waits until a connection is accepted: nginx does not say when it listens.
func (s *server) listening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		c, err := net.Dial("tcp", net.JoinHostPort(s.hosts[0], strconv.Itoa(s.port)))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// freePort is a port that nobody listens on and that no client is given: sockets in TIME_WAIT there would make listening fail.
func freePort() (int, error) {
	for port := 20_000 + os.Getpid()%5000; port < 32_000; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("looking for a port: none is free between 20000 and 32000")
}

// silent accepts connections and never answers, so that what a client uses is what starting and connecting cost it.
type silent struct {
	l     *net.TCPListener
	conns chan []net.Conn
}

func listenSilent() (*silent, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s := &silent{l: l, conns: make(chan []net.Conn)}
	go func() {
		var all []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			all = append(all, c)
		}
		s.conns <- all
	}()
	return s, nil
}

func (s *silent) url() string { return "http://" + s.l.Addr().String() + "/" }

func (s *silent) close() {
	_ = s.l.Close()
	for _, c := range <-s.conns {
		_ = c.Close()
	}
}
