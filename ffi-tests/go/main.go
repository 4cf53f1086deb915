// A packed batch in one call, deliveries read without further cgo calls.
package main

/*
#cgo pkg-config: kafkalog
#include <stdlib.h>
#include "kafkalog.h"
*/
import "C"
import (
	"fmt"
	"os"
	"unsafe"
)

func check(what string, c C.kafkalog_code_t) {
	if c != 0 {
		panic(what + ": " + C.GoString(C.kafkalog_code_name(c)))
	}
}
func main() {
	dir, topic, key := C.CString(os.Args[1]), C.CString("t"), C.CString("log.dirs")
	conf := C.kafkalog_conf_new()
	check("conf", C.kafkalog_conf_set(conf, key, dir, nil))
	var eng *C.kafkalog_engine_t
	check("open", C.kafkalog_engine_open(conf, &eng, nil))
	C.kafkalog_conf_destroy(conf)
	defer C.kafkalog_engine_destroy(eng)
	if c := C.kafkalog_topic_create(eng, topic, 1, 1, nil, 5000, nil); c != 36 {
		check("create", c)
	}
	q := C.kafkalog_queue_new(eng)
	var p *C.kafkalog_producer_t
	check("producer", C.kafkalog_producer_new(eng, nil, q, &p, nil))
	buf := []byte("onetwothree") // one flat buffer, no pointers in the index
	idx := []C.kafkalog_packed_t{
		{value_off: 0, value_len: 3, key_len: 1<<32 - 1, timestamp_ms: -1, tag: 1},
		{value_off: 3, value_len: 3, key_len: 1<<32 - 1, timestamp_ms: -1, tag: 2},
	}
	var ok C.size_t
	check("send", C.kafkalog_producer_send_packed(p, topic, unsafe.Pointer(&buf[0]), C.size_t(len(buf)), &idx[0], 2, nil, &ok))
	check("flush", C.kafkalog_producer_flush(p, 5000))
	for seen := C.size_t(0); seen < ok; {
		ev := C.kafkalog_queue_poll(q, 1000)
		var n C.size_t
		d := unsafe.Slice(C.kafkalog_event_deliveries(ev, &n), int(n)) // C memory, valid until destroy
		for i := range d {
			fmt.Println("tag", d[i].tag, "offset", d[i].offset, "code", d[i].code)
		}
		seen += n
		C.kafkalog_event_destroy(ev)
	}
	C.kafkalog_producer_destroy(p)
	C.kafkalog_queue_destroy(q)
}
