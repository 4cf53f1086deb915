/* Prints size and offsets of every struct of the header; the test compares them with Rust's. */
#include <stddef.h>
#include <stdio.h>

#include "kafkalog.h"

#define SIZE(type) printf(#type " %zu\n", sizeof(type))
#define AT(type, member) printf(#type "." #member " %zu\n", offsetof(type, member))

int main(void) {
    SIZE(kafkalog_bytes_t);
    AT(kafkalog_bytes_t, data);
    AT(kafkalog_bytes_t, len);
    SIZE(kafkalog_header_t);
    AT(kafkalog_header_t, name);
    AT(kafkalog_header_t, value);
    SIZE(kafkalog_record_t);
    AT(kafkalog_record_t, key);
    AT(kafkalog_record_t, value);
    AT(kafkalog_record_t, headers);
    AT(kafkalog_record_t, header_count);
    AT(kafkalog_record_t, timestamp_ms);
    AT(kafkalog_record_t, tag);
    AT(kafkalog_record_t, partition);
    AT(kafkalog_record_t, flags);
    SIZE(kafkalog_packed_t);
    AT(kafkalog_packed_t, key_off);
    AT(kafkalog_packed_t, key_len);
    AT(kafkalog_packed_t, value_off);
    AT(kafkalog_packed_t, value_len);
    AT(kafkalog_packed_t, timestamp_ms);
    AT(kafkalog_packed_t, tag);
    AT(kafkalog_packed_t, partition);
    AT(kafkalog_packed_t, flags);
    SIZE(kafkalog_delivery_t);
    AT(kafkalog_delivery_t, tag);
    AT(kafkalog_delivery_t, offset);
    AT(kafkalog_delivery_t, timestamp_ms);
    AT(kafkalog_delivery_t, partition);
    AT(kafkalog_delivery_t, code);
    SIZE(kafkalog_view_t);
    AT(kafkalog_view_t, offset);
    AT(kafkalog_view_t, timestamp_ms);
    AT(kafkalog_view_t, key);
    AT(kafkalog_view_t, value);
    AT(kafkalog_view_t, key_len);
    AT(kafkalog_view_t, value_len);
    AT(kafkalog_view_t, partition);
    AT(kafkalog_view_t, leader_epoch);
    AT(kafkalog_view_t, topic_index);
    AT(kafkalog_view_t, header_count);
    AT(kafkalog_view_t, reserved);
    SIZE(kafkalog_append_opts_t);
    AT(kafkalog_append_opts_t, struct_size);
    AT(kafkalog_append_opts_t, acks);
    AT(kafkalog_append_opts_t, timeout_ms);
    AT(kafkalog_append_opts_t, flags);
    SIZE(kafkalog_transport_vtable_t);
    AT(kafkalog_transport_vtable_t, struct_size);
    AT(kafkalog_transport_vtable_t, flags);
    AT(kafkalog_transport_vtable_t, ctx);
    AT(kafkalog_transport_vtable_t, start);
    AT(kafkalog_transport_vtable_t, send);
    AT(kafkalog_transport_vtable_t, set_peer);
    AT(kafkalog_transport_vtable_t, stop);
    AT(kafkalog_transport_vtable_t, release);
    return 0;
}
