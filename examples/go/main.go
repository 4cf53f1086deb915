// cd examples/go && go build -o /tmp/produce . && /tmp/produce    (after cargo build --release)
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../include
#cgo LDFLAGS: -L${SRCDIR}/../../target/release -lkafkalog -Wl,-rpath,${SRCDIR}/../../target/release
#include <stdlib.h>
#include "kafkalog.h"
*/
import "C"
import (
	"fmt"
	"os"
	"unsafe"
)

func check(code C.kafkalog_code_t) {
	if code != 0 {
		panic(C.GoString(C.kafkalog_code_str(code)))
	}
}

func main() {
	dir := "kafkalog-data"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	name, value, topic := C.CString("log.dirs"), C.CString(dir), C.CString("orders")
	conf := C.kafkalog_conf_new()
	check(C.kafkalog_conf_set(conf, name, value, nil))
	var engine *C.kafkalog_engine_t
	check(C.kafkalog_engine_open(conf, &engine, nil))
	var producer *C.kafkalog_producer_t
	check(C.kafkalog_producer_new(engine, nil, nil, &producer, nil))

	order := []byte("two coffees")
	bytes := C.CBytes(order) // a struct that Go passes to C may not point to memory of Go
	record := C.kafkalog_record_t{timestamp_ms: -1, partition: -1}
	record.value = C.kafkalog_bytes_t{data: bytes, len: C.size_t(len(order))}
	var placed C.kafkalog_delivery_t
	check(C.kafkalog_producer_send_wait(producer, topic, &record, C.size_t(unsafe.Sizeof(record)), 5000, &placed))
	fmt.Printf("two coffees went to partition %d, offset %d\n", placed.partition, placed.offset)

	C.kafkalog_producer_destroy(producer)
	C.kafkalog_engine_destroy(engine)
	C.kafkalog_conf_destroy(conf)
	C.free(bytes)
}
