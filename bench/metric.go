package main

// The names of metrics in loads' figures and in the file.
const (
	metricThroughput = "throughput"
	metricCPU        = "cpu"
	metricSpread     = "spread"
	metricP50        = "p50"
	metricP99        = "p99"
	metricRate       = "rate"
	metricConnectCPU = "connect-cpu"
)

// metric says what a figure means.
type metric struct {
	name   string
	title  string // of its part of the table, with the unit
	unit   string
	more   bool // is better
	digits int  // behind the point
}

// metrics are in the order of the table.
var metrics = []metric{
	{name: metricThroughput, title: "throughput, Gbit/s", unit: "Gbit/s", more: true, digits: 2},
	{name: metricCPU, title: "processor time of all processes, s/GiB", unit: "s/GiB", digits: 3},
	{name: metricSpread, title: "unfairness: (fastest − slowest) / mean of the connections, %", unit: "%", digits: 0},
	{name: metricP50, title: "round trip of 1 byte, median, µs", unit: "µs", digits: 1},
	{name: metricP99, title: "round trip of 1 byte, 99th percentile, µs", unit: "µs", digits: 1},
	{name: metricRate, title: "connections opened and ended per second", unit: "1/s", more: true, digits: 0},
	{name: metricConnectCPU, title: "processor time of all processes per connection, µs", unit: "µs", digits: 0},
}
