/* Writes records and prints each one once it is on disk, until it is killed or --records are written.
   pc_writer --dir DIR [--seed N] [--records N] [--partitions N] */
#include "power_cut.h"

enum { VALUE_BYTES_MAX = 2000 };

int main(int argc, char **argv) {
    uint64_t random = strtoull(option(argc, argv, "--seed", "1"), NULL, 10) * 2 + 1;
    uint64_t records = strtoull(option(argc, argv, "--records", "18446744073709551615"), NULL, 10), i;
    int32_t partitions = (int32_t)strtol(option(argc, argv, "--partitions", "3"), NULL, 10);
    kafkalog_engine_t *engine = NULL;
    kafkalog_producer_t *producer = NULL;
    kafkalog_error_t *err = NULL;
    kafkalog_code_t code = open_durably(option(argc, argv, "--dir", "."), &engine, &err);
    char value[VALUE_BYTES_MAX];
    if (code) return fail("open", code, err);
    code = kafkalog_topic_create(engine, TOPIC, partitions, 1, NULL, 10000, &err);
    if (code && code != KAFKALOG_ERR_TOPIC_ALREADY_EXISTS) return fail("create", code, err);
    kafkalog_error_destroy(err);
    if ((code = kafkalog_producer_new(engine, NULL, NULL, &producer, &err)) != 0) return fail("producer", code, err);
    for (i = 0; i < records; i++) {
        kafkalog_record_t record = KAFKALOG_RECORD_INIT;
        kafkalog_delivery_t placed;
        size_t len, b;
        random = random * 6364136223846793005u + 1442695040888963407u;
        /* mostly small, some longer than a page */
        len = 8 + (size_t)(random >> 33) % (i % 8 == 7 ? VALUE_BYTES_MAX - 8 : 100);
        for (b = 0; b < len; b++) value[b] = (char)('a' + (random >> (b % 8 * 8)) % 23 + b % 3);
        memcpy(value, &i, sizeof i);
        record.value.data = value;
        record.value.len = len;
        record.partition = (int32_t)(i % (uint64_t)partitions);
        code = kafkalog_producer_send_wait(producer, TOPIC, &record, sizeof record, -1, &placed);
        if (code) return fail("send", code, NULL);
        say(placed.partition, placed.offset, value, len);
    }
    kafkalog_producer_destroy(producer);
    code = kafkalog_engine_close(engine, 30000, &err);
    if (code) return fail("close", code, err);
    kafkalog_engine_destroy(engine);
    return 0;
}
