// A network in Go under the engines of one process: a channel and a goroutine for each node.
package main

/*
#cgo pkg-config: kafkalog
#include <stdint.h>
#include <string.h>
#include "kafkalog.h"

extern int32_t goStart(uintptr_t, int32_t, kafkalog_inbox_t *);
extern int32_t goSend(uintptr_t, int32_t, kafkalog_bytes_t *, size_t);
extern int32_t goSetPeer(uintptr_t, int32_t, char *);
extern void goStop(uintptr_t);
extern void goRelease(uintptr_t);

// What the library calls; `ctx` is the number of a node.
static inline kafkalog_code_t net_start(void *ctx, int32_t node, kafkalog_inbox_t *in) { return goStart((uintptr_t)ctx, node, in); }
static inline kafkalog_code_t net_send(void *ctx, int32_t to, const kafkalog_bytes_t *parts, size_t n) {
	return goSend((uintptr_t)ctx, to, (kafkalog_bytes_t *)parts, n);
}
static inline kafkalog_code_t net_set_peer(void *ctx, int32_t node, const char *address) { return goSetPeer((uintptr_t)ctx, node, (char *)address); }
static inline void net_stop(void *ctx) { goStop((uintptr_t)ctx); }
static inline void net_release(void *ctx) { goRelease((uintptr_t)ctx); }
static inline kafkalog_code_t net_register(kafkalog_engine_t *e, uintptr_t node) {
	kafkalog_transport_vtable_t table;
	memset(&table, 0, sizeof table);
	table.struct_size = sizeof table;
	table.ctx = (void *)node;
	table.start = net_start;
	table.send = net_send;
	table.set_peer = net_set_peer;
	table.stop = net_stop;
	table.release = net_release;
	return kafkalog_transport_register(e, "go", &table, NULL);
}
*/
import "C"
import (
	"sync"
	"unsafe"
)

const nodes = 3

type frame struct {
	from  C.int32_t
	bytes []byte
}

type seat struct {
	inbox             *C.kafkalog_inbox_t
	frames            chan frame
	knows, isUp       [nodes]bool
	isThere, isCutOff bool
	released          int
}

var (
	mutex    sync.Mutex
	seats    [nodes]seat
	carriers sync.WaitGroup
)

//export goStart
func goStart(own C.uintptr_t, _ C.int32_t, inbox *C.kafkalog_inbox_t) C.int32_t {
	mutex.Lock()
	defer mutex.Unlock()
	s := &seats[own]
	s.inbox, s.frames, s.isThere = inbox, make(chan frame, 4096), true
	carriers.Add(1)
	go carry(s)
	return 0
}

// Brings every frame to its node, until the node has stopped.
func carry(s *seat) {
	defer carriers.Done()
	for f := range s.frames {
		mutex.Lock()
		isUp := s.isUp[f.from]
		mutex.Unlock()
		if isUp && len(f.bytes) > 0 {
			C.kafkalog_inbox_deliver(s.inbox, f.from, C.kafkalog_bytes_t{unsafe.Pointer(&f.bytes[0]), C.size_t(len(f.bytes))})
		}
	}
	C.kafkalog_inbox_release(s.inbox)
}

//export goSend
func goSend(own C.uintptr_t, to C.int32_t, parts *C.kafkalog_bytes_t, count C.size_t) C.int32_t {
	var bytes []byte
	for _, part := range unsafe.Slice(parts, int(count)) {
		bytes = append(bytes, unsafe.Slice((*byte)(part.data), int(part.len))...)
	}
	mutex.Lock()
	defer mutex.Unlock()
	if to < 0 || to >= nodes {
		return C.KAFKALOG_ERR_BROKER_NOT_AVAILABLE
	}
	if !seats[own].isUp[to] || !seats[to].isThere {
		return C.KAFKALOG_ERR_NETWORK_EXCEPTION
	}
	select {
	case seats[to].frames <- frame{C.int32_t(own), bytes}:
		return 0
	default:
		return C.KAFKALOG_ERR__QUEUE_FULL
	}
}

//export goSetPeer
func goSetPeer(own C.uintptr_t, node C.int32_t, address *C.char) C.int32_t {
	mutex.Lock()
	seats[own].knows[node] = address != nil
	mutex.Unlock()
	connect()
	return 0
}

//export goStop
func goStop(own C.uintptr_t) {
	mutex.Lock()
	seats[own].isThere = false
	close(seats[own].frames)
	mutex.Unlock()
	connect()
}

//export goRelease
func goRelease(own C.uintptr_t) {
	mutex.Lock()
	defer mutex.Unlock()
	seats[own].released++
}

// Tells both ends of every connection that begins or has ended. The library may be told from inside of its own calls.
func connect() {
	for a := range seats {
		for b := range seats {
			one, other := &seats[a], &seats[b]
			mutex.Lock()
			up := a != b && one.isThere && other.isThere && one.knows[b] && other.knows[a] && !one.isCutOff && !other.isCutOff
			changed := up != one.isUp[b] && one.isThere
			one.isUp[b] = up
			inbox := one.inbox
			mutex.Unlock()
			if changed {
				state := C.int32_t(0)
				if up {
					state = 1
				}
				C.kafkalog_inbox_peer_state(inbox, C.int32_t(b), state)
			}
		}
	}
}

func cutOff(node int, isCutOff bool) {
	mutex.Lock()
	seats[node].isCutOff = isCutOff
	mutex.Unlock()
	connect()
}

func register(e *C.kafkalog_engine_t, node int) C.kafkalog_code_t {
	return C.net_register(e, C.uintptr_t(node))
}
