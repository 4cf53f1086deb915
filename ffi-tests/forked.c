/* fork(): the child is told so by every function, ends cleanly, and the parent goes on. */
#define _POSIX_C_SOURCE 200809L
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FORKED(call) CODE(KAFKALOG_ERR__FORKED, call)

static kafkalog_engine_t *e;
static kafkalog_conf_t *conf;
static kafkalog_queue_t *q;
static kafkalog_producer_t *p;
static kafkalog_consumer_t *c;
static kafkalog_log_t *l;
static kafkalog_batch_t *b;
static kafkalog_tplist_t *list;
static kafkalog_event_t *ev;
static kafkalog_error_t *failure;

static void child(const char *other_dir) {
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_packed_t packed = {0, KAFKALOG_PACKED_NULL, 0, 1, -1, 0, -1, 0};
    kafkalog_bytes_t bytes = {"x", 1};
    kafkalog_delivery_t delivery;
    kafkalog_error_t *err = NULL;
    kafkalog_engine_t *engine = NULL;
    kafkalog_producer_t *producer = NULL;
    kafkalog_consumer_t *consumer = NULL;
    kafkalog_log_t *log = NULL;
    kafkalog_batch_t *batch = NULL;
    kafkalog_tplist_t *tplist = NULL;
    kafkalog_buf_t *buf = NULL;
    const char *topic;
    int32_t number;
    int64_t at, at2, at3;
    size_t n;
    kafkalog_code_t code;

    FORKED(kafkalog_conf_set(conf, "acks", "1", &err));
    CHECK(kafkalog_error_code(err) == KAFKALOG_ERR__FORKED);
    kafkalog_error_destroy(err);
    FORKED(kafkalog_conf_get(conf, "acks", &buf));
    CHECK(kafkalog_conf_dup(conf) == NULL);
    FORKED(kafkalog_conf_describe(conf, &buf));
    FORKED(kafkalog_conf_set_log(conf, NULL, NULL));
    FORKED(kafkalog_engine_open(conf, &engine, NULL));
    FORKED(kafkalog_engine_close(e, -1, NULL));
    FORKED(kafkalog_engine_fatal_error(e, NULL));
    FORKED(kafkalog_engine_sync(e, -1));
    CHECK(kafkalog_engine_queue(e) == NULL);
    FORKED(kafkalog_engine_stats(e, &buf));
    FORKED(kafkalog_engine_metrics_text(e, &buf));
    FORKED(kafkalog_topic_create(e, "u", 1, 1, NULL, -1, NULL));
    FORKED(kafkalog_topic_delete(e, "t", -1, NULL));
    FORKED(kafkalog_topic_add_partitions(e, "t", 2, -1, NULL));
    FORKED(kafkalog_topic_alter(e, "t", "retention.ms", "1", -1, NULL));
    FORKED(kafkalog_topic_delete_records(e, list, -1, NULL));
    FORKED(kafkalog_topic_partition_count(e, "t", &number));
    FORKED(kafkalog_metadata(e, NULL, &buf, NULL));
    CHECK(kafkalog_queue_new(e) == NULL && kafkalog_queue_poll(q, -1) == NULL && kafkalog_queue_fd(q) == -1);
    CHECK(kafkalog_queue_poll_many(q, NULL, 0, -1) == 0);
    kafkalog_queue_wake(q);
    FORKED(kafkalog_producer_new(e, NULL, NULL, &producer, NULL));
    FORKED(kafkalog_producer_send(p, "t", &r, sizeof r));
    FORKED(kafkalog_producer_send_batch(p, "t", &r, sizeof r, 1, &code, &n));
    FORKED(kafkalog_producer_send_packed(p, "t", "v", 1, &packed, 1, &code, &n));
    FORKED(kafkalog_producer_send_wait(p, "t", &r, sizeof r, -1, &delivery));
    FORKED(kafkalog_producer_flush(p, -1));
    FORKED(kafkalog_producer_purge(p, KAFKALOG_PURGE_QUEUED));
    CHECK(kafkalog_producer_pending(p) == 0);
    FORKED(kafkalog_log_open(e, "t", 0, &log, NULL));
    FORKED(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &at));
    FORKED(kafkalog_log_append_packed(l, "v", 1, &packed, 1, NULL, &at));
    FORKED(kafkalog_log_append_raw(l, bytes, NULL, &at));
    FORKED(kafkalog_log_read(l, 0, 1024, -1, &batch));
    FORKED(kafkalog_log_offsets(l, &at, &at2, &at3));
    FORKED(kafkalog_log_offset_for_time(l, 0, &at));
    FORKED(kafkalog_log_sync(l, -1));
    FORKED(kafkalog_tplist_add(list, "t", 0, 0));
    CHECK(kafkalog_tplist_count(list) == 0);
    FORKED(kafkalog_tplist_get(list, 0, &topic, &number, &at, &code));
    FORKED(kafkalog_tplist_set_metadata(list, 0, bytes));
    FORKED(kafkalog_tplist_metadata(list, 0, &bytes));
    FORKED(kafkalog_consumer_new(e, NULL, NULL, &consumer, NULL));
    FORKED(kafkalog_consumer_close(c, -1, NULL));
    FORKED(kafkalog_consumer_assign(c, list, NULL));
    FORKED(kafkalog_consumer_assignment(c, &tplist));
    FORKED(kafkalog_consumer_poll(c, 0, -1, &batch));
    kafkalog_consumer_wake(c);
    CHECK(kafkalog_consumer_fd(c) == -1);
    FORKED(kafkalog_consumer_seek(c, list, NULL));
    FORKED(kafkalog_consumer_pause(c, list));
    FORKED(kafkalog_consumer_resume(c, list));
    FORKED(kafkalog_consumer_position(c, list));
    FORKED(kafkalog_consumer_offsets_for_times(c, list, -1, NULL));

    /* what was read before the fork is plain memory */
    CHECK(kafkalog_batch_views(b, &n) != NULL && n == 1 && kafkalog_batch_next_offset(b) == 1);
    CHECK(kafkalog_event_deliveries(ev, &n) != NULL && n == 1);
    CHECK(kafkalog_error_message(failure)[0] != '\0');
    CHECK(strcmp(kafkalog_code_name(KAFKALOG_ERR__FORKED), "FORKED") == 0);

    /* ending what came along does nothing; an engine of its own works */
    kafkalog_batch_release(b);
    kafkalog_event_destroy(ev);
    kafkalog_error_destroy(failure);
    kafkalog_tplist_destroy(list);
    kafkalog_consumer_destroy(c);
    kafkalog_log_destroy(l);
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(q);
    kafkalog_conf_destroy(conf);
    kafkalog_engine_destroy(e);
    engine = open_engine(other_dir);
    OK(kafkalog_topic_create(engine, "t", 1, 1, NULL, 5000, NULL));
    OK(kafkalog_log_open(engine, "t", 0, &log, NULL));
    OK(kafkalog_log_append(log, &r, sizeof r, 1, NULL, &at));
    kafkalog_log_destroy(log);
    kafkalog_engine_destroy(engine);
}

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "";
    char other_dir[4096];
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_batch_t *more = NULL;
    int64_t at;
    int status, turn;
    pid_t pid;
    CHECK((size_t)snprintf(other_dir, sizeof other_dir, "%s-child", dir) < sizeof other_dir);
    conf = conf_for(dir);
    e = open_engine(dir);
    OK(kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, NULL));
    q = kafkalog_queue_new(e);
    list = kafkalog_tplist_new(1);
    OK(kafkalog_tplist_add(list, "t", 0, 0));
    OK(kafkalog_producer_new(e, NULL, q, &p, NULL));
    OK(kafkalog_producer_send(p, "t", &r, sizeof r));
    ev = kafkalog_queue_poll(q, 10000);
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_log_read(l, 0, 1024, 10000, &b));
    OK(kafkalog_consumer_new(e, NULL, NULL, &c, NULL));
    OK(kafkalog_consumer_assign(c, list, NULL));
    CODE(KAFKALOG_ERR_TOPIC_ALREADY_EXISTS, kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, &failure));

    for (turn = 0; turn < 2; turn++) {
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            char own[4200];
            snprintf(own, sizeof own, "%s-%d", other_dir, turn);
            child(own);
            exit(0);
        }
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        /* the parent goes on */
        OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &at));
        CHECK(at == turn + 1);
        OK(kafkalog_consumer_poll(c, 0, 10000, &more));
        CHECK(more != NULL);
        kafkalog_batch_release(more);
    }
    kafkalog_error_destroy(failure);
    kafkalog_event_destroy(ev);
    kafkalog_batch_release(b);
    kafkalog_tplist_destroy(list);
    kafkalog_consumer_destroy(c);
    kafkalog_log_destroy(l);
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(q);
    kafkalog_conf_destroy(conf);
    OK(kafkalog_engine_close(e, 10000, NULL));
    kafkalog_engine_destroy(e);
    return 0;
}
