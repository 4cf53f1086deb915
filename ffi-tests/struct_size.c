/* Structs that may grow: shorter ones than the first version are refused, longer ones are read as far as they are known. */
#include "check.h"

typedef struct {
    kafkalog_record_t known;
    uint64_t later[2];
} longer_record;

typedef struct {
    kafkalog_append_opts_t known;
    uint32_t later[3];
} longer_opts;

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_log_t *l = NULL;
    kafkalog_producer_t *p = NULL;
    kafkalog_batch_t *b = NULL;
    const kafkalog_view_t *views;
    kafkalog_append_opts_t opts = KAFKALOG_APPEND_OPTS_INIT;
    kafkalog_record_t r = record_of(NULL, "v", 0);
    kafkalog_delivery_t delivery;
    longer_record records[3];
    longer_opts more;
    kafkalog_code_t codes[3];
    int64_t at = 9;
    size_t n = 0;

    OK(kafkalog_topic_create(e, "t", 1, 1, NULL, 1000, NULL));
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_producer_new(e, NULL, NULL, &p, NULL));

    CODE(KAFKALOG_ERR__ABI, kafkalog_log_append(l, &r, sizeof r - 1, 1, NULL, &at));
    CODE(KAFKALOG_ERR__ABI, kafkalog_log_append(l, &r, 0, 1, NULL, &at));
    CODE(KAFKALOG_ERR__ABI, kafkalog_producer_send(p, "t", &r, sizeof r - 8));
    CODE(KAFKALOG_ERR__ABI, kafkalog_producer_send_batch(p, "t", &r, 8, 1, NULL, &n));
    CODE(KAFKALOG_ERR__ABI, kafkalog_producer_send_wait(p, "t", &r, 1, 0, &delivery));
    opts.struct_size = sizeof opts - 1;
    CODE(KAFKALOG_ERR__ABI, kafkalog_log_append(l, &r, sizeof r, 1, &opts, &at));
    opts.struct_size = 0;
    CODE(KAFKALOG_ERR__ABI, kafkalog_log_append(l, &r, sizeof r, 1, &opts, &at));

    /* a program that was compiled against a later header */
    memset(records, 0xab, sizeof records);
    records[0].known = record_of("a", "first", 1);
    records[1].known = record_of("b", "second", 2);
    records[2].known = record_of("c", "third", 3);
    memset(&more, 0xcd, sizeof more);
    more.known.struct_size = sizeof more;
    more.known.acks = -1;
    more.known.timeout_ms = 5000;
    more.known.flags = KAFKALOG_APPEND_FSYNC;
    OK(kafkalog_log_append(l, &records[0].known, sizeof records[0], 3, &more.known, &at));
    CHECK(at == 0);
    OK(kafkalog_producer_send_batch(p, "t", &records[0].known, sizeof records[0], 3, codes, &n));
    CHECK(n == 3 && codes[0] == 0 && codes[2] == 0);
    OK(kafkalog_producer_flush(p, 5000));
    OK(kafkalog_log_read(l, 0, 1 << 20, 1000, &b));
    views = kafkalog_batch_views(b, &n);
    CHECK(n >= 3 && says(views[1].value, views[1].value_len, "second") && says(views[2].key, views[2].key_len, "c"));
    kafkalog_batch_release(b);

    /* numbers that no version knows */
    opts.struct_size = sizeof opts;
    opts.flags = 2;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_append(l, &r, sizeof r, 1, &opts, &at));
    opts.flags = 0;
    opts.acks = 2;
    CODE(KAFKALOG_ERR_INVALID_REQUIRED_ACKS, kafkalog_log_append(l, &r, sizeof r, 1, &opts, &at));
    opts.acks = 1;
    opts.timeout_ms = -2;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_append(l, &r, sizeof r, 1, &opts, &at));
    r.flags = 1;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_send(p, "t", &r, sizeof r));
    r.flags = 0;
    r.partition = -2;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_send(p, "t", &r, sizeof r));
    r.partition = 1;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_append(l, &r, sizeof r, 1, NULL, &at));
    CHECK(at == -1);

    kafkalog_producer_destroy(p);
    kafkalog_log_destroy(l);
    kafkalog_engine_destroy(e);
    return 0;
}
