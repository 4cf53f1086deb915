/* Queues: a descriptor that tells the truth, waking, merging, closing. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "check.h"

static int readable(int fd) {
    struct pollfd poll_fd;
    poll_fd.fd = fd;
    poll_fd.events = POLLIN;
    poll_fd.revents = 0;
    return poll(&poll_fd, 1, 0) == 1;
}

static void *poll_for_ever(void *queue) { return kafkalog_queue_poll(queue, -1); }

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_queue_t *q = kafkalog_queue_new(e), *main_queue = kafkalog_engine_queue(e);
    kafkalog_producer_t *p = NULL;
    kafkalog_record_t r = record_of(NULL, "v", 1);
    kafkalog_event_t *events[8], *ev;
    pthread_t thread;
    struct pollfd poll_fd;
    void *polled;
    size_t n, i, seen;
    int fd;

    OK(kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, NULL));
    OK(kafkalog_producer_new(e, NULL, q, &p, NULL));

    fd = kafkalog_queue_fd(q);
    CHECK(fd >= 0 && kafkalog_queue_fd(q) == fd && !readable(fd));
    CHECK(kafkalog_queue_poll(q, 0) == NULL);
    CHECK(kafkalog_queue_poll(q, -2) == NULL);

    /* readable from the first report on, and while there is one */
    OK(kafkalog_producer_send(p, "t", &r, sizeof r));
    OK(kafkalog_producer_flush(p, 10000));
    poll_fd.fd = fd;
    poll_fd.events = POLLIN;
    CHECK(poll(&poll_fd, 1, 10000) == 1);
    ev = kafkalog_queue_poll(q, 0);
    CHECK(kafkalog_event_type(ev) == KAFKALOG_EVENT_DELIVERY && !readable(fd));
    CHECK(kafkalog_event_error(ev) == NULL && kafkalog_event_code(ev) == 0 && kafkalog_event_partitions(ev) == NULL);
    CHECK(kafkalog_event_text(ev).data == NULL);
    kafkalog_event_destroy(ev);

    /* reports that nobody polls are put together */
    for (i = 0; i < 100; i++) {
        r.tag = i;
        OK(kafkalog_producer_send(p, "t", &r, sizeof r));
        OK(kafkalog_producer_flush(p, 10000));
    }
    n = kafkalog_queue_poll_many(q, events, 8, 10000);
    CHECK(n == 1);
    CHECK(kafkalog_event_deliveries(events[0], &seen) != NULL && seen == 100);
    CHECK(kafkalog_event_deliveries(events[0], &seen)[99].tag == 99);
    kafkalog_event_destroy(events[0]);
    CHECK(kafkalog_queue_poll_many(q, NULL, 0, 0) == 0);

    /* a wake is kept for the poll that would block, and shows at the descriptor */
    kafkalog_queue_wake(q);
    kafkalog_queue_wake(q);
    CHECK(readable(fd));
    CHECK(kafkalog_queue_poll(q, -1) == NULL);
    CHECK(!readable(fd) && kafkalog_queue_poll(q, 0) == NULL);
    /* a poll that blocks already, or not yet: both come back */
    CHECK(pthread_create(&thread, NULL, poll_for_ever, q) == 0);
    kafkalog_queue_wake(q);
    CHECK(pthread_join(thread, &polled) == 0 && polled == NULL);

    /* after the end of the engine nobody waits any more, and what came is still there */
    OK(kafkalog_producer_send(p, "t", &r, sizeof r));
    OK(kafkalog_producer_flush(p, 10000));
    CHECK(pthread_create(&thread, NULL, poll_for_ever, main_queue) == 0);
    OK(kafkalog_engine_close(e, 10000, NULL));
    CHECK(pthread_join(thread, &polled) == 0 && polled == NULL);
    CHECK(readable(fd));
    ev = kafkalog_queue_poll(q, -1);
    CHECK(kafkalog_event_type(ev) == KAFKALOG_EVENT_DELIVERY);
    kafkalog_event_destroy(ev);
    CHECK(kafkalog_queue_poll(q, -1) == NULL);

    kafkalog_engine_destroy(e);
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(main_queue);
    kafkalog_queue_destroy(q);
    return 0;
}
