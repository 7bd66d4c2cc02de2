package floor

// Grid lists the kinds that `millrace calibrate` measures for an engine when it is asked for none: connections kept, with
// and without pipelining, and a connection for each request, reset or closed by the client. What an engine can't do is left out;
// of one that the raw reflector can't talk to, which has no TLS, nothing is left. The one that leaves sockets in TIME_WAIT is last.
func Grid(engine string) []Kind {
	protocols, depths := []string{"http1", "frame"}, []int{1, 16}
	switch engine {
	case "vegeta":
		protocols, depths = protocols[:1], depths[:1]
	case "tls":
		return nil
	}
	var kinds []Kind
	for _, protocol := range protocols {
		for _, depth := range depths {
			for _, n := range []int{64, 1000, 10_000} {
				kinds = append(kinds, Kind{Engine: engine, Protocol: protocol, Connections: n, Pipeline: depth, Payload: defaultPayload})
			}
		}
	}
	for _, policy := range []string{"rst", "fin-client"} {
		kinds = append(kinds, Kind{Engine: engine, Protocol: "http1", Connections: ShortConnections, Pipeline: 1, Requests: 1, Payload: defaultPayload, Close: policy})
	}
	return kinds
}

// defaultPayload is the scenarios' default.
const defaultPayload = 13
