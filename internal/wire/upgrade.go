package wire

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

// MaxUpgrade is the most bytes of the reply to an upgrade that a client takes.
const MaxUpgrade = MaxHeader

// acceptGUID is put behind the key before it is hashed, RFC 6455 section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// The errors of ParseUpgrade.
var (
	ErrUpgradeStatus = &Error{0, "upgrading to WebSocket: the reply is not 101 Switching Protocols"}
	ErrUpgradeField  = &Error{0, "upgrading to WebSocket: the reply lacks Upgrade: websocket or Connection: Upgrade, or a line is no header"}
	ErrUpgradeAccept = &Error{0, "upgrading to WebSocket: Sec-WebSocket-Accept is not what follows from the key"}
	ErrUpgradeExtra  = &Error{0, "upgrading to WebSocket: the server takes an extension or a protocol that was not offered"}
	ErrUpgradeLong   = &Error{0, "upgrading to WebSocket: a reply over 8 KiB"}
)

// UpgradeKey is the Sec-WebSocket-Key of 16 bytes that are given as two numbers.
func UpgradeKey(a, b uint64) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], a)
	binary.BigEndian.PutUint64(raw[8:], b)
	return base64.StdEncoding.EncodeToString(raw[:])
}

// UpgradeAccept is the Sec-WebSocket-Accept that answers a key.
func UpgradeAccept(key string) string {
	sum := sha1.Sum([]byte(key + acceptGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// AppendUpgrade appends the request with which a client upgrades a connection to WebSocket.
func AppendUpgrade(dst []byte, host, path, key string) []byte {
	dst = append(append(append(dst, "GET "...), path...), " HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, host...), "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	return append(append(dst, key...), "\r\n\r\n"...)
}

// ParseUpgrade reads the reply to an upgrade from the start of buf. n is how many bytes it takes, zero without an error if it is
// incomplete; what follows is WebSocket. It allocates, once a connection.
func ParseUpgrade(buf []byte, key string) (n int, err error) {
	end := bytes.Index(buf, []byte("\r\n\r\n"))
	if end < 0 || end+4 > MaxUpgrade {
		if len(buf) > MaxUpgrade {
			return 0, ErrUpgradeLong
		}
		return 0, nil
	}
	status, fields, _ := bytes.Cut(buf[:end], []byte("\r\n"))
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 101")) || len(status) > 12 && status[12] != ' ' {
		return 0, ErrUpgradeStatus
	}
	var upgrade, connection, accepted bool
	for len(fields) > 0 {
		var line []byte
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || !allIn(&tokenByte, name) || !allIn(&valueByte, value) {
			return 0, ErrUpgradeField
		}
		value = trimBlanks(value)
		switch {
		case equalFold(name, "upgrade"):
			upgrade = upgrade || equalFold(value, "websocket")
		case equalFold(name, "connection"):
			for item := range bytes.SplitSeq(value, []byte(",")) {
				connection = connection || equalFold(trimBlanks(item), "upgrade")
			}
		case equalFold(name, "sec-websocket-accept"):
			if accepted = string(value) == UpgradeAccept(key); !accepted {
				return 0, ErrUpgradeAccept
			}
		case equalFold(name, "sec-websocket-extensions") || equalFold(name, "sec-websocket-protocol"):
			return 0, ErrUpgradeExtra
		}
	}
	switch {
	case !upgrade || !connection:
		return 0, ErrUpgradeField
	case !accepted:
		return 0, ErrUpgradeAccept
	}
	return end + 4, nil
}
