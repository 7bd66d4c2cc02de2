package procfs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Layouts of linux/inet_diag.h and linux/sock_diag.h; ports and addresses are in network byte order.
const (
	sockDiagByFamily = 20
	diagRequestBytes = 56 // struct inet_diag_req_v2
	diagSourcePort   = 4  // offset of idiag_sport in struct inet_diag_msg
	diagTargetPort   = 6
	tcpTimeWait      = 6
	diagTimeoutMs    = 1000
)

// TimeWait counts the sockets in TIME_WAIT on either side of a server's port: on the server's, where the server closed
// first, and on the client's. The kernel sends one small message for each socket in TIME_WAIT, about 20 ms for 30 000
// of them, so this is for the edges of phases only. It gives up after a second without an answer.
func TimeWait(port int) (server, client int64, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, 0, fmt.Errorf("opening the socket diagnosis: %w", err)
	}
	defer unix.Close(fd)
	timeout := unix.NsecToTimeval(diagTimeoutMs * 1e6)
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return 0, 0, fmt.Errorf("limiting the socket diagnosis: %w", err)
	}
	buf := make([]byte, 64<<10)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		s, c, err := dumpTimeWait(fd, family, uint16(port), buf)
		if err != nil {
			return 0, 0, fmt.Errorf("counting TIME_WAIT of port %d: %w", port, err)
		}
		server, client = server+s, client+c
	}
	return server, client, nil
}

func dumpTimeWait(fd int, family uint8, port uint16, buf []byte) (server, client int64, err error) {
	request := make([]byte, unix.SizeofNlMsghdr+diagRequestBytes)
	order := binary.NativeEndian
	order.PutUint32(request, uint32(len(request)))
	order.PutUint16(request[4:], sockDiagByFamily)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	order.PutUint32(body[4:], 1<<tcpTimeWait)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, err
	}
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, 0, err
		}
		s, c, done, err := countMessages(buf[:n], port)
		server, client = server+s, client+c
		if err != nil || done {
			return server, client, err
		}
	}
}

// countMessages counts in one datagram of netlink messages, and tells whether it ends the dump.
func countMessages(b []byte, port uint16) (server, client int64, done bool, err error) {
	order := binary.NativeEndian
	for len(b) >= unix.SizeofNlMsghdr {
		size := int(order.Uint32(b))
		if size < unix.SizeofNlMsghdr || size > len(b) {
			return server, client, true, fmt.Errorf("netlink message of %d bytes in %d", size, len(b))
		}
		body := b[unix.SizeofNlMsghdr:size]
		switch order.Uint16(b[4:]) {
		case unix.NLMSG_DONE:
			return server, client, true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return server, client, true, fmt.Errorf("netlink error of %d bytes", len(body))
			}
			return server, client, true, unix.Errno(-int32(order.Uint32(body)))
		case sockDiagByFamily:
			if len(body) < diagTargetPort+2 {
				return server, client, true, fmt.Errorf("socket message of %d bytes", len(body))
			}
			if binary.BigEndian.Uint16(body[diagSourcePort:]) == port {
				server++
			}
			if binary.BigEndian.Uint16(body[diagTargetPort:]) == port {
				client++
			}
		}
		b = b[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(b)):]
	}
	return server, client, false, nil
}
