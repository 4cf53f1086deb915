/* Topics: create, grow, alter, empty, describe, delete. */
#include "check.h"

int main(int argc, char **argv) {
    kafkalog_engine_t *e = open_engine(argc > 1 ? argv[1] : "");
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_error_t *err = NULL;
    kafkalog_buf_t *buf = NULL;
    kafkalog_tplist_t *list = kafkalog_tplist_new(4);
    kafkalog_log_t *l = NULL;
    kafkalog_record_t r = record_of("k", "v", 0);
    kafkalog_code_t code;
    const char *topic;
    int32_t count = 0, partition;
    int64_t offset, start, high, end;
    int i;

    OK(kafkalog_conf_set(conf, "retention.ms", "86400000", NULL));
    OK(kafkalog_topic_create(e, "orders", 2, 1, conf, 5000, &err));
    CHECK(err == NULL);
    CODE(KAFKALOG_ERR_TOPIC_ALREADY_EXISTS, kafkalog_topic_create(e, "orders", 2, 1, NULL, 5000, &err));
    CHECK(kafkalog_error_message(err)[0] != '\0');
    kafkalog_error_destroy(err);
    CODE(KAFKALOG_ERR_INVALID_TOPIC_EXCEPTION, kafkalog_topic_create(e, "a/b", 1, 1, NULL, 5000, NULL));
    CODE(KAFKALOG_ERR_INVALID_PARTITIONS, kafkalog_topic_create(e, "zero", 0, 1, NULL, 5000, NULL));
    CODE(KAFKALOG_ERR_INVALID_PARTITIONS, kafkalog_topic_create(e, "minus", -2, 1, NULL, 5000, NULL));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_topic_create(e, "late", 1, 1, NULL, -2, NULL));
    OK(kafkalog_topic_create(e, "defaults", -1, -1, NULL, 0, NULL));

    OK(kafkalog_topic_partition_count(e, "orders", &count));
    CHECK(count == 2);
    OK(kafkalog_topic_add_partitions(e, "orders", 3, 5000, NULL));
    OK(kafkalog_topic_partition_count(e, "orders", &count));
    CHECK(count == 3);
    CODE(KAFKALOG_ERR_INVALID_PARTITIONS, kafkalog_topic_add_partitions(e, "orders", 3, 5000, NULL));
    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_topic_partition_count(e, "nowhere", &count));

    OK(kafkalog_topic_alter(e, "orders", "retention.ms", "3600001", 5000, NULL));
    CODE(KAFKALOG_ERR_INVALID_CONFIG, kafkalog_topic_alter(e, "orders", "retention.mss", "1", 5000, NULL));
    OK(kafkalog_metadata(e, "orders", &buf, NULL));
    CHECK(strstr(kafkalog_buf_data(buf), "3600001") != NULL && strstr(kafkalog_buf_data(buf), "defaults") == NULL);
    kafkalog_buf_destroy(buf);
    OK(kafkalog_topic_alter(e, "orders", "retention.ms", NULL, 5000, NULL));
    OK(kafkalog_metadata(e, NULL, &buf, NULL));
    CHECK(strstr(kafkalog_buf_data(buf), "3600001") == NULL && strstr(kafkalog_buf_data(buf), "defaults") != NULL);
    kafkalog_buf_destroy(buf);

    OK(kafkalog_log_open(e, "orders", 1, &l, NULL));
    for (i = 0; i < 10; i++) OK(kafkalog_log_append(l, &r, sizeof r, 1, NULL, &offset));
    CHECK(offset == 9);
    OK(kafkalog_tplist_add(list, "orders", 1, 4));
    OK(kafkalog_tplist_add(list, "orders", 2, KAFKALOG_OFFSET_END));
    OK(kafkalog_tplist_add(list, "nowhere", 0, 0));
    OK(kafkalog_tplist_add(list, "orders", 0, 99));
    OK(kafkalog_topic_delete_records(e, list, 5000, NULL));
    OK(kafkalog_tplist_get(list, 0, &topic, &partition, &offset, &code));
    CHECK(strcmp(topic, "orders") == 0 && partition == 1 && offset == 4 && code == 0);
    OK(kafkalog_tplist_get(list, 1, &topic, &partition, &offset, &code));
    CHECK(offset == 0 && code == 0);
    OK(kafkalog_tplist_get(list, 2, &topic, &partition, &offset, &code));
    CHECK(code == KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION && offset == KAFKALOG_OFFSET_INVALID);
    OK(kafkalog_tplist_get(list, 3, &topic, &partition, &offset, &code));
    CHECK(code == KAFKALOG_ERR_OFFSET_OUT_OF_RANGE);
    OK(kafkalog_log_offsets(l, &start, &high, &end));
    CHECK(start == 4 && high == 10 && end == 10);

    OK(kafkalog_engine_stats(e, &buf));
    CHECK(kafkalog_buf_data(buf)[0] == '{' && strlen(kafkalog_buf_data(buf)) == kafkalog_buf_len(buf));
    kafkalog_buf_destroy(buf);
    OK(kafkalog_engine_metrics_text(e, &buf));
    CHECK(strstr(kafkalog_buf_data(buf), "# EOF") != NULL);
    kafkalog_buf_destroy(buf);
    OK(kafkalog_engine_sync(e, 5000));
    OK(kafkalog_engine_fatal_error(e, &err));
    CHECK(err == NULL);

    OK(kafkalog_topic_delete(e, "orders", 5000, NULL));
    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_topic_delete(e, "orders", 5000, NULL));

    kafkalog_log_destroy(l);
    kafkalog_tplist_destroy(list);
    kafkalog_conf_destroy(conf);
    OK(kafkalog_engine_close(e, 10000, NULL));
    OK(kafkalog_engine_close(e, 10000, NULL));
    CODE(KAFKALOG_ERR__CLOSED, kafkalog_topic_delete(e, "defaults", 5000, NULL));
    kafkalog_engine_destroy(e);
    return 0;
}
