package results

// Reading is a line of readings.jsonl: the resources of one server, and of the host around it, at one time. Counters are
// cumulative since the process or the host started. A value that could not be read is absent from the line and nil here.
type Reading struct {
	Schema int   `json:"schema"`
	TNs    int64 `json:"t_ns"` // CLOCK_MONOTONIC − T0
	// Edge names the phase that begins at this reading; "end" after the last; empty for the readings between.
	Edge string `json:"edge,omitempty"`

	// The server's process, from /proc.
	RSSBytes     *int64 `json:"rss_bytes,omitempty"`
	RSSAnonBytes *int64 `json:"rss_anon_bytes,omitempty"`
	PSSBytes     *int64 `json:"pss_bytes,omitempty"`      // at edges only
	RSSPeakBytes *int64 `json:"rss_peak_bytes,omitempty"` // VmHWM
	CPUUserNs    *int64 `json:"cpu_user_ns,omitempty"`
	CPUSystemNs  *int64 `json:"cpu_system_ns,omitempty"`
	Threads      *int64 `json:"threads,omitempty"`
	Files        *int64 `json:"files,omitempty"` // once a second

	// The server's own readings, over its control channel.
	Goroutines          *int64 `json:"goroutines,omitempty"`
	HeapLiveBytes       *int64 `json:"heap_live_bytes,omitempty"`
	HeapInUseBytes      *int64 `json:"heap_in_use_bytes,omitempty"`
	StackBytes          *int64 `json:"stack_bytes,omitempty"`
	RuntimeOtherBytes   *int64 `json:"runtime_other_bytes,omitempty"`
	AllocBytes          *int64 `json:"alloc_bytes,omitempty"` // cumulative
	AllocObjects        *int64 `json:"alloc_objects,omitempty"`
	GCCycles            *int64 `json:"gc_cycles,omitempty"`
	GCCPUNs             *int64 `json:"gc_cpu_ns,omitempty"`
	GCPauseNs           *int64 `json:"gc_pause_ns,omitempty"`     // cumulative
	GCPauseMaxNs        *int64 `json:"gc_pause_max_ns,omitempty"` // upper bound of the largest pause so far
	SchedP99Ns          *int64 `json:"sched_p99_ns,omitempty"`    // scheduler latency since the last reading
	SwitchesVoluntary   *int64 `json:"switches_voluntary,omitempty"`
	SwitchesInvoluntary *int64 `json:"switches_involuntary,omitempty"`
	Accepted            *int64 `json:"accepted,omitempty"`
	Open                *int64 `json:"open,omitempty"`
	Closed              *int64 `json:"closed,omitempty"`
	Handled             *int64 `json:"handled,omitempty"`
	Refused             *int64 `json:"refused,omitempty"`
	BodyBytesIn         *int64 `json:"body_bytes_in,omitempty"`
	BodyBytesOut        *int64 `json:"body_bytes_out,omitempty"`

	// Of a server that sends on its own. Frames that it made; copies of them that its connections took; copies forgotten since
	// too many waited for a subscriber, and subscribers disconnected for that; and subscribers now. PushLateMaxNs and PushLateP99Ns
	// are how late it made them, over all so far.
	Pushed       *int64 `json:"pushed,omitempty"`
	Delivered    *int64 `json:"delivered,omitempty"`
	Dropped      *int64 `json:"dropped,omitempty"`
	Disconnected *int64 `json:"disconnected,omitempty"`
	Subscribers  *int64 `json:"subscribers,omitempty"`

	PushLateMaxNs *int64 `json:"push_late_max_ns,omitempty"`
	PushLateP99Ns *int64 `json:"push_late_p99_ns,omitempty"`

	// Calls of a downstream, cumulative: begun, answered, failed, and those that waited for a connection. Absent where the work
	// calls none.
	DownstreamCalls    *int64 `json:"downstream_calls,omitempty"`
	DownstreamAnswered *int64 `json:"downstream_answered,omitempty"`
	DownstreamFailed   *int64 `json:"downstream_failed,omitempty"`
	DownstreamWaited   *int64 `json:"downstream_waited,omitempty"`

	// The host: both ends of every loopback connection are in these.
	SocketBytes     *int64 `json:"socket_bytes,omitempty"` // sockstat TCP mem
	SlabBytes       *int64 `json:"slab_bytes,omitempty"`
	AvailableBytes  *int64 `json:"available_bytes,omitempty"` // MemAvailable
	SocketsInUse    *int64 `json:"sockets_in_use,omitempty"`
	TimeWait        *int64 `json:"time_wait,omitempty"`
	TimeWaitServer  *int64 `json:"time_wait_server,omitempty"` // before and after the phases
	TimeWaitClient  *int64 `json:"time_wait_client,omitempty"` // before and after the phases
	ListenOverflows *int64 `json:"listen_overflows,omitempty"`
	ListenDrops     *int64 `json:"listen_drops,omitempty"`
	Retransmits     *int64 `json:"retransmits,omitempty"`
	SynRetransmits  *int64 `json:"syn_retransmits,omitempty"`
	BacklogDrops    *int64 `json:"backlog_drops,omitempty"`
	StealNs         *int64 `json:"steal_ns,omitempty"` // over all CPUs
	// SamplerCPUNs is the CPU time that sampling itself has taken.
	SamplerCPUNs *int64 `json:"sampler_cpu_ns,omitempty"`
}

// CPUNs is the process's CPU time so far, in ns; nil where it was not read.
func (r *Reading) CPUNs() *int64 {
	if r.CPUUserNs == nil || r.CPUSystemNs == nil {
		return nil
	}
	ns := *r.CPUUserNs + *r.CPUSystemNs
	return &ns
}
