// A cluster of hashicorp/memberlist in one process on loopback, with its defaults for a LAN: what a member costs at
// rest. Arguments: members, windows, seconds a window, seconds of quiet before the first.
// Prints one line of JSON a window; what it costs to know a member is in each of them.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

type window struct {
	Members              int     `json:"members"`
	CPUMsPerMemberSecond float64 `json:"cpuMsPerMemberSecond"`
	PacketsPerMemberS    float64 `json:"packetsPerMemberSecond"`
	BytesPerMemberS      float64 `json:"bytesPerMemberSecond"`
	HeapPerKnownMember   float64 `json:"heapPerKnownMember"`
	SyncBytes            float64 `json:"syncBytes"`
}

// counted counts what goes out as packets, and what is read and written on streams: those are its push/pulls.
type counted struct {
	memberlist.Transport
	packets, bytes, streams, streamBytes *int64
}

func (c counted) WriteTo(b []byte, addr string) (time.Time, error) {
	atomic.AddInt64(c.packets, 1)
	atomic.AddInt64(c.bytes, int64(len(b)))
	return c.Transport.WriteTo(b, addr)
}

func (c counted) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	conn, err := c.Transport.DialTimeout(addr, timeout)
	if err != nil {
		return nil, err
	}
	atomic.AddInt64(c.streams, 1)
	return countedConn{conn, c.streamBytes}, nil
}

type countedConn struct {
	net.Conn
	bytes *int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	atomic.AddInt64(c.bytes, int64(n))
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	atomic.AddInt64(c.bytes, int64(n))
	return n, err
}

func main() {
	members, windows, seconds, quiet := argument(1), argument(2), argument(3), argument(4)
	var packets, bytes, streams, streamBytes int64
	logger := log.New(io.Discard, "", 0)
	all := make([]*memberlist.Memberlist, members)
	for i := range all {
		transport, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{"127.0.0.1"}, BindPort: 0, Logger: logger,
		})
		check(err)
		config := memberlist.DefaultLANConfig()
		config.Name = fmt.Sprintf("node-%d", i)
		config.BindAddr = "127.0.0.1"
		config.BindPort = transport.GetAutoBindPort()
		config.AdvertisePort = config.BindPort
		config.Transport = counted{transport, &packets, &bytes, &streams, &streamBytes}
		config.Logger = logger
		all[i], err = memberlist.Create(config)
		check(err)
		if i > 0 {
			_, err = all[i].Join([]string{all[0].LocalNode().Address()})
			check(err)
		}
	}
	for deadline := time.Now().Add(60 * time.Second); !together(all); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			check(fmt.Errorf("not all of %d members see all after a minute", members))
		}
	}
	time.Sleep(time.Duration(quiet) * time.Second)

	encoder := json.NewEncoder(os.Stdout)
	for i := 0; i < windows; i++ {
		p, b, s, sb, cpu, start := packets, bytes, streams, streamBytes, cpuMs(), time.Now()
		time.Sleep(time.Duration(seconds) * time.Second)
		perMember := float64(members) * time.Since(start).Seconds()
		cpu = cpuMs() - cpu
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		w := window{
			Members:              members,
			CPUMsPerMemberSecond: cpu / perMember,
			PacketsPerMemberS:    float64(packets-p) / perMember,
			BytesPerMemberS:      float64(bytes-b) / perMember,
			HeapPerKnownMember:   float64(memory.HeapAlloc) / float64(members*members),
		}
		if streams > s {
			w.SyncBytes = float64(streamBytes-sb) / float64(streams-s)
		}
		check(encoder.Encode(w))
	}
	// Leaving takes its time; the sockets close with the process.
}

func together(all []*memberlist.Memberlist) bool {
	for _, m := range all {
		if m.NumMembers() != len(all) {
			return false
		}
	}
	return true
}

func cpuMs() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func argument(i int) int {
	value, err := strconv.Atoi(os.Args[i])
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
