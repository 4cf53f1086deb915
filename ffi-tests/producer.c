/* Every way of sending, what is reported, and what is refused. */
#include "check.h"

/* Polls until `wanted` reports came; all must have this code. Answers the sum of their tags. */
static uint64_t reports(kafkalog_queue_t *q, size_t wanted, kafkalog_code_t code) {
    uint64_t sum = 0;
    size_t seen = 0, n, i;
    while (seen < wanted) {
        kafkalog_event_t *ev = kafkalog_queue_poll(q, 10000);
        const kafkalog_delivery_t *d = kafkalog_event_deliveries(ev, &n);
        CHECK(kafkalog_event_type(ev) == KAFKALOG_EVENT_DELIVERY && d != NULL);
        for (i = 0; i < n; i++) {
            CHECK(d[i].code == code);
            CHECK(code == 0 ? d[i].offset >= 0 && d[i].timestamp_ms > 0 : d[i].offset == -1);
            sum += d[i].tag;
        }
        seen += n;
        kafkalog_event_destroy(ev);
    }
    CHECK(seen == wanted);
    return sum;
}

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_queue_t *q = kafkalog_queue_new(e);
    kafkalog_producer_t *p = NULL, *silent = NULL, *slow = NULL;
    kafkalog_record_t r = record_of("key", "value", 5), three[3];
    kafkalog_header_t headers[2];
    kafkalog_packed_t packed[4];
    kafkalog_code_t codes[4];
    kafkalog_delivery_t done;
    const char *flat = "keyonetwothree";
    char *large;
    size_t n = 0;
    int i;

    OK(kafkalog_topic_create(e, "t", 1, 1, NULL, 5000, NULL));
    OK(kafkalog_producer_new(e, NULL, q, &p, NULL));
    OK(kafkalog_producer_new(e, NULL, NULL, &silent, NULL));

    /* one, with headers */
    memset(headers, 0, sizeof headers);
    headers[0].name.data = "h";
    headers[0].name.len = 1;
    headers[0].value.data = "";
    headers[1].name.data = "nothing";
    headers[1].name.len = 7;
    r.headers = headers;
    r.header_count = 2;
    OK(kafkalog_producer_send(p, "t", &r, sizeof r));
    CHECK(reports(q, 1, 0) == 5);
    headers[1].name.data = NULL;
    headers[1].name.len = 0;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_send(p, "t", &r, sizeof r));
    r.headers = NULL;
    r.header_count = 0;

    /* many, of which one is refused and its neighbours are not */
    large = calloc(1, 2 << 20);
    CHECK(large != NULL);
    three[0] = record_of("a", "1", 10);
    three[1] = record_of("b", NULL, 20);
    three[1].value.data = large;
    three[1].value.len = 2 << 20;
    three[2] = record_of(NULL, NULL, 30);
    OK(kafkalog_producer_send_batch(p, "t", three, sizeof three[0], 3, codes, &n));
    CHECK(n == 2 && codes[0] == 0 && codes[1] == KAFKALOG_ERR_MESSAGE_TOO_LARGE && codes[2] == 0);
    CHECK(reports(q, 2, 0) == 40);
    CODE(KAFKALOG_ERR_MESSAGE_TOO_LARGE, kafkalog_producer_send_batch(p, "t", three, sizeof three[0], 3, NULL, &n));
    CHECK(n == 1);
    CHECK(reports(q, 1, 0) == 10);
    free(large);

    /* packed, of which one points outside */
    memset(packed, 0, sizeof packed);
    for (i = 0; i < 4; i++) {
        packed[i].key_len = KAFKALOG_PACKED_NULL;
        packed[i].timestamp_ms = 1700000000000 + i;
        packed[i].partition = -1;
        packed[i].tag = (uint64_t)(i + 1);
    }
    packed[0].key_len = 3;
    packed[0].value_off = 3;
    packed[0].value_len = 3;
    packed[1].value_off = 12;
    packed[1].value_len = 3;
    packed[2].value_len = KAFKALOG_PACKED_NULL;
    packed[3].value_off = 0xfffffff0u;
    packed[3].value_len = 0x20;
    OK(kafkalog_producer_send_packed(p, "t", flat, strlen(flat), packed, 4, codes, &n));
    CHECK(n == 2 && codes[0] == 0 && codes[1] == KAFKALOG_ERR__INVALID_ARG && codes[2] == 0
          && codes[3] == KAFKALOG_ERR__INVALID_ARG);
    CHECK(reports(q, 2, 0) == 4);
    OK(kafkalog_producer_send_packed(p, "t", NULL, 0, NULL, 0, NULL, &n));
    CHECK(n == 0);

    /* one, waited for: nothing comes on the queue */
    OK(kafkalog_producer_send_wait(p, "t", &r, sizeof r, 10000, &done));
    CHECK(done.code == 0 && done.tag == 5 && done.offset >= 6 && done.partition == 0 && done.timestamp_ms > 0);
    CHECK(kafkalog_queue_poll(q, 0) == NULL);
    r.partition = 7;
    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_producer_send_wait(p, "t", &r, sizeof r, 10000, &done));
    CHECK(done.code == KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION && done.offset == -1 && done.tag == 5);
    r.partition = -1;

    /* nobody listens: flush needs no poll */
    for (i = 0; i < 100; i++) OK(kafkalog_producer_send(silent, "t", &r, sizeof r));
    OK(kafkalog_producer_flush(silent, 10000));
    CHECK(kafkalog_producer_pending(silent) == 0);

    /* what is purged is reported, and so is what a destroy leaves */
    OK(kafkalog_conf_set(conf, "linger.ms", "600000", NULL));
    OK(kafkalog_producer_new(e, conf, q, &slow, NULL));
    OK(kafkalog_producer_send(slow, "t", &r, sizeof r));
    CHECK(kafkalog_producer_pending(slow) == 1);
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_purge(slow, 0));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_purge(slow, KAFKALOG_PURGE_INFLIGHT));
    OK(kafkalog_producer_purge(slow, KAFKALOG_PURGE_QUEUED));
    CHECK(reports(q, 1, KAFKALOG_ERR__PURGE_QUEUE) == 5);
    CHECK(kafkalog_producer_pending(slow) == 0);
    OK(kafkalog_producer_send(slow, "t", &r, sizeof r));
    kafkalog_producer_destroy(slow);
    CHECK(reports(q, 1, KAFKALOG_ERR__PURGE_QUEUE) == 5);

    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_producer_flush(p, -2));
    kafkalog_conf_destroy(conf);
    kafkalog_producer_destroy(silent);
    OK(kafkalog_engine_close(e, 10000, NULL));
    CODE(KAFKALOG_ERR__CLOSED, kafkalog_producer_send(p, "t", &r, sizeof r));
    kafkalog_engine_destroy(e);
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_producer_send(p, "t", &r, sizeof r));
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(q);
    return 0;
}
