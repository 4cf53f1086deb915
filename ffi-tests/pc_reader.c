/* Opens a directory, which recovers it, and prints every record in it; what it cannot read it calls corrupt and ends with 1.
   pc_reader --dir DIR */
#include "power_cut.h"

/* Prints one partition; 1 when something in it is damaged. */
static int print_partition(kafkalog_log_t *log, int32_t partition) {
    int64_t start = 0, high = 0, end = 0, at;
    kafkalog_code_t code = kafkalog_log_offsets(log, &start, &high, &end);
    for (at = start; !code && at < high;) {
        kafkalog_batch_t *batch = NULL;
        const kafkalog_view_t *views;
        size_t count, i;
        code = kafkalog_log_read(log, at, 1 << 16, 0, &batch);
        if (code) break;
        views = kafkalog_batch_views(batch, &count);
        if (count == 0) {
            printf("!corrupt partition %d ends at %" PRId64 " before its high watermark %" PRId64 "\n", (int)partition, at, high);
            return 1;
        }
        for (i = 0; i < count; i++) {
            if (views[i].offset != at + (int64_t)i) {
                printf("!corrupt partition %d: offset %" PRId64 " where %" PRId64 " belongs\n", (int)partition,
                       views[i].offset, at + (int64_t)i);
                return 1;
            }
            say(partition, views[i].offset, views[i].value, (size_t)(views[i].value_len < 0 ? 0 : views[i].value_len));
        }
        at = kafkalog_batch_next_offset(batch);
        kafkalog_batch_release(batch);
    }
    if (code) printf("!corrupt partition %d: %s\n", (int)partition, kafkalog_code_name(code));
    return code != 0;
}

int main(int argc, char **argv) {
    kafkalog_engine_t *engine = NULL;
    kafkalog_error_t *err = NULL;
    kafkalog_code_t code = open_durably(option(argc, argv, "--dir", "."), &engine, &err);
    int32_t partitions = 0, partition;
    int damaged = 0;
    if (code) return fail("open", code, err);
    code = kafkalog_topic_partition_count(engine, TOPIC, &partitions);
    /* cut before the topic was there: nothing was acknowledged, nothing is found */
    if (code && code != KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION) return fail("topic", code, NULL);
    for (partition = 0; partition < partitions; partition++) {
        kafkalog_log_t *log = NULL;
        code = kafkalog_log_open(engine, TOPIC, partition, &log, &err);
        if (code) {
            printf("!corrupt partition %d: %s\n", (int)partition, kafkalog_error_message(err));
            kafkalog_error_destroy(err);
            damaged = 1;
            continue;
        }
        damaged |= print_partition(log, partition);
        kafkalog_log_destroy(log);
    }
    kafkalog_engine_destroy(engine);
    return damaged;
}
