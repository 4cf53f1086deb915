/* A consumer with partitions of its own choice. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <pthread.h>

#include "check.h"

static kafkalog_consumer_t *consumer;

static void *poll_for_ever(void *unused) {
    static kafkalog_batch_t *batch;
    kafkalog_code_t code;
    (void)unused;
    do {
        code = kafkalog_consumer_poll(consumer, 0, -1, &batch);
    } while (code == KAFKALOG_ERR__REENTRANT); /* the other thread looks whether this one polls already */
    CHECK(code == 0);
    return batch;
}

static void append(kafkalog_engine_t *e, int32_t partition, const char *value, int64_t timestamp_ms) {
    kafkalog_log_t *l = NULL;
    kafkalog_record_t r = record_of(NULL, value, 0);
    int64_t at;
    r.timestamp_ms = timestamp_ms;
    OK(kafkalog_log_open(e, "t", partition, &l, NULL));
    OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &at));
    kafkalog_log_destroy(l);
}

/* Polls until `wanted` records came; the last batch is given back. */
static kafkalog_batch_t *read_some(size_t wanted) {
    kafkalog_batch_t *batch = NULL;
    size_t seen = 0, n;
    while (seen < wanted) {
        kafkalog_batch_release(batch);
        OK(kafkalog_consumer_poll(consumer, 0, 10000, &batch));
        CHECK(batch != NULL);
        kafkalog_batch_views(batch, &n);
        seen += n;
    }
    CHECK(seen == wanted);
    return batch;
}

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_queue_t *q = kafkalog_queue_new(e);
    kafkalog_tplist_t *list = kafkalog_tplist_new(2), *one = kafkalog_tplist_new(1), *assigned = NULL;
    kafkalog_error_t *err = NULL;
    kafkalog_batch_t *b = NULL;
    kafkalog_event_t *ev;
    kafkalog_code_t code;
    const kafkalog_view_t *v;
    const char *topic;
    struct pollfd poll_fd;
    pthread_t thread;
    void *polled;
    int32_t partition;
    int64_t offset;
    size_t n, i;
    char text[8];

    OK(kafkalog_topic_create(e, "t", 2, 1, NULL, 5000, NULL));
    for (i = 0; i < 10; i++) {
        snprintf(text, sizeof text, "a%d", (int)i);
        append(e, 0, text, 1700000000000 + (int64_t)i);
    }
    append(e, 1, "b0", 1700000000000);
    OK(kafkalog_conf_set(conf, "auto.offset.reset", "earliest", NULL));
    OK(kafkalog_consumer_new(e, conf, q, &consumer, NULL));

    /* nothing is assigned: nothing is read */
    OK(kafkalog_consumer_poll(consumer, 0, 0, &b));
    CHECK(b == NULL);
    OK(kafkalog_tplist_add(list, "t", 0, 3));
    OK(kafkalog_tplist_add(list, "t", 1, KAFKALOG_OFFSET_INVALID));
    OK(kafkalog_consumer_assign(consumer, list, &err));
    CHECK(err == NULL);
    OK(kafkalog_consumer_assignment(consumer, &assigned));
    CHECK(kafkalog_tplist_count(assigned) == 2);
    OK(kafkalog_tplist_get(assigned, 0, &topic, &partition, &offset, &code));
    CHECK(strcmp(topic, "t") == 0 && partition == 0 && offset == 3 && code == 0);
    kafkalog_tplist_destroy(assigned);
    kafkalog_batch_release(read_some(8));

    /* a limit of records splits what lies in the log */
    OK(kafkalog_tplist_add(one, "t", 0, KAFKALOG_OFFSET_BEGINNING));
    OK(kafkalog_consumer_seek(consumer, one, NULL));
    OK(kafkalog_consumer_poll(consumer, 4, 10000, &b));
    v = kafkalog_batch_views(b, &n);
    CHECK(n == 4 && v[0].offset == 0 && says(v[3].value, v[3].value_len, "a3") && kafkalog_batch_next_offset(b) == 4);
    kafkalog_batch_release(b);
    OK(kafkalog_consumer_position(consumer, list));
    OK(kafkalog_tplist_get(list, 0, &topic, &partition, &offset, &code));
    CHECK(offset == 4 && code == 0);
    OK(kafkalog_tplist_add(list, "t", 7, 0));
    OK(kafkalog_consumer_position(consumer, list));
    OK(kafkalog_tplist_get(list, 2, &topic, &partition, &offset, &code));
    CHECK(offset == KAFKALOG_OFFSET_INVALID && code == KAFKALOG_ERR__STATE);

    /* pause and resume */
    OK(kafkalog_consumer_pause(consumer, one));
    OK(kafkalog_consumer_poll(consumer, 0, 0, &b));
    CHECK(b == NULL);
    CODE(KAFKALOG_ERR__STATE, kafkalog_consumer_pause(consumer, list));
    OK(kafkalog_consumer_resume(consumer, one));
    kafkalog_batch_release(read_some(6));

    /* times become offsets */
    kafkalog_tplist_destroy(list);
    list = kafkalog_tplist_new(0);
    OK(kafkalog_tplist_add(list, "t", 0, 1700000000005));
    OK(kafkalog_tplist_add(list, "t", 1, 1800000000000));
    OK(kafkalog_tplist_add(list, "t", 9, 0));
    OK(kafkalog_consumer_offsets_for_times(consumer, list, 10000, NULL));
    OK(kafkalog_tplist_get(list, 0, &topic, &partition, &offset, &code));
    CHECK(offset == 5 && code == 0);
    OK(kafkalog_tplist_get(list, 1, &topic, &partition, &offset, &code));
    CHECK(offset == KAFKALOG_OFFSET_END && code == 0);
    OK(kafkalog_tplist_get(list, 2, &topic, &partition, &offset, &code));
    CHECK(code == KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION);

    /* the descriptor: readable when records come */
    poll_fd.fd = kafkalog_consumer_fd(consumer);
    poll_fd.events = POLLIN;
    CHECK(poll_fd.fd >= 0 && kafkalog_consumer_fd(consumer) == poll_fd.fd);
    OK(kafkalog_consumer_poll(consumer, 0, 0, &b));
    CHECK(b == NULL);
    CHECK(poll(&poll_fd, 1, 0) == 0);
    append(e, 1, "b1", -1);
    CHECK(poll(&poll_fd, 1, 10000) == 1);
    kafkalog_batch_release(read_some(1));

    /* a position outside the log is moved, and the queue tells */
    kafkalog_tplist_destroy(one);
    one = kafkalog_tplist_new(1);
    OK(kafkalog_tplist_add(one, "t", 0, 4711));
    OK(kafkalog_consumer_seek(consumer, one, NULL));
    kafkalog_batch_release(read_some(10));
    ev = kafkalog_queue_poll(q, 10000);
    CHECK(kafkalog_event_type(ev) == KAFKALOG_EVENT_ERROR && kafkalog_event_code(ev) == KAFKALOG_ERR_OFFSET_OUT_OF_RANGE);
    CHECK(kafkalog_error_message(kafkalog_event_error(ev))[0] != '\0');
    OK(kafkalog_tplist_get(kafkalog_event_partitions(ev), 0, &topic, &partition, &offset, &code));
    CHECK(partition == 0 && offset == 0);
    kafkalog_event_destroy(ev);

    /* waking, and records for a poll that waits for ever */
    CHECK(pthread_create(&thread, NULL, poll_for_ever, NULL) == 0);
    kafkalog_consumer_wake(consumer);
    CHECK(pthread_join(thread, &polled) == 0 && polled == NULL);
    CHECK(pthread_create(&thread, NULL, poll_for_ever, NULL) == 0);
    append(e, 0, "late", -1);
    CHECK(pthread_join(thread, &polled) == 0 && polled != NULL);
    kafkalog_batch_release(polled);

    /* beside a poll that waits: another poll is refused, everything else is served */
    CHECK(pthread_create(&thread, NULL, poll_for_ever, NULL) == 0);
    do {
        code = kafkalog_consumer_poll(consumer, 0, 0, &b);
        CHECK(b == NULL);
    } while (code == 0);
    CHECK(code == KAFKALOG_ERR__REENTRANT);
    OK(kafkalog_consumer_position(consumer, one));
    kafkalog_tplist_destroy(one);
    one = kafkalog_tplist_new(1);
    OK(kafkalog_tplist_add(one, "t", 0, KAFKALOG_OFFSET_BEGINNING));
    OK(kafkalog_consumer_seek(consumer, one, NULL));
    CHECK(pthread_join(thread, &polled) == 0 && polled != NULL);
    kafkalog_batch_release(polled);

    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_consumer_assign(consumer, list, NULL));
    OK(kafkalog_consumer_assign(consumer, NULL, NULL));
    OK(kafkalog_consumer_assignment(consumer, &assigned));
    CHECK(kafkalog_tplist_count(assigned) == 0);
    kafkalog_tplist_destroy(assigned);

    OK(kafkalog_consumer_close(consumer, 1000, NULL));
    OK(kafkalog_consumer_close(consumer, 1000, NULL));
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_consumer_poll(consumer, 0, 0, &b));
    kafkalog_consumer_destroy(consumer);
    kafkalog_tplist_destroy(one);
    kafkalog_tplist_destroy(list);
    kafkalog_conf_destroy(conf);
    kafkalog_queue_destroy(q);
    kafkalog_engine_destroy(e);
    return 0;
}
