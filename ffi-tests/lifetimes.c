/* Objects ended in every order, and what was read outlives everything. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>

#include "check.h"

enum { ENGINE, PRODUCER, QUEUE, MAIN_QUEUE, LOG, CONSUMER, BATCH, EVENT, COUNT };

static kafkalog_engine_t *e;
static kafkalog_producer_t *p;
static kafkalog_queue_t *q, *main_queue;
static kafkalog_log_t *l;
static kafkalog_consumer_t *c;
static kafkalog_batch_t *b;
static kafkalog_event_t *ev;

static void end(int what) {
    switch (what) {
    case ENGINE: kafkalog_engine_destroy(e); break;
    case PRODUCER: kafkalog_producer_destroy(p); break;
    case QUEUE: kafkalog_queue_destroy(q); break;
    case MAIN_QUEUE: kafkalog_queue_destroy(main_queue); break;
    case LOG: kafkalog_log_destroy(l); break;
    case CONSUMER: kafkalog_consumer_destroy(c); break;
    case BATCH: kafkalog_batch_release(b); break;
    default: kafkalog_event_destroy(ev); break;
    }
}

static void begin(const char *dir) {
    kafkalog_tplist_t *list = kafkalog_tplist_new(1);
    kafkalog_record_t r = record_of("k", "pinned", 3);
    kafkalog_code_t code;
    e = open_engine(dir);
    code = kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, NULL);
    CHECK(code == 0 || code == KAFKALOG_ERR_TOPIC_ALREADY_EXISTS);
    q = kafkalog_queue_new(e);
    main_queue = kafkalog_engine_queue(e);
    OK(kafkalog_producer_new(e, NULL, q, &p, NULL));
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_consumer_new(e, NULL, q, &c, NULL));
    OK(kafkalog_tplist_add(list, "t", 0, KAFKALOG_OFFSET_BEGINNING));
    OK(kafkalog_consumer_assign(c, list, NULL));
    kafkalog_tplist_destroy(list);
    OK(kafkalog_producer_send(p, "t", &r, sizeof r));
    ev = kafkalog_queue_poll(q, 10000);
    CHECK(ev != NULL);
    OK(kafkalog_consumer_poll(c, 0, 10000, &b));
    CHECK(b != NULL);
    /* unsent, unread, unpolled: nothing of it may keep anybody waiting */
    OK(kafkalog_producer_send(p, "t", &r, sizeof r));
}

static void what_was_read_is_there(void) {
    size_t n = 0;
    const kafkalog_view_t *v = kafkalog_batch_views(b, &n);
    CHECK(n >= 1 && says(v[0].value, v[0].value_len, "pinned") && strcmp(kafkalog_batch_topic(b, 0), "t") == 0);
    CHECK(kafkalog_event_deliveries(ev, &n)[0].tag == 3);
}

static void each_answers_that_its_engine_is_gone(void) {
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_batch_t *batch = b;
    kafkalog_producer_t *none = p;
    int64_t start, high, last;
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_producer_send(p, "t", &r, sizeof r));
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_producer_flush(p, -1));
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_log_append(l, &r, sizeof r, 1, NULL, &start));
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_log_read(l, 0, 100, -1, &batch));
    CHECK(batch == NULL);
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_log_offsets(l, &start, &high, &last));
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_consumer_poll(c, 0, -1, &batch));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_new(NULL, NULL, q, &none, NULL));
    CHECK(kafkalog_queue_fd(q) >= 0);
    kafkalog_event_destroy(kafkalog_queue_poll(q, -1));
    CHECK(kafkalog_queue_poll(main_queue, -1) == NULL);
}

static kafkalog_code_t answers[3];

static void *wait_for_records(void *unused) {
    kafkalog_batch_t *batch;
    (void)unused;
    do {
        answers[0] = kafkalog_consumer_poll(c, 0, -1, &batch);
        kafkalog_batch_release(batch);
    } while (answers[0] == 0);
    return NULL;
}

static void *wait_for_a_tail(void *unused) {
    kafkalog_batch_t *batch;
    (void)unused;
    do {
        int64_t start, high, end;
        answers[1] = kafkalog_log_offsets(l, &start, &high, &end);
        if (answers[1] == 0) answers[1] = kafkalog_log_read(l, end, 1024, -1, &batch);
        if (answers[1] == 0) kafkalog_batch_release(batch);
    } while (answers[1] == 0);
    return NULL;
}

static void *wait_for_nothing(void *unused) {
    kafkalog_consumer_t *idle = NULL;
    kafkalog_batch_t *batch;
    (void)unused;
    answers[2] = kafkalog_consumer_new(e, NULL, NULL, &idle, NULL);
    if (answers[2] == 0) answers[2] = kafkalog_consumer_poll(idle, 0, -1, &batch);
    kafkalog_consumer_destroy(idle);
    return NULL;
}

/* Whoever waits for ever hears of the end. */
static void a_close_ends_every_wait(const char *dir) {
    void *(*waits[3])(void *) = {wait_for_records, wait_for_a_tail, wait_for_nothing};
    pthread_t threads[3];
    int i;
    begin(dir);
    for (i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, waits[i], NULL) == 0);
    OK(kafkalog_engine_close(e, 30000, NULL));
    for (i = 0; i < 3; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        CODE(KAFKALOG_ERR__CLOSED, answers[i]);
    }
    for (i = 0; i < COUNT; i++) end(i);
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "";
    int turn, i, order[COUNT];
    unsigned seed = 12345;
    /* every object first, every object last, and a few orders by lot */
    for (turn = 0; turn < 2 * COUNT + 16; turn++) {
        for (i = 0; i < COUNT; i++) order[i] = turn < COUNT ? (turn + i) % COUNT : (turn + COUNT - i) % COUNT;
        if (turn >= 2 * COUNT) {
            for (i = COUNT - 1; i > 0; i--) {
                int other, kept = order[i];
                seed = seed * 1103515245u + 12345u;
                other = (int)(seed >> 16) % (i + 1);
                order[i] = order[other];
                order[other] = kept;
            }
        }
        begin(dir);
        what_was_read_is_there();
        if (order[0] == ENGINE) {
            end(ENGINE);
            each_answers_that_its_engine_is_gone();
            what_was_read_is_there();
        }
        for (i = order[0] == ENGINE ? 1 : 0; i < COUNT; i++) end(order[i]);
    }
    a_close_ends_every_wait(dir);
    return 0;
}
