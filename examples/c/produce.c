/* cc examples/c/produce.c -Iinclude -Ltarget/release -lkafkalog -Wl,-rpath,$PWD/target/release -o produce && ./produce */
#include <stdio.h>
#include "kafkalog.h"

int main(int argc, char **argv) {
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_engine_t *engine;
    kafkalog_producer_t *producer;
    kafkalog_record_t record = KAFKALOG_RECORD_INIT;
    kafkalog_delivery_t placed;
    kafkalog_code_t code = kafkalog_conf_set(conf, "log.dirs", argc > 1 ? argv[1] : "kafkalog-data", NULL);

    record.value.data = "two coffees";
    record.value.len = 11;
    if (!code && !(code = kafkalog_engine_open(conf, &engine, NULL))) {
        if (!(code = kafkalog_producer_new(engine, NULL, NULL, &producer, NULL))) {
            code = kafkalog_producer_send_wait(producer, "orders", &record, sizeof record, 5000, &placed);
            kafkalog_producer_destroy(producer);
        }
        kafkalog_engine_destroy(engine);
    }
    kafkalog_conf_destroy(conf);
    if (code) return fprintf(stderr, "%s\n", kafkalog_code_str(code)), 1;
    return printf("two coffees went to partition %d, offset %lld\n", (int)placed.partition, (long long)placed.offset) < 0;
}
