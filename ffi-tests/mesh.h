/* A network of the host's under the engines of one process: queues between them and a thread that carries frames. Frames of a pair keep
 * their order. It can lose and repeat frames, and nodes can be cut off. */
#ifndef MESH_H
#define MESH_H

#include "check.h"

#include <pthread.h>
#include <time.h>

#define NODES 3
#define MESH_WAITING_MAX 8192

typedef struct {
    void *data;
    size_t len;
    int32_t from, to;
    int ticks;
} mesh_frame;

typedef struct {
    int32_t node;
    kafkalog_inbox_t *inbox;
    /* Whom it was told of, and whether it is connected with them. */
    int knows[NODES], is_up[NODES];
    int started, stopped, released, is_cut_off;
} mesh_seat;

static pthread_mutex_t mesh_lock = PTHREAD_MUTEX_INITIALIZER;
static mesh_frame mesh_waiting[MESH_WAITING_MAX];
static size_t mesh_waiting_count;
static mesh_seat mesh_seats[NODES];
static uint32_t mesh_chance = 1;
/* Of a hundred frames so many are lost, and as many are repeated. */
static uint32_t mesh_trouble;
static int mesh_goes;
static pthread_t mesh_thread;

static inline uint32_t mesh_draw(uint32_t below) {
    mesh_chance = mesh_chance * 1664525u + 1013904223u;
    return (mesh_chance >> 8) % below;
}

static inline void pause_ms(int ms) {
    struct timespec time;
    time.tv_sec = ms / 1000;
    time.tv_nsec = (long)(ms % 1000) * 1000000;
    nanosleep(&time, NULL);
}

/* Both ends hear of a connection that begins or has ended. Called from callbacks too: a network may be up at once. */
static inline void mesh_connect(void) {
    int32_t a, b;
    for (a = 0; a < NODES; a++) {
        for (b = 0; b < NODES; b++) {
            mesh_seat *one = &mesh_seats[a], *other = &mesh_seats[b];
            kafkalog_inbox_t *inbox;
            int up, was_up;
            if (a == b) continue;
            pthread_mutex_lock(&mesh_lock);
            up = one->started && !one->stopped && other->started && !other->stopped && one->knows[b] &&
                 other->knows[a] && !one->is_cut_off && !other->is_cut_off;
            was_up = one->is_up[b];
            one->is_up[b] = up;
            inbox = one->stopped ? NULL : one->inbox;
            pthread_mutex_unlock(&mesh_lock);
            if (inbox && up != was_up) kafkalog_inbox_peer_state(inbox, b, up);
        }
    }
}

/* Cuts a node off, or joins it to the others again. */
static inline void mesh_cut_off(int32_t node, int is_cut_off) {
    pthread_mutex_lock(&mesh_lock);
    mesh_seats[node].is_cut_off = is_cut_off;
    pthread_mutex_unlock(&mesh_lock);
    mesh_connect();
}

static inline kafkalog_code_t mesh_start(void *ctx, int32_t node_id, kafkalog_inbox_t *inbox) {
    mesh_seat *own = ctx;
    pthread_mutex_lock(&mesh_lock);
    CHECK(own->node == node_id && !own->started);
    own->inbox = inbox;
    own->started = 1;
    pthread_mutex_unlock(&mesh_lock);
    return 0;
}

static inline void mesh_put(int32_t from, int32_t to, const kafkalog_bytes_t *parts, size_t part_count, size_t len) {
    mesh_frame *f = &mesh_waiting[mesh_waiting_count++];
    char *at = malloc(len ? len : 1);
    size_t i;
    CHECK(at != NULL);
    f->data = at;
    f->len = len;
    f->from = from;
    f->to = to;
    f->ticks = mesh_trouble ? (int)mesh_draw(3) : 0;
    for (i = 0; i < part_count; i++) {
        memcpy(at, parts[i].data, parts[i].len);
        at += parts[i].len;
    }
}

static inline kafkalog_code_t mesh_send(void *ctx, int32_t to, const kafkalog_bytes_t *parts, size_t part_count) {
    mesh_seat *own = ctx;
    kafkalog_code_t code = 0;
    size_t i, len = 0;
    for (i = 0; i < part_count; i++) len += parts[i].len;
    pthread_mutex_lock(&mesh_lock);
    CHECK(own->started && !own->stopped && !own->released);
    if (to < 0 || to >= NODES)
        code = KAFKALOG_ERR_BROKER_NOT_AVAILABLE;
    else if (!own->is_up[to])
        code = KAFKALOG_ERR_NETWORK_EXCEPTION;
    else if (mesh_waiting_count + 2 > MESH_WAITING_MAX)
        code = KAFKALOG_ERR__QUEUE_FULL;
    else if (mesh_draw(100) >= mesh_trouble) {
        mesh_put(own->node, to, parts, part_count, len);
        if (mesh_draw(100) < mesh_trouble) mesh_put(own->node, to, parts, part_count, len);
    }
    pthread_mutex_unlock(&mesh_lock);
    return code;
}

static inline kafkalog_code_t mesh_set_peer(void *ctx, int32_t node_id, const char *address) {
    mesh_seat *own = ctx;
    CHECK(own->started && !own->stopped && node_id != own->node && node_id >= 0 && node_id < NODES);
    CHECK(address == NULL || strncmp(address, "mesh://", 7) == 0);
    pthread_mutex_lock(&mesh_lock);
    own->knows[node_id] = address != NULL;
    pthread_mutex_unlock(&mesh_lock);
    mesh_connect();
    return 0;
}

static inline void mesh_stop(void *ctx) {
    pthread_mutex_lock(&mesh_lock);
    ((mesh_seat *)ctx)->stopped++;
    pthread_mutex_unlock(&mesh_lock);
    mesh_connect();
}

static inline void mesh_release(void *ctx) {
    pthread_mutex_lock(&mesh_lock);
    ((mesh_seat *)ctx)->released++;
    pthread_mutex_unlock(&mesh_lock);
}

/* Delivers what has waited long enough, in order for each pair. */
static inline void *mesh_carry(void *unused) {
    static mesh_frame due[MESH_WAITING_MAX];
    (void)unused;
    for (;;) {
        struct timespec pause = {0, 500000};
        size_t i, kept = 0, due_count = 0;
        int blocked[NODES][NODES] = {{0}};
        pthread_mutex_lock(&mesh_lock);
        if (!mesh_goes) break;
        for (i = 0; i < mesh_waiting_count; i++) {
            mesh_frame f = mesh_waiting[i];
            if (f.ticks-- > 0 || blocked[f.from][f.to]) {
                blocked[f.from][f.to] = 1;
                mesh_waiting[kept++] = f;
            } else {
                due[due_count++] = f;
            }
        }
        mesh_waiting_count = kept;
        pthread_mutex_unlock(&mesh_lock);
        for (i = 0; i < due_count; i++) {
            kafkalog_bytes_t bytes;
            kafkalog_inbox_t *inbox = NULL;
            pthread_mutex_lock(&mesh_lock);
            if (mesh_seats[due[i].to].is_up[due[i].from]) inbox = mesh_seats[due[i].to].inbox;
            pthread_mutex_unlock(&mesh_lock);
            bytes.data = due[i].data;
            bytes.len = due[i].len;
            /* A connection that has ended loses its frames. */
            if (inbox) (void)kafkalog_inbox_deliver(inbox, due[i].from, bytes);
            free(due[i].data);
        }
        nanosleep(&pause, NULL);
    }
    pthread_mutex_unlock(&mesh_lock);
    return NULL;
}

static inline void mesh_begin(void) {
    int32_t n;
    for (n = 0; n < NODES; n++) mesh_seats[n].node = n;
    mesh_goes = 1;
    CHECK(pthread_create(&mesh_thread, NULL, mesh_carry, NULL) == 0);
}

/* After every engine is destroyed: each table was stopped and released once. */
static inline void mesh_end(void) {
    kafkalog_bytes_t nothing = {NULL, 0};
    int32_t n;
    pthread_mutex_lock(&mesh_lock);
    mesh_goes = 0;
    pthread_mutex_unlock(&mesh_lock);
    CHECK(pthread_join(mesh_thread, NULL) == 0);
    while (mesh_waiting_count > 0) free(mesh_waiting[--mesh_waiting_count].data);
    for (n = 0; n < NODES; n++) {
        CHECK(mesh_seats[n].stopped == 1 && mesh_seats[n].released == 1);
        /* The host has not given it back yet. */
        CODE(KAFKALOG_ERR__DESTROY, kafkalog_inbox_deliver(mesh_seats[n].inbox, (n + 1) % NODES, nothing));
        kafkalog_inbox_release(mesh_seats[n].inbox);
    }
}

/* An engine as one of the nodes, with what `extra` sets: names and values, NULL at the end. */
static inline kafkalog_engine_t *mesh_engine(const char *dir, int32_t node, const char *const *extra) {
    kafkalog_transport_vtable_t table;
    kafkalog_engine_t *e = NULL;
    kafkalog_conf_t *conf;
    char own[512], number[16], url[32];
    memset(&table, 0, sizeof table);
    table.struct_size = sizeof table;
    table.ctx = &mesh_seats[node];
    table.start = mesh_start;
    table.send = mesh_send;
    table.set_peer = mesh_set_peer;
    table.stop = mesh_stop;
    table.release = mesh_release;
    snprintf(own, sizeof own, "%s-%d", dir, (int)node);
    snprintf(number, sizeof number, "%d", (int)node);
    snprintf(url, sizeof url, "mesh://%d", (int)node);
    conf = conf_for(own);
    OK(kafkalog_conf_set(conf, "node.id", number, NULL));
    OK(kafkalog_conf_set(conf, "cluster.id", "4L6g3nShT-eMCtK--X86sw", NULL));
    OK(kafkalog_conf_set(conf, "listeners", url, NULL));
    OK(kafkalog_conf_set(conf, "controller.quorum.voters", "0@mesh://0,1@mesh://1,2@mesh://2", NULL));
    for (; extra && *extra; extra += 2) OK(kafkalog_conf_set(conf, extra[0], extra[1], NULL));
    OK(kafkalog_engine_open(conf, &e, NULL));
    kafkalog_conf_destroy(conf);
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_transport_register(e, "other", &table, NULL));
    OK(kafkalog_transport_register(e, "mesh", &table, NULL));
    CODE(KAFKALOG_ERR__STATE, kafkalog_transport_register(e, "mesh", &table, NULL));
    return e;
}

/* A topic with a replica on every node, once all of them are there. */
static inline void mesh_topic(kafkalog_engine_t *e, const char *topic, const char *min_insync_replicas) {
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_code_t code = -1;
    int tries;
    OK(kafkalog_conf_set(conf, "min.insync.replicas", min_insync_replicas, NULL));
    for (tries = 0; tries < 600; tries++) {
        code = kafkalog_topic_create(e, topic, 1, NODES, conf, 10000, NULL);
        if (code == 0 || code == KAFKALOG_ERR_TOPIC_ALREADY_EXISTS) break;
        pause_ms(100);
    }
    CHECK(code == 0 || code == KAFKALOG_ERR_TOPIC_ALREADY_EXISTS);
    kafkalog_conf_destroy(conf);
}

#endif
