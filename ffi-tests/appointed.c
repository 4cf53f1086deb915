/* controller.mode=static: no quorum; this program says who leads, on every node, and stale epochs are refused. */
#define _POSIX_C_SOURCE 200809L
#include "mesh.h"

static kafkalog_engine_t *nodes[NODES];

static void open_all(const char *dir) {
    static const char *const urls[NODES] = {"inproc://a", "inproc://b", "inproc://c"};
    int n;
    for (n = 0; n < NODES; n++) {
        char own[512], number[8];
        kafkalog_conf_t *conf;
        snprintf(own, sizeof own, "%s-%d", dir, n);
        snprintf(number, sizeof number, "%d", n);
        conf = conf_for(own);
        OK(kafkalog_conf_set(conf, "node.id", number, NULL));
        OK(kafkalog_conf_set(conf, "cluster.id", "4L6g3nShT-eMCtK--X86sw", NULL));
        OK(kafkalog_conf_set(conf, "listeners", urls[n], NULL));
        OK(kafkalog_conf_set(conf, "controller.mode", "static", NULL));
        OK(kafkalog_conf_set(conf, "controller.quorum.voters", "0@inproc://a,1@inproc://b,2@inproc://c", NULL));
        OK(kafkalog_engine_open(conf, &nodes[n], NULL));
        kafkalog_conf_destroy(conf);
        mesh_topic(nodes[n], "t", "2");
    }
}

static void appoint(int32_t leader, int32_t epoch) {
    int n;
    for (n = 0; n < NODES; n++) OK(kafkalog_replica_set_leader(nodes[n], "t", 0, leader, epoch, NULL));
}

static int64_t acknowledged(int node) {
    kafkalog_producer_t *p = NULL;
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_delivery_t delivery;
    OK(kafkalog_producer_new(nodes[node], NULL, NULL, &p, NULL));
    OK(kafkalog_producer_send_wait(p, "t", &r, sizeof r, 60000, &delivery));
    kafkalog_producer_destroy(p);
    return delivery.offset;
}

int main(int argc, char **argv) {
    kafkalog_buf_t *status = NULL;
    int n;

    open_all(argc > 1 ? argv[1] : "");
    appoint(0, 1);
    for (n = 0; n < NODES; n++) CHECK(acknowledged(n) == n);
    appoint(-1, 2);
    OK(kafkalog_replica_status(nodes[1], "t", 0, &status, NULL));
    CHECK(strstr(kafkalog_buf_data(status), "\"leader\":null") != NULL);
    CHECK(strstr(kafkalog_buf_data(status), "\"last_leader_epoch\":1") != NULL);
    kafkalog_buf_destroy(status);
    appoint(1, 3);
    CHECK(acknowledged(0) == NODES);
    for (n = 0; n < NODES; n++) {
        CODE(KAFKALOG_ERR_FENCED_LEADER_EPOCH, kafkalog_replica_set_leader(nodes[n], "t", 0, 0, 2, NULL));
        CODE(KAFKALOG_ERR_FENCED_LEADER_EPOCH, kafkalog_replica_set_leader(nodes[n], "t", 0, 0, 3, NULL));
    }
    CODE(KAFKALOG_ERR_INVALID_REQUEST, kafkalog_replica_set_leader(nodes[0], "t", 0, 7, 4, NULL));
    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_replica_set_leader(nodes[0], "no", 0, 0, 4, NULL));
    for (n = 0; n < NODES; n++) kafkalog_engine_destroy(nodes[n]);
    /* Another life knows the epochs. */
    open_all(argc > 1 ? argv[1] : "");
    CODE(KAFKALOG_ERR_FENCED_LEADER_EPOCH, kafkalog_replica_set_leader(nodes[1], "t", 0, 1, 3, NULL));
    appoint(1, 4);
    CHECK(acknowledged(2) == NODES + 1);
    for (n = 0; n < NODES; n++) kafkalog_engine_destroy(nodes[n]);
    return 0;
}
