/* Three engines of one process over a network of the host's that loses, repeats and delays frames: what was acknowledged is there, and
 * every table is released exactly once, whatever was on its way. */
#define _POSIX_C_SOURCE 200809L
#include "mesh.h"

#define RECORDS 60

int main(int argc, char **argv) {
    /* A frame that is lost is waited for; here that is not to take long. */
    const char *const settings[] = {"broker.session.timeout.ms", "600", "broker.heartbeat.interval.ms", "200",
                                    "replica.fetch.wait.max.ms", "100", "replica.fetch.backoff.ms", "20",
                                    "request.timeout.ms", "1000", NULL};
    kafkalog_engine_t *nodes[NODES];
    kafkalog_producer_t *p = NULL;
    kafkalog_buf_t *json = NULL;
    int32_t n;
    int i;

    mesh_trouble = 3;
    mesh_begin();
    for (n = 0; n < NODES; n++) nodes[n] = mesh_engine(argc > 1 ? argv[1] : "", n, settings);
    mesh_topic(nodes[0], "t", "2");
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
    mesh_end();
    return 0;
}
