/* inproc:// needs no registration: engines of one process find each other by name, and those of another cluster do not. Nodes are made
 * known and forgotten by hand; an engine on sockets listens where it is told. */
#define _POSIX_C_SOURCE 200809L
#include "mesh.h"

static const char *const MINE = "4L6g3nShT-eMCtK--X86sw";
static const char *const ANOTHER = "AAAAAAAAAAAAAAAAAAAAAQ";

static kafkalog_code_t open_at(const char *dir, const char *node, const char *cluster, const char *listeners,
                               const char *voters, kafkalog_engine_t **e) {
    char own[512];
    kafkalog_conf_t *conf;
    kafkalog_code_t code;
    snprintf(own, sizeof own, "%s-%.4s-%s", dir, cluster, node);
    conf = conf_for(own);
    OK(kafkalog_conf_set(conf, "node.id", node, NULL));
    OK(kafkalog_conf_set(conf, "cluster.id", cluster, NULL));
    OK(kafkalog_conf_set(conf, "listeners", listeners, NULL));
    OK(kafkalog_conf_set(conf, "controller.quorum.voters", voters, NULL));
    code = kafkalog_engine_open(conf, e, NULL);
    kafkalog_conf_destroy(conf);
    return code;
}

static void acknowledged(kafkalog_engine_t *e) {
    kafkalog_producer_t *p = NULL;
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_delivery_t delivery;
    OK(kafkalog_producer_new(e, NULL, NULL, &p, NULL));
    OK(kafkalog_producer_send_wait(p, "t", &r, sizeof r, 60000, &delivery));
    kafkalog_producer_destroy(p);
}

int main(int argc, char **argv) {
    static const char *const numbers[NODES] = {"0", "1", "2"};
    static const char *const urls[NODES] = {"inproc://a", "inproc://b", "inproc://c"};
    const char *voters = "0@inproc://a,1@inproc://b,2@inproc://c";
    const char *dir = argc > 1 ? argv[1] : "";
    kafkalog_engine_t *e[NODES], *other = NULL, *socket = NULL;
    kafkalog_buf_t *bound = NULL;
    int n;

    for (n = 0; n < NODES; n++) OK(open_at(dir, numbers[n], MINE, urls[n], voters, &e[n]));
    /* A name is taken once in a cluster, and free in another one. */
    CODE(KAFKALOG_ERR_INVALID_CONFIG, open_at(dir, "7", MINE, "inproc://a", "7@inproc://a", &other));
    OK(open_at(dir, "0", ANOTHER, "inproc://a", "0@inproc://a", &other));
    mesh_topic(e[0], "t", "2");
    for (n = 0; n < NODES; n++) acknowledged(e[n]);
    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_replica_status(other, "t", 0, &bound, NULL));

    OK(kafkalog_node_add(other, 1, "inproc://b", NULL));
    OK(kafkalog_node_remove(other, 1, NULL));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_node_add(other, 0, "inproc://b", NULL));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_node_add(other, 1, "tcp://127.0.0.1:1", NULL));
    CODE(KAFKALOG_ERR__STATE, kafkalog_node_listen(other, "tcp://127.0.0.1:0", &bound, NULL));
    OK(open_at(dir, "1", ANOTHER, "tcp://127.0.0.1:0", "1@tcp://127.0.0.1:1", &socket));
    OK(kafkalog_node_listen(socket, "tcp://127.0.0.1:0", &bound, NULL));
    CHECK(strncmp(kafkalog_buf_data(bound), "tcp://127.0.0.1:", 16) == 0 && kafkalog_buf_data(bound)[16] != '0');
    kafkalog_buf_destroy(bound);

    for (n = 0; n < NODES; n++) kafkalog_engine_destroy(e[n]);
    /* Whoever has gone leaves its name behind. */
    OK(open_at(dir, "0", MINE, "inproc://a", voters, &e[0]));
    kafkalog_engine_destroy(e[0]);
    kafkalog_engine_destroy(other);
    kafkalog_engine_destroy(socket);
    return 0;
}
