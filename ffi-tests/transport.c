/* Three engines of one process over a network of the host's that loses, repeats and delays frames: what was acknowledged is there, and
 * every table is released exactly once, whatever was on its way. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>
#include <time.h>

#define NODES 3
#define RECORDS 200
#define WAITING_MAX 4096
/* Of a hundred frames so many are lost, and as many are repeated. */
#define TROUBLE 3

typedef struct {
    void *data;
    size_t len;
    int32_t from, to;
    int ticks;
} frame;

typedef struct {
    int32_t node;
    kafkalog_inbox_t *inbox;
    int started, stopped, released;
} seat;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static frame waiting[WAITING_MAX];
static size_t waiting_count;
static seat seats[NODES];
static uint32_t chance = 1;
static int carrier_goes = 1;

static uint32_t draw(uint32_t below) {
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % below;
}

static kafkalog_code_t mesh_start(void *ctx, int32_t node_id, kafkalog_inbox_t *inbox) {
    seat *own = ctx;
    pthread_mutex_lock(&lock);
    CHECK(own->node == node_id && !own->started);
    own->inbox = inbox;
    own->started = 1;
    pthread_mutex_unlock(&lock);
    return 0;
}

static void put(int32_t from, int32_t to, const kafkalog_bytes_t *parts, size_t part_count, size_t len) {
    frame *f = &waiting[waiting_count++];
    char *at = malloc(len ? len : 1);
    size_t i;
    f->data = at;
    f->len = len;
    f->from = from;
    f->to = to;
    f->ticks = (int)draw(3);
    for (i = 0; i < part_count; i++) {
        memcpy(at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
}

static kafkalog_code_t mesh_send(void *ctx, int32_t to, const kafkalog_bytes_t *parts, size_t part_count) {
    seat *own = ctx;
    kafkalog_code_t code = 0;
    size_t i, len = 0;
    for (i = 0; i < part_count; i++) len += parts[i].len;
    pthread_mutex_lock(&lock);
    CHECK(own->started && !own->stopped && !own->released);
    if (to < 0 || to >= NODES)
        code = KAFKALOG_ERR_BROKER_NOT_AVAILABLE;
    else if (waiting_count + 2 > WAITING_MAX)
        code = KAFKALOG_ERR__QUEUE_FULL;
    else if (draw(100) >= TROUBLE) {
        put(own->node, to, parts, part_count, len);
        if (draw(100) < TROUBLE) put(own->node, to, parts, part_count, len);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static kafkalog_code_t mesh_set_peer(void *ctx, int32_t node_id, const char *address) {
    seat *own = ctx;
    CHECK(own->started && !own->stopped && node_id != own->node);
    CHECK(address == NULL || strncmp(address, "mesh://", 7) == 0);
    /* In a callback, and all the same: this is what a network does that is up at once. */
    kafkalog_inbox_peer_state(own->inbox, node_id, address != NULL);
    return 0;
}

static void mesh_stop(void *ctx) {
    pthread_mutex_lock(&lock);
    ((seat *)ctx)->stopped++;
    pthread_mutex_unlock(&lock);
}

static void mesh_release(void *ctx) {
    pthread_mutex_lock(&lock);
    ((seat *)ctx)->released++;
    pthread_mutex_unlock(&lock);
}

/* Delivers what has waited long enough, in order for each pair. */
static void *carry(void *unused) {
    (void)unused;
    for (;;) {
        struct timespec pause = {0, 500000};
        size_t i, kept = 0, due_count = 0;
        static frame due[WAITING_MAX];
        int blocked[NODES][NODES] = {{0}};
        pthread_mutex_lock(&lock);
        if (!carrier_goes) break;
        for (i = 0; i < waiting_count; i++) {
            frame f = waiting[i];
            if (f.ticks-- > 0 || blocked[f.from][f.to]) {
                blocked[f.from][f.to] = 1;
                waiting[kept++] = f;
            } else {
                due[due_count++] = f;
            }
        }
        waiting_count = kept;
        pthread_mutex_unlock(&lock);
        for (i = 0; i < due_count; i++) {
            kafkalog_bytes_t bytes;
            kafkalog_inbox_t *inbox;
            pthread_mutex_lock(&lock);
            inbox = seats[due[i].to].inbox;
            pthread_mutex_unlock(&lock);
            bytes.data = due[i].data;
            bytes.len = due[i].len;
            /* A node that is not there yet, or not any more, loses its frames. */
            if (inbox) (void)kafkalog_inbox_deliver(inbox, due[i].from, bytes);
            free(due[i].data);
        }
        nanosleep(&pause, NULL);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static kafkalog_transport_vtable_t table_of(int32_t node) {
    kafkalog_transport_vtable_t table;
    memset(&table, 0, sizeof table);
    table.struct_size = sizeof table;
    table.ctx = &seats[node];
    table.start = mesh_start;
    table.send = mesh_send;
    table.set_peer = mesh_set_peer;
    table.stop = mesh_stop;
    table.release = mesh_release;
    return table;
}

static kafkalog_engine_t *open_node(const char *dir, int32_t node) {
    kafkalog_transport_vtable_t table = table_of(node);
    kafkalog_engine_t *e = NULL;
    kafkalog_conf_t *conf;
    char own[512], number[16], url[32];
    snprintf(own, sizeof own, "%s-%d", dir, (int)node);
    snprintf(number, sizeof number, "%d", (int)node);
    snprintf(url, sizeof url, "mesh://%d", (int)node);
    conf = conf_for(own);
    OK(kafkalog_conf_set(conf, "node.id", number, NULL));
    OK(kafkalog_conf_set(conf, "cluster.id", "4L6g3nShT-eMCtK--X86sw", NULL));
    OK(kafkalog_conf_set(conf, "listeners", url, NULL));
    OK(kafkalog_conf_set(conf, "controller.quorum.voters", "0@mesh://0,1@mesh://1,2@mesh://2", NULL));
    OK(kafkalog_engine_open(conf, &e, NULL));
    kafkalog_conf_destroy(conf);
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_transport_register(e, "other", &table, NULL));
    OK(kafkalog_transport_register(e, "mesh", &table, NULL));
    CODE(KAFKALOG_ERR__STATE, kafkalog_transport_register(e, "mesh", &table, NULL));
    return e;
}

static void create(kafkalog_engine_t *e) {
    kafkalog_code_t code = -1;
    int tries;
    for (tries = 0; tries < 600 && code != 0 && code != KAFKALOG_ERR_TOPIC_ALREADY_EXISTS; tries++) {
        struct timespec pause = {0, 100000000};
        code = kafkalog_topic_create(e, "t", 1, NODES, NULL, 10000, NULL);
        if (code != 0) nanosleep(&pause, NULL);
    }
    CHECK(code == 0 || code == KAFKALOG_ERR_TOPIC_ALREADY_EXISTS);
}

int main(int argc, char **argv) {
    kafkalog_engine_t *nodes[NODES];
    kafkalog_producer_t *p = NULL;
    kafkalog_buf_t *json = NULL;
    pthread_t carrier;
    int32_t n;
    int i;

    for (n = 0; n < NODES; n++) seats[n].node = n;
    CHECK(pthread_create(&carrier, NULL, carry, NULL) == 0);
    for (n = 0; n < NODES; n++) nodes[n] = open_node(argc > 1 ? argv[1] : "", n);
    create(nodes[0]);
    OK(kafkalog_producer_new(nodes[1], NULL, NULL, &p, NULL));
    for (i = 0; i < RECORDS; i++) {
        kafkalog_record_t r = record_of("k", "v", (uint64_t)i);
        kafkalog_delivery_t delivery;
        OK(kafkalog_producer_send_wait(p, "t", &r, sizeof r, 60000, &delivery));
        CHECK(delivery.code == 0);
    }
    OK(kafkalog_replica_status(nodes[2], "t", 0, &json, NULL));
    CHECK(strstr(kafkalog_buf_data(json), "\"replicas\":[") != NULL);
    kafkalog_buf_destroy(json);
    OK(kafkalog_cluster_describe(nodes[0], &json, NULL));
    CHECK(strstr(kafkalog_buf_data(json), "\"voters\":[0,1,2]") != NULL);
    kafkalog_buf_destroy(json);

    kafkalog_producer_destroy(p);
    for (n = 0; n < NODES; n++) kafkalog_engine_destroy(nodes[n]);
    for (n = 0; n < NODES; n++) {
        kafkalog_bytes_t nothing = {NULL, 0};
        CHECK(seats[n].stopped == 1 && seats[n].released == 1);
        /* The host has not given it back yet. */
        CODE(KAFKALOG_ERR__DESTROY, kafkalog_inbox_deliver(seats[n].inbox, (n + 1) % NODES, nothing));
    }
    pthread_mutex_lock(&lock);
    carrier_goes = 0;
    pthread_mutex_unlock(&lock);
    CHECK(pthread_join(carrier, NULL) == 0);
    while (waiting_count > 0) free(waiting[--waiting_count].data);
    for (n = 0; n < NODES; n++) kafkalog_inbox_release(seats[n].inbox);
    return 0;
}
