/* Three engines of one process over a network of the host's: what is acknowledged with acks=all survives the loss of the leader, what is
 * not acknowledged may go, and too few replicas in sync are told before anything is written. */
#define _POSIX_C_SOURCE 200809L
#include "mesh.h"

#define RECORDS 100
/* Of a hundred milliseconds each. */
#define TRIES 600

static kafkalog_engine_t *nodes[NODES];

/* What `node` knows of a partition: its leader (-1: none), and how many are in sync. */
static int32_t leader_of(int32_t node, const char *topic, int *in_sync) {
    kafkalog_buf_t *json = NULL;
    const char *leader, *isr;
    int32_t found = -1;
    OK(kafkalog_replica_status(nodes[node], topic, 0, &json, NULL));
    leader = strstr(kafkalog_buf_data(json), "\"leader\":");
    isr = strstr(kafkalog_buf_data(json), "\"isr\":[");
    CHECK(leader != NULL && isr != NULL);
    if (strncmp(leader, "\"leader\":null", 13) != 0) found = (int32_t)strtol(leader + 9, NULL, 10);
    *in_sync = isr[7] != ']';
    for (isr += 7; *isr != ']'; isr++) *in_sync += *isr == ',';
    kafkalog_buf_destroy(json);
    return found;
}

/* Waits until `node` sees a leader other than `not_this`, and so many in sync. */
static int32_t wait_for(int32_t node, const char *topic, int32_t not_this, int wanted) {
    int tries, in_sync = 0;
    for (tries = 0; tries < TRIES; tries++) {
        int32_t leader = leader_of(node, topic, &in_sync);
        if (leader >= 0 && leader != not_this && in_sync == wanted) return leader;
        pause_ms(100);
    }
    fprintf(stderr, "%s has no other leader than %d and %d in sync: %d\n", topic, (int)not_this, wanted, in_sync);
    exit(1);
}

static kafkalog_code_t append(int32_t node, const char *topic, const char *value, int32_t timeout_ms) {
    kafkalog_append_opts_t opts = KAFKALOG_APPEND_OPTS_INIT;
    kafkalog_record_t r = record_of("k", value, 0);
    kafkalog_log_t *log = NULL;
    int64_t base_offset;
    kafkalog_code_t code;
    opts.acks = -1;
    opts.timeout_ms = timeout_ms;
    OK(kafkalog_log_open(nodes[node], topic, 0, &log, NULL));
    code = kafkalog_log_append(log, &r, sizeof r, 1, &opts, &base_offset);
    kafkalog_log_destroy(log);
    return code;
}

/* Waits for the event of a partition that has a new leader; it says which and in which reign. */
static void wait_for_leader_event(int32_t node, const char *wanted, int32_t leader) {
    kafkalog_queue_t *queue = kafkalog_engine_queue(nodes[node]);
    char words[64];
    int tries, is_there = 0;
    snprintf(words, sizeof words, "\"leader\":%d,", (int)leader);
    for (tries = 0; tries < TRIES && !is_there; tries++) {
        kafkalog_event_t *ev = kafkalog_queue_poll(queue, 100);
        if (kafkalog_event_type(ev) == KAFKALOG_EVENT_LEADER) {
            kafkalog_bytes_t text = kafkalog_event_text(ev);
            const kafkalog_tplist_t *list = kafkalog_event_partitions(ev);
            const char *topic = NULL;
            int32_t partition = -1;
            int64_t epoch = -1;
            kafkalog_code_t code = -1;
            char said[256];
            CHECK(kafkalog_tplist_count(list) == 1);
            OK(kafkalog_tplist_get(list, 0, &topic, &partition, &epoch, &code));
            CHECK(partition == 0 && epoch >= 0 && code == 0 && text.len < sizeof said);
            memcpy(said, text.data, text.len);
            said[text.len] = 0;
            is_there = strcmp(topic, wanted) == 0 && strstr(said, words) != NULL;
        }
        kafkalog_event_destroy(ev);
    }
    CHECK(is_there);
    kafkalog_queue_destroy(queue);
}

/* Sends and takes in the reports; how many were acknowledged. */
static void produce(int32_t node, const char *topic, int count, const char *value) {
    kafkalog_queue_t *queue = kafkalog_queue_new(nodes[node]);
    kafkalog_producer_t *p = NULL;
    size_t reported = 0;
    int i;
    OK(kafkalog_producer_new(nodes[node], NULL, queue, &p, NULL));
    for (i = 0; i < count; i++) {
        kafkalog_record_t r = record_of("k", value, (uint64_t)i);
        OK(kafkalog_producer_send(p, topic, &r, sizeof r));
    }
    OK(kafkalog_producer_flush(p, 60000));
    while (reported < (size_t)count) {
        kafkalog_event_t *ev = kafkalog_queue_poll(queue, 60000);
        size_t n = 0, k;
        const kafkalog_delivery_t *deliveries = kafkalog_event_deliveries(ev, &n);
        CHECK(ev != NULL);
        for (k = 0; k < n; k++) CHECK(deliveries[k].code == 0 && deliveries[k].offset >= 0);
        reported += n;
        kafkalog_event_destroy(ev);
    }
    kafkalog_producer_destroy(p);
    kafkalog_queue_destroy(queue);
}

/* A producer that tries once is told what the leader said. */
static void refused_with(int32_t node, const char *topic, kafkalog_code_t code) {
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_producer_t *p = NULL;
    kafkalog_record_t r = record_of("k", "refused", 0);
    kafkalog_delivery_t delivery;
    OK(kafkalog_conf_set(conf, "retries", "0", NULL));
    OK(kafkalog_producer_new(nodes[node], conf, NULL, &p, NULL));
    CODE(code, kafkalog_producer_send_wait(p, topic, &r, sizeof r, 60000, &delivery));
    CHECK(delivery.code == code);
    kafkalog_producer_destroy(p);
    kafkalog_conf_destroy(conf);
}

/* How many records a replica has below its high watermark; none of them has this value. */
static size_t count_records(int32_t node, const char *topic, const char *not_this) {
    kafkalog_log_t *log = NULL;
    int64_t at = 0, end = 0, log_end = 0;
    size_t count = 0;
    OK(kafkalog_log_open(nodes[node], topic, 0, &log, NULL));
    OK(kafkalog_log_offsets(log, &at, &end, &log_end));
    while (at < end) {
        kafkalog_batch_t *batch = NULL;
        const kafkalog_view_t *views;
        size_t n = 0, i;
        OK(kafkalog_log_read(log, at, 1 << 20, 1000, &batch));
        views = kafkalog_batch_views(batch, &n);
        for (i = 0; i < n; i++) CHECK(!says(views[i].value, views[i].value_len, not_this));
        count += n;
        at = kafkalog_batch_next_offset(batch);
        kafkalog_batch_release(batch);
    }
    kafkalog_log_destroy(log);
    return count;
}

int main(int argc, char **argv) {
    int32_t n, old, next, strict, follower;
    int in_sync, tries;

    mesh_begin();
    for (n = 0; n < NODES; n++) nodes[n] = mesh_engine(argc > 1 ? argv[1] : "", n, NULL);
    mesh_topic(nodes[0], "t", "2");
    mesh_topic(nodes[1], "strict", "3");

    old = wait_for(0, "t", -1, NODES);
    follower = (old + 1) % NODES;
    wait_for_leader_event(follower, "t", old);
    produce(old, "t", RECORDS, "kept");
    produce(follower, "t", RECORDS, "kept");
    CODE(KAFKALOG_ERR_NOT_LEADER_OR_FOLLOWER, append(follower, "t", "refused", 1000));
    OK(append(wait_for(0, "strict", -1, NODES), "strict", "one", 60000));

    /* The leader is cut off: the others choose one of theirs, and it acknowledges nothing any more. */
    mesh_cut_off(old, 1);
    next = wait_for(follower, "t", old, NODES - 1);
    wait_for_leader_event(follower, "t", next);
    CODE(KAFKALOG_ERR_REQUEST_TIMED_OUT, append(old, "t", "lost", 500));
    produce(next, "t", RECORDS, "kept");
    produce(follower, "t", RECORDS, "kept");

    /* Two in sync are not three. */
    strict = wait_for(follower, "strict", old, NODES - 1);
    CODE(KAFKALOG_ERR_NOT_ENOUGH_REPLICAS, append(strict, "strict", "refused", 1000));
    for (n = 0; n < NODES; n++)
        if (n != old) refused_with(n, "strict", KAFKALOG_ERR_NOT_ENOUGH_REPLICAS);

    /* It comes back, gives up what nobody has, and takes over what it lacks. */
    mesh_cut_off(old, 0);
    wait_for(follower, "t", -1, NODES);
    OK(append(wait_for(follower, "strict", -1, NODES), "strict", "two", 60000));
    produce(old, "t", RECORDS, "kept");
    for (n = 0; n < NODES; n++) {
        for (tries = 0; tries < TRIES && count_records(n, "t", "lost") < 5 * RECORDS; tries++) pause_ms(100);
        CHECK(count_records(n, "t", "lost") == 5 * RECORDS);
        for (tries = 0; tries < TRIES && count_records(n, "strict", "refused") < 2; tries++) pause_ms(100);
        CHECK(count_records(n, "strict", "refused") == 2);
    }

    /* A node that is closed hands over what it leads first. */
    old = leader_of(0, "t", &in_sync);
    OK(kafkalog_engine_close(nodes[old], 60000, NULL));
    follower = (old + 1) % NODES;
    CHECK(leader_of(follower, "t", &in_sync) != old);
    produce(follower, "t", RECORDS, "kept");

    for (n = 0; n < NODES; n++) kafkalog_engine_destroy(nodes[n]);
    mesh_end();
    return 0;
}
