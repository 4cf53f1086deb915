// Three engines of one process are a cluster over a network that is written in Go.
package main

/*
#include <stdlib.h>
#include "kafkalog.h"
*/
import "C"
import (
	"encoding/json"
	"fmt"
	"os"
	"time"
	"unsafe"
)

var engines [nodes]*C.kafkalog_engine_t

func check(what string, c C.kafkalog_code_t) {
	if c != 0 {
		panic(what + ": " + C.GoString(C.kafkalog_code_name(c)))
	}
}

func set(conf *C.kafkalog_conf_t, name, value string) {
	n, v := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(v))
	check(name, C.kafkalog_conf_set(conf, n, v, nil))
}

func open(dir string, node int) {
	conf := C.kafkalog_conf_new()
	defer C.kafkalog_conf_destroy(conf)
	set(conf, "log.dirs", fmt.Sprint(dir, "-", node))
	set(conf, "node.id", fmt.Sprint(node))
	set(conf, "cluster.id", "4L6g3nShT-eMCtK--X86sw")
	set(conf, "listeners", fmt.Sprint("go://", node))
	set(conf, "controller.quorum.voters", "0@go://0,1@go://1,2@go://2")
	check("open", C.kafkalog_engine_open(conf, &engines[node], nil))
	check("register", register(engines[node], node))
}

// Until it is so, for a minute at the most.
func until(what string, is func() bool) {
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			panic("not within a minute: " + what)
		}
	}
}

type status struct {
	Leader *int
	Isr    []int
}

func statusOf(node int, topic *C.char) (s status) {
	var buf *C.kafkalog_buf_t
	check("status", C.kafkalog_replica_status(engines[node], topic, 0, &buf, nil))
	defer C.kafkalog_buf_destroy(buf)
	if err := json.Unmarshal([]byte(C.GoString(C.kafkalog_buf_data(buf))), &s); err != nil {
		panic(err)
	}
	return s
}

// The leader that `node` sees, once it is another one than `not` and so many are in sync.
func leader(node int, topic *C.char, not, inSync int) (found int) {
	until("another leader", func() bool {
		s := statusOf(node, topic)
		if s.Leader == nil || *s.Leader == not || len(s.Isr) != inSync {
			return false
		}
		found = *s.Leader
		return true
	})
	return found
}

func send(node int, topic *C.char, retries string) C.kafkalog_code_t {
	conf := C.kafkalog_conf_new()
	defer C.kafkalog_conf_destroy(conf)
	set(conf, "retries", retries)
	var p *C.kafkalog_producer_t
	check("producer", C.kafkalog_producer_new(engines[node], conf, nil, &p, nil))
	defer C.kafkalog_producer_destroy(p)
	value := C.CString("value")
	defer C.free(unsafe.Pointer(value))
	record := (*C.kafkalog_record_t)(C.calloc(1, C.sizeof_kafkalog_record_t))
	defer C.free(unsafe.Pointer(record))
	record.value = C.kafkalog_bytes_t{unsafe.Pointer(value), 5}
	record.timestamp_ms, record.partition = -1, -1
	var delivery C.kafkalog_delivery_t
	return C.kafkalog_producer_send_wait(p, topic, record, C.sizeof_kafkalog_record_t, 60000, &delivery)
}

func main() {
	topic, strict := C.CString("t"), C.CString("strict")
	for node := range engines {
		open(os.Args[1], node)
	}
	for name, minInSync := range map[*C.char]string{topic: "2", strict: "3"} {
		conf := C.kafkalog_conf_new()
		set(conf, "min.insync.replicas", minInSync)
		until("the topic", func() bool {
			c := C.kafkalog_topic_create(engines[0], name, 1, nodes, conf, 10000, nil)
			return c == 0 || c == C.KAFKALOG_ERR_TOPIC_ALREADY_EXISTS
		})
		C.kafkalog_conf_destroy(conf)
	}
	old := leader(0, topic, -1, nodes)
	for node := range engines {
		check("send", send(node, topic, "100"))
		check("send", send(node, strict, "100"))
	}
	fmt.Println("three in sync: acknowledged")

	cutOff(old, true)
	other := (old + 1) % nodes
	leader(other, topic, old, nodes-1)
	check("send", send(other, topic, "100"))
	fmt.Println("the leader is lost: acknowledged by another")
	leader(other, strict, old, nodes-1)
	fmt.Println("two in sync are not three:", send(other, strict, "0"))

	cutOff(old, false)
	leader(other, strict, -1, nodes)
	check("send", send(old, strict, "100"))
	fmt.Println("it is back: acknowledged")

	for node := range engines {
		C.kafkalog_engine_destroy(engines[node])
	}
	carriers.Wait()
	for node := range seats {
		if seats[node].released != 1 {
			panic("not released once")
		}
	}
}
