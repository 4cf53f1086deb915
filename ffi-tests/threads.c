/* Eight threads on the same handles: everything that is [MT] at once, and nothing is lost. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "check.h"

enum { THREADS = 8, RECORDS = 2000 };

static kafkalog_engine_t *e;
static kafkalog_queue_t *q;
static kafkalog_producer_t *p;
static kafkalog_log_t *l;
static kafkalog_consumer_t *c;

static void *work(void *number) {
    uint64_t me = (uint64_t)(size_t)number, i;
    kafkalog_tplist_t *list = kafkalog_tplist_new(1);
    OK(kafkalog_tplist_add(list, "t", 0, 0));
    for (i = 0; i < RECORDS; i++) {
        kafkalog_record_t r = record_of("key", "value", me * RECORDS + i);
        kafkalog_batch_t *b = NULL;
        kafkalog_buf_t *buf = NULL;
        kafkalog_code_t code;
        int64_t start, high, end;
        r.partition = (int32_t)(me % 2);
        do {
            code = kafkalog_producer_send(p, "t", &r, sizeof r);
        } while (code == KAFKALOG_ERR__QUEUE_FULL);
        CHECK(code == 0);
        if (i % 100 == me) {
            r.partition = 0;
            OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &start));
            OK(kafkalog_log_offsets(l, &start, &high, &end));
            CHECK(start <= high && high <= end);
            OK(kafkalog_log_read(l, 0, 4096, 0, &b));
            kafkalog_batch_release(b);
            OK(kafkalog_engine_stats(e, &buf));
            kafkalog_buf_destroy(buf);
            OK(kafkalog_consumer_seek(c, list, NULL));
            OK(kafkalog_consumer_position(c, list));
            code = kafkalog_consumer_poll(c, 10, 0, &b);
            CHECK(code == 0 || code == KAFKALOG_ERR__REENTRANT);
            kafkalog_batch_release(b);
            kafkalog_queue_wake(q);
            CHECK(kafkalog_queue_fd(q) >= 0);
            (void)kafkalog_producer_pending(p);
        }
        if (i % 500 == me) OK(kafkalog_producer_flush(p, 30000));
    }
    kafkalog_tplist_destroy(list);
    return NULL;
}

int main(int argc, char **argv) {
    static char seen[THREADS * RECORDS];
    pthread_t threads[THREADS];
    kafkalog_tplist_t *list = kafkalog_tplist_new(1);
    size_t total = 0, n, i;
    e = open_engine(argc > 1 ? argv[1] : "");
    OK(kafkalog_topic_create(e, "t", 2, 1, NULL, 5000, NULL));
    q = kafkalog_queue_new(e);
    OK(kafkalog_producer_new(e, NULL, q, &p, NULL));
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_consumer_new(e, NULL, NULL, &c, NULL));
    OK(kafkalog_tplist_add(list, "t", 0, 0));
    OK(kafkalog_consumer_assign(c, list, NULL));
    for (i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    while (total < sizeof seen) {
        kafkalog_event_t *ev = kafkalog_queue_poll(q, 30000);
        const kafkalog_delivery_t *d = kafkalog_event_deliveries(ev, &n);
        for (i = 0; i < n; i++) {
            CHECK(d[i].code == 0 && d[i].tag < sizeof seen && !seen[d[i].tag]);
            seen[d[i].tag] = 1;
        }
        total += n;
        kafkalog_event_destroy(ev);
    }
    for (i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    kafkalog_tplist_destroy(list);
    kafkalog_consumer_destroy(c);
    kafkalog_log_destroy(l);
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(q);
    OK(kafkalog_engine_close(e, 30000, NULL));
    kafkalog_engine_destroy(e);
    return 0;
}
