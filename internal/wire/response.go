package wire

import "strconv"

// ContentType is the type of every body that the servers send.
const ContentType = "text/plain"

// statusLines holds the start lines of the statuses that servers answer with, up to the length of the body.
var statusLines = func() map[int]string {
	lines := map[int]string{}
	for status, text := range map[int]string{
		200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large",
		417: "Expectation Failed", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
		501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 505: "HTTP Version Not Supported",
	} {
		lines[status] = "HTTP/1.1 " + strconv.Itoa(status) + " " + text + "\r\nContent-Type: " + ContentType + "\r\nContent-Length: "
	}
	return lines
}()

// statusOK is the most frequent of statusLines, without the look-up.
var statusOK = statusLines[200]

// Continue is the interim reply to a request with Expect set.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// AppendResponse appends a reply with its body. With close it says that the connection ends.
func AppendResponse(dst []byte, status int, body []byte, close bool) []byte {
	return append(AppendHead(dst, status, len(body), close), body...)
}

// AppendHead appends a reply's head alone, for a body of length bytes: the whole of a reply to HEAD.
func AppendHead(dst []byte, status, length int, close bool) []byte {
	start := statusOK
	if status != 200 {
		var known bool
		if start, known = statusLines[status]; !known {
			start = "HTTP/1.1 " + strconv.Itoa(status) + " \r\nContent-Type: " + ContentType + "\r\nContent-Length: "
		}
	}
	dst = append(dst, start...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	if close {
		return append(dst, "\r\nConnection: close\r\n\r\n"...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendRequest appends a request. headers are whole fields, "Name: value"; Host is taken from host unless they hold one.
// A body, or the method POST, PUT or PATCH, gives a Content-Length.
func AppendRequest(dst []byte, method, host, path string, headers []string, body []byte, close bool) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, path...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if !names(headers, "host") {
		dst = append(dst, "Host: "...)
		dst = append(dst, host...)
		dst = append(dst, "\r\n"...)
	}
	for _, h := range headers {
		dst = append(dst, h...)
		dst = append(dst, "\r\n"...)
	}
	if len(body) > 0 || method == "POST" || method == "PUT" || method == "PATCH" {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	if close {
		dst = append(dst, "Connection: close\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

// names reports whether one of the fields has the lower-case name.
func names(headers []string, name string) bool {
	for _, h := range headers {
		if len(h) > len(name) && h[len(name)] == ':' && equalFold([]byte(h[:len(name)]), name) {
			return true
		}
	}
	return false
}
