/* NULL for every pointer of every function: a code or a neutral value, never a crash. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

static int failures;

static void row(const char *call, int holds) {
    if (!holds) {
        fprintf(stderr, "not refused: %s\n", call);
        failures++;
    }
}

#define REFUSED(call) row(#call, (call) == KAFKALOG_ERR__INVALID_ARG)
#define NEUTRAL(call, value) row(#call, (call) == (value))

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_queue_t *q = kafkalog_queue_new(e);
    kafkalog_producer_t *p = NULL;
    kafkalog_consumer_t *c = NULL;
    kafkalog_log_t *l = NULL;
    kafkalog_batch_t *b = NULL;
    kafkalog_tplist_t *list = kafkalog_tplist_new(0);
    kafkalog_record_t r = record_of("k", "v", 1);
    kafkalog_packed_t packed = {0, 0, 0, 0, -1, 1, -1, 0};
    kafkalog_bytes_t bytes = {NULL, 0};
    kafkalog_header_t header;
    kafkalog_transport_vtable_t table;
    kafkalog_delivery_t delivery;
    kafkalog_engine_t *no_engine = NULL;
    kafkalog_producer_t *no_producer = NULL;
    kafkalog_consumer_t *no_consumer = NULL;
    kafkalog_log_t *no_log = NULL;
    kafkalog_batch_t *no_batch = NULL;
    kafkalog_buf_t *buf = NULL;
    kafkalog_tplist_t *out_list = NULL;
    kafkalog_code_t code;
    const char *text;
    int32_t partition;
    int64_t o1, o2, o3;
    size_t count = 9;

    OK(kafkalog_topic_create(e, "t", 1, 1, NULL, -1, NULL));
    OK(kafkalog_producer_new(e, NULL, q, &p, NULL));
    OK(kafkalog_consumer_new(e, NULL, NULL, &c, NULL));
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_tplist_add(list, "t", 0, 0));
    OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &o1));
    OK(kafkalog_log_read(l, 0, 1 << 20, 1000, &b));

    /* errors and buffers */
    NEUTRAL(kafkalog_error_code(NULL), 0);
    NEUTRAL(kafkalog_error_message(NULL)[0], '\0');
    NEUTRAL(kafkalog_error_is_retriable(NULL), 0);
    NEUTRAL(kafkalog_error_is_fatal(NULL), 0);
    NEUTRAL(kafkalog_buf_data(NULL)[0], '\0');
    NEUTRAL(kafkalog_buf_len(NULL), 0);

    /* settings */
    REFUSED(kafkalog_conf_set(NULL, "acks", "1", NULL));
    REFUSED(kafkalog_conf_set(conf, NULL, "1", NULL));
    REFUSED(kafkalog_conf_set(conf, "acks", NULL, NULL));
    REFUSED(kafkalog_conf_get(NULL, "acks", &buf));
    REFUSED(kafkalog_conf_get(conf, NULL, &buf));
    REFUSED(kafkalog_conf_get(conf, "acks", NULL));
    NEUTRAL(kafkalog_conf_dup(NULL), NULL);
    REFUSED(kafkalog_conf_describe(conf, NULL));
    REFUSED(kafkalog_conf_describe(NULL, NULL));
    REFUSED(kafkalog_conf_set_log(NULL, NULL, NULL));

    /* engine */
    REFUSED(kafkalog_engine_open(NULL, &no_engine, NULL));
    REFUSED(kafkalog_engine_open(conf, NULL, NULL));
    REFUSED(kafkalog_engine_close(NULL, 0, NULL));
    REFUSED(kafkalog_engine_fatal_error(NULL, NULL));
    REFUSED(kafkalog_engine_sync(NULL, 0));
    NEUTRAL(kafkalog_engine_queue(NULL), NULL);
    REFUSED(kafkalog_engine_stats(NULL, &buf));
    REFUSED(kafkalog_engine_stats(e, NULL));
    REFUSED(kafkalog_engine_metrics_text(NULL, &buf));
    REFUSED(kafkalog_engine_metrics_text(e, NULL));

    /* topics */
    REFUSED(kafkalog_topic_create(NULL, "u", 1, 1, NULL, 0, NULL));
    REFUSED(kafkalog_topic_create(e, NULL, 1, 1, NULL, 0, NULL));
    REFUSED(kafkalog_topic_delete(NULL, "u", 0, NULL));
    REFUSED(kafkalog_topic_delete(e, NULL, 0, NULL));
    REFUSED(kafkalog_topic_add_partitions(NULL, "t", 2, 0, NULL));
    REFUSED(kafkalog_topic_add_partitions(e, NULL, 2, 0, NULL));
    REFUSED(kafkalog_topic_alter(NULL, "t", "retention.ms", "1", 0, NULL));
    REFUSED(kafkalog_topic_alter(e, NULL, "retention.ms", "1", 0, NULL));
    REFUSED(kafkalog_topic_alter(e, "t", NULL, "1", 0, NULL));
    REFUSED(kafkalog_topic_delete_records(NULL, list, 0, NULL));
    REFUSED(kafkalog_topic_delete_records(e, NULL, 0, NULL));
    REFUSED(kafkalog_topic_partition_count(NULL, "t", &partition));
    REFUSED(kafkalog_topic_partition_count(e, NULL, &partition));
    REFUSED(kafkalog_topic_partition_count(e, "t", NULL));
    REFUSED(kafkalog_metadata(NULL, NULL, &buf, NULL));
    REFUSED(kafkalog_metadata(e, NULL, NULL, NULL));

    /* queue and events */
    NEUTRAL(kafkalog_queue_new(NULL), NULL);
    NEUTRAL(kafkalog_queue_poll(NULL, 0), NULL);
    NEUTRAL(kafkalog_queue_poll_many(NULL, NULL, 1, 0), 0);
    NEUTRAL(kafkalog_queue_poll_many(q, NULL, 1, 0), 0);
    kafkalog_queue_wake(NULL);
    NEUTRAL(kafkalog_queue_fd(NULL), -1);
    NEUTRAL(kafkalog_event_type(NULL), 0);
    NEUTRAL(kafkalog_event_code(NULL), 0);
    NEUTRAL(kafkalog_event_error(NULL), NULL);
    NEUTRAL(kafkalog_event_deliveries(NULL, &count), NULL);
    NEUTRAL(count, 0);
    NEUTRAL(kafkalog_event_deliveries(NULL, NULL), NULL);
    NEUTRAL(kafkalog_event_partitions(NULL), NULL);
    NEUTRAL(kafkalog_event_text(NULL).data, NULL);

    /* producer */
    REFUSED(kafkalog_producer_new(NULL, NULL, NULL, &no_producer, NULL));
    REFUSED(kafkalog_producer_new(e, NULL, NULL, NULL, NULL));
    REFUSED(kafkalog_producer_send(NULL, "t", &r, sizeof r));
    REFUSED(kafkalog_producer_send(p, NULL, &r, sizeof r));
    REFUSED(kafkalog_producer_send(p, "t", NULL, sizeof r));
    REFUSED(kafkalog_producer_send_batch(NULL, "t", &r, sizeof r, 1, &code, &count));
    REFUSED(kafkalog_producer_send_batch(p, NULL, &r, sizeof r, 1, &code, &count));
    REFUSED(kafkalog_producer_send_batch(p, "t", NULL, sizeof r, 1, &code, &count));
    REFUSED(kafkalog_producer_send_batch(p, "t", &r, sizeof r, 1, &code, NULL));
    REFUSED(kafkalog_producer_send_packed(NULL, "t", "", 0, &packed, 1, &code, &count));
    REFUSED(kafkalog_producer_send_packed(p, NULL, "", 0, &packed, 1, &code, &count));
    REFUSED(kafkalog_producer_send_packed(p, "t", NULL, 1, &packed, 1, &code, &count));
    REFUSED(kafkalog_producer_send_packed(p, "t", "", 0, NULL, 1, &code, &count));
    REFUSED(kafkalog_producer_send_packed(p, "t", "", 0, &packed, 1, &code, NULL));
    REFUSED(kafkalog_producer_send_wait(NULL, "t", &r, sizeof r, 0, &delivery));
    REFUSED(kafkalog_producer_send_wait(p, NULL, &r, sizeof r, 0, &delivery));
    REFUSED(kafkalog_producer_send_wait(p, "t", NULL, sizeof r, 0, &delivery));
    REFUSED(kafkalog_producer_send_wait(p, "t", &r, sizeof r, 0, NULL));
    REFUSED(kafkalog_producer_flush(NULL, 0));
    REFUSED(kafkalog_producer_purge(NULL, KAFKALOG_PURGE_QUEUED));
    NEUTRAL(kafkalog_producer_pending(NULL), 0);
    r.headers = NULL;
    r.header_count = 1;
    REFUSED(kafkalog_producer_send(p, "t", &r, sizeof r));
    r.header_count = 0;
    r.value.data = NULL;
    r.value.len = 1;
    REFUSED(kafkalog_producer_send(p, "t", &r, sizeof r));

    /* direct access */
    REFUSED(kafkalog_log_open(NULL, "t", 0, &no_log, NULL));
    REFUSED(kafkalog_log_open(e, NULL, 0, &no_log, NULL));
    REFUSED(kafkalog_log_open(e, "t", 0, NULL, NULL));
    REFUSED(kafkalog_log_append(NULL, &r, sizeof r, 1, NULL, &o1));
    REFUSED(kafkalog_log_append(l, NULL, sizeof r, 1, NULL, &o1));
    REFUSED(kafkalog_log_append(l, &r, sizeof r, 1, NULL, NULL));
    REFUSED(kafkalog_log_append_packed(NULL, "", 0, &packed, 1, NULL, &o1));
    REFUSED(kafkalog_log_append_packed(l, NULL, 1, &packed, 1, NULL, &o1));
    REFUSED(kafkalog_log_append_packed(l, "", 0, NULL, 1, NULL, &o1));
    REFUSED(kafkalog_log_append_packed(l, "", 0, &packed, 1, NULL, NULL));
    bytes.len = 61;
    REFUSED(kafkalog_log_append_raw(NULL, bytes, NULL, &o1));
    REFUSED(kafkalog_log_append_raw(l, bytes, NULL, &o1));
    REFUSED(kafkalog_log_append_raw(l, bytes, NULL, NULL));
    REFUSED(kafkalog_log_read(NULL, 0, 1, 0, &no_batch));
    REFUSED(kafkalog_log_read(l, 0, 1, 0, NULL));
    REFUSED(kafkalog_log_offsets(NULL, &o1, &o2, &o3));
    REFUSED(kafkalog_log_offsets(l, NULL, &o2, &o3));
    REFUSED(kafkalog_log_offsets(l, &o1, NULL, &o3));
    REFUSED(kafkalog_log_offsets(l, &o1, &o2, NULL));
    REFUSED(kafkalog_log_offset_for_time(NULL, 0, &o1));
    REFUSED(kafkalog_log_offset_for_time(l, 0, NULL));
    REFUSED(kafkalog_log_sync(NULL, 0));

    /* inboxes */
    bytes.len = 0;
    REFUSED(kafkalog_inbox_deliver(NULL, 0, bytes));
    kafkalog_inbox_peer_state(NULL, 0, 1);
    kafkalog_inbox_release(NULL);
    bytes.len = 61;

    /* cluster */
    memset(&table, 0, sizeof table);
    REFUSED(kafkalog_transport_register(NULL, "mesh", &table, NULL));
    REFUSED(kafkalog_transport_register(e, NULL, &table, NULL));
    REFUSED(kafkalog_transport_register(e, "mesh", NULL, NULL));
    row("a table without a size", kafkalog_transport_register(e, "mesh", &table, NULL) == KAFKALOG_ERR__ABI);
    table.struct_size = sizeof table;
    REFUSED(kafkalog_transport_register(e, "mesh", &table, NULL));
    REFUSED(kafkalog_node_listen(NULL, "tcp://127.0.0.1:0", &buf, NULL));
    REFUSED(kafkalog_node_listen(e, NULL, &buf, NULL));
    REFUSED(kafkalog_node_listen(e, "tcp://127.0.0.1:0", NULL, NULL));
    REFUSED(kafkalog_node_add(NULL, 1, "tcp://127.0.0.1:1", NULL));
    REFUSED(kafkalog_node_add(e, 1, NULL, NULL));
    REFUSED(kafkalog_node_add(e, -1, "tcp://127.0.0.1:1", NULL));
    REFUSED(kafkalog_node_remove(NULL, 1, NULL));
    REFUSED(kafkalog_node_decommission(NULL, 1, &o1, 0, NULL));
    REFUSED(kafkalog_node_set_seat(NULL, 1, KAFKALOG_SEAT_VOTER, 0, NULL));
    REFUSED(kafkalog_node_set_seat(e, 1, 7, 0, NULL));
    REFUSED(kafkalog_cluster_describe(NULL, &buf, NULL));
    REFUSED(kafkalog_cluster_describe(e, NULL, NULL));
    REFUSED(kafkalog_cluster_elect_leaders(NULL, KAFKALOG_ELECTION_PREFERRED, list, 0, NULL));
    REFUSED(kafkalog_cluster_elect_leaders(e, 7, list, 0, NULL));
    REFUSED(kafkalog_replica_reassign(NULL, "t", 0, &partition, 1, 0, NULL));
    REFUSED(kafkalog_replica_reassign(e, NULL, 0, &partition, 1, 0, NULL));
    REFUSED(kafkalog_replica_reassign(e, "t", 0, NULL, 1, 0, NULL));
    REFUSED(kafkalog_replica_set_leader(NULL, "t", 0, 1, 1, NULL));
    REFUSED(kafkalog_replica_set_leader(e, NULL, 0, 1, 1, NULL));
    REFUSED(kafkalog_replica_set_leader(e, "t", 0, -2, 1, NULL));
    REFUSED(kafkalog_replica_set_leader(e, "t", 0, 1, -1, NULL));
    REFUSED(kafkalog_replica_status(NULL, "t", 0, &buf, NULL));
    REFUSED(kafkalog_replica_status(e, NULL, 0, &buf, NULL));
    REFUSED(kafkalog_replica_status(e, "t", 0, NULL, NULL));

    /* batches */
    count = 9;
    NEUTRAL(kafkalog_batch_views(NULL, &count), NULL);
    NEUTRAL(count, 0);
    NEUTRAL(kafkalog_batch_views(b, NULL), NULL);
    NEUTRAL(kafkalog_batch_topic(NULL, 0), NULL);
    REFUSED(kafkalog_batch_header(NULL, 0, 0, &header));
    REFUSED(kafkalog_batch_header(b, 0, 0, NULL));
    NEUTRAL(kafkalog_batch_next_offset(NULL), -1);

    /* lists */
    REFUSED(kafkalog_tplist_add(NULL, "t", 0, 0));
    REFUSED(kafkalog_tplist_add(list, NULL, 0, 0));
    NEUTRAL(kafkalog_tplist_count(NULL), 0);
    REFUSED(kafkalog_tplist_get(NULL, 0, &text, &partition, &o1, &code));
    REFUSED(kafkalog_tplist_get(list, 0, NULL, &partition, &o1, &code));
    REFUSED(kafkalog_tplist_get(list, 0, &text, NULL, &o1, &code));
    REFUSED(kafkalog_tplist_get(list, 0, &text, &partition, NULL, &code));
    REFUSED(kafkalog_tplist_get(list, 0, &text, &partition, &o1, NULL));
    REFUSED(kafkalog_tplist_set_metadata(NULL, 0, bytes));
    REFUSED(kafkalog_tplist_set_metadata(list, 0, bytes));
    REFUSED(kafkalog_tplist_metadata(NULL, 0, &bytes));
    REFUSED(kafkalog_tplist_metadata(list, 0, NULL));

    /* consumer */
    REFUSED(kafkalog_consumer_new(NULL, NULL, NULL, &no_consumer, NULL));
    REFUSED(kafkalog_consumer_new(e, NULL, NULL, NULL, NULL));
    REFUSED(kafkalog_consumer_close(NULL, 0, NULL));
    REFUSED(kafkalog_consumer_assign(NULL, list, NULL));
    REFUSED(kafkalog_consumer_assignment(NULL, &out_list));
    REFUSED(kafkalog_consumer_assignment(c, NULL));
    REFUSED(kafkalog_consumer_poll(NULL, 0, 0, &no_batch));
    REFUSED(kafkalog_consumer_poll(c, 0, 0, NULL));
    kafkalog_consumer_wake(NULL);
    NEUTRAL(kafkalog_consumer_fd(NULL), -1);
    REFUSED(kafkalog_consumer_seek(NULL, list, NULL));
    REFUSED(kafkalog_consumer_seek(c, NULL, NULL));
    REFUSED(kafkalog_consumer_pause(NULL, list));
    REFUSED(kafkalog_consumer_pause(c, NULL));
    REFUSED(kafkalog_consumer_resume(NULL, list));
    REFUSED(kafkalog_consumer_resume(c, NULL));
    REFUSED(kafkalog_consumer_position(NULL, list));
    REFUSED(kafkalog_consumer_position(c, NULL));
    REFUSED(kafkalog_consumer_offsets_for_times(NULL, list, 0, NULL));
    REFUSED(kafkalog_consumer_offsets_for_times(c, NULL, 0, NULL));

    /* a result that could not be made is NULL, and a failure has details for those who ask */
    {
        kafkalog_engine_t *stale = e;
        kafkalog_error_t *err = NULL;
        REFUSED(kafkalog_engine_open(NULL, &stale, &err));
        NEUTRAL(stale, NULL);
        NEUTRAL(kafkalog_error_code(err), KAFKALOG_ERR__INVALID_ARG);
        NEUTRAL(kafkalog_error_message(err)[0] != '\0', 1);
        kafkalog_error_destroy(err);
    }

    /* ending nothing */
    kafkalog_error_destroy(NULL);
    kafkalog_buf_destroy(NULL);
    kafkalog_conf_destroy(NULL);
    kafkalog_engine_destroy(NULL);
    kafkalog_queue_destroy(NULL);
    kafkalog_event_destroy(NULL);
    kafkalog_producer_destroy(NULL);
    kafkalog_log_destroy(NULL);
    kafkalog_batch_release(NULL);
    kafkalog_tplist_destroy(NULL);
    kafkalog_consumer_destroy(NULL);

    kafkalog_batch_release(b);
    kafkalog_tplist_destroy(list);
    kafkalog_log_destroy(l);
    kafkalog_consumer_destroy(c);
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(q);
    kafkalog_conf_destroy(conf);
    kafkalog_engine_destroy(e);
    return failures != 0;
}
