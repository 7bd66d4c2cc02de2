package ring

import "unsafe"

// What follows is the kernel's own: include/uapi/linux/io_uring.h of Linux 6.12, whose names the constants keep without
// their prefix. Package unix has the numbers of the three system calls only.

// Flags of io_uring_setup.
const (
	setupCQSize       = 1 << 3
	setupRDisabled    = 1 << 6
	setupSubmitAll    = 1 << 7
	setupTaskrunFlag  = 1 << 9
	setupSingleIssuer = 1 << 12 // 6.0
	setupDeferTaskrun = 1 << 13 // 6.1
	setupNoSQArray    = 1 << 16 // 6.6
)

// Features that io_uring_setup tells of.
const (
	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1
	featExtArg     = 1 << 8
	featMinTimeout = 1 << 15 // 6.12
)

// Offsets for mmap.
const (
	offSQRing = 0
	offSQEs   = 0x10000000
)

// Flags of io_uring_enter.
const (
	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3
)

// Flags that the kernel sets in the submission ring.
const (
	sqCQOverflow = 1 << 1
	sqTaskrun    = 1 << 2
)

// Operations of io_uring_register.
const (
	registerEnableRings = 12
	registerPbufRing    = 22
)

// pbufRingInc lets one buffer take several receives, one behind the other (6.12).
const pbufRingInc = 2

// Operations.
const (
	opPollAdd     = 6
	opAsyncCancel = 14
	opSend        = 26
	opRecv        = 27
)

// Flags of an entry, and of its operation.
const (
	sqeBufferSelect  = 1 << 5
	pollMulti        = 1 << 0 // in len
	recvPollFirst    = 1 << 0 // in ioprio
	recvMultishot    = 1 << 1 // in ioprio
	cancelAll        = 1 << 0 // in opFlags
	cancelFD         = 1 << 1 // in opFlags
	cqeBuffer        = 1 << 0
	cqeMore          = 1 << 1
	cqeBufMore       = 1 << 4
	cqeBufferShift   = 16
	bufferGroup      = 0
	bufferTailOffset = 12 // of the word that holds the first entry's id and the ring's tail
)

// sqe is struct io_uring_sqe.
type sqe struct {
	opcode      uint8
	flags       uint8
	ioprio      uint16
	fd          int32
	off         uint64
	addr        uint64
	len         uint32
	opFlags     uint32
	userData    uint64
	bufGroup    uint16
	personality uint16
	spliceFD    int32
	addr3       uint64
	_           uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     sqOffsets
	cq                                                                     cqOffsets
}

type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, _ uint32
	_                                                           uint64
}

type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, _ uint32
	_                                                           uint64
}

// waitArg is struct io_uring_getevents_arg.
type waitArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid, flags uint16
	_           [3]uint64
}

// buf is struct io_uring_buf. In the first one of a ring, resv is the ring's tail.
type buf struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// The kernel's sizes; a mistake above doesn't compile.
var (
	_ [64]byte  = [unsafe.Sizeof(sqe{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(cqe{})]byte{}
	_ [120]byte = [unsafe.Sizeof(params{})]byte{}
	_ [24]byte  = [unsafe.Sizeof(waitArg{})]byte{}
	_ [40]byte  = [unsafe.Sizeof(bufReg{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(buf{})]byte{}
)
