/* Direct access to one partition: append in three forms, read, look up, sync. */
#include "check.h"

int main(int argc, char **argv) {
    const char *dir = argc > 1 ? argv[1] : "";
    kafkalog_engine_t *e = open_engine(dir);
    kafkalog_log_t *l = NULL, *other = NULL;
    kafkalog_batch_t *b = NULL;
    kafkalog_error_t *err = NULL;
    kafkalog_append_opts_t opts = KAFKALOG_APPEND_OPTS_INIT;
    kafkalog_record_t records[3];
    kafkalog_header_t header, found;
    kafkalog_packed_t packed[2];
    kafkalog_bytes_t raw;
    const kafkalog_view_t *v;
    char path[4096], bytes[4096];
    int64_t at = -1, start, high, end;
    size_t n, i;
    FILE *file;

    OK(kafkalog_topic_create(e, "t", 2, 1, NULL, 5000, NULL));
    CODE(KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION, kafkalog_log_open(e, "t", 2, &l, &err));
    CHECK(l == NULL && err != NULL);
    kafkalog_error_destroy(err);
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_open(e, "t", -1, &l, NULL));
    OK(kafkalog_log_open(e, "t", 0, &l, NULL));
    OK(kafkalog_log_open(e, "t", 1, &other, NULL));

    /* nothing there yet: 0 and no batch */
    OK(kafkalog_log_read(l, 0, 1 << 20, 0, &b));
    CHECK(b == NULL && kafkalog_batch_views(b, &n) == NULL && n == 0);
    CODE(KAFKALOG_ERR_OFFSET_OUT_OF_RANGE, kafkalog_log_read(l, 1, 1 << 20, 0, &b));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_read(l, -1, 1 << 20, 0, &b));

    memset(&header, 0, sizeof header);
    header.name.data = "colour";
    header.name.len = 6;
    header.value.data = "red";
    header.value.len = 3;
    records[0] = record_of("k", "one", 0);
    records[1] = record_of(NULL, "", 0);
    records[1].headers = &header;
    records[1].header_count = 1;
    records[2] = record_of("gone", NULL, 0);
    for (i = 0; i < 3; i++) records[i].timestamp_ms = 1700000000000 + (int64_t)i;
    opts.flags = KAFKALOG_APPEND_FSYNC;
    opts.timeout_ms = 10000;
    OK(kafkalog_log_append(l, records, sizeof records[0], 3, &opts, &at));
    CHECK(at == 0);
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_append(l, records, sizeof records[0], 0, NULL, &at));

    memset(packed, 0, sizeof packed);
    packed[0].value_len = 3;
    packed[0].timestamp_ms = 1700000000010;
    packed[0].partition = 0;
    packed[1].value_off = 3;
    packed[1].value_len = 4;
    packed[1].key_len = KAFKALOG_PACKED_NULL;
    packed[1].timestamp_ms = 1700000000011;
    packed[1].partition = -1;
    OK(kafkalog_log_append_packed(l, "fourfive", 8, packed, 2, NULL, &at));
    CHECK(at == 3);
    packed[1].value_off = 5;
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_log_append_packed(l, "fourfive", 8, packed, 2, NULL, &at));
    CHECK(at == -1);

    OK(kafkalog_log_read(l, 1, 1 << 20, 1000, &b));
    v = kafkalog_batch_views(b, &n);
    CHECK(n >= 2 && v[0].offset == 1);
    CHECK(v[0].key == NULL && v[0].key_len == -1 && v[0].value != NULL && v[0].value_len == 0);
    CHECK(v[0].header_count == 1 && v[0].timestamp_ms == 1700000000001 && v[0].partition == 0);
    CHECK(strcmp(kafkalog_batch_topic(b, v[0].topic_index), "t") == 0);
    CHECK(kafkalog_batch_topic(b, 99) == NULL);
    OK(kafkalog_batch_header(b, 0, 0, &found));
    CHECK(says(found.name.data, (int32_t)found.name.len, "colour") && says(found.value.data, (int32_t)found.value.len, "red"));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_batch_header(b, 0, 1, &found));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_batch_header(b, 1, 0, &found));
    CODE(KAFKALOG_ERR__INVALID_ARG, kafkalog_batch_header(b, 99, 0, &found));
    CHECK(says(v[1].key, v[1].key_len, "gone") && v[1].value == NULL && v[1].value_len == -1 && v[1].header_count == 0);
    CHECK(kafkalog_batch_next_offset(b) == v[n - 1].offset + 1);
    kafkalog_batch_release(b);

    OK(kafkalog_log_offsets(l, &start, &high, &end));
    CHECK(start == 0 && high == 5 && end == 5);
    OK(kafkalog_log_offset_for_time(l, 1700000000002, &at));
    CHECK(at == 2);
    OK(kafkalog_log_offset_for_time(l, 1800000000000, &at));
    CHECK(at == KAFKALOG_OFFSET_END);
    OK(kafkalog_log_sync(l, 10000));

    /* the bytes of a batch as they lie on disk are a batch for anybody */
    CHECK((size_t)snprintf(path, sizeof path, "%s/t-0/00000000000000000000.log", dir) < sizeof path);
    file = fopen(path, "rb");
    CHECK(file != NULL);
    n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    CHECK(n > 61);
    raw.data = bytes;
    raw.len = 12 + (size_t)(unsigned char)bytes[10] * 256 + (unsigned char)bytes[11];
    OK(kafkalog_log_append_raw(other, raw, NULL, &at));
    CHECK(at == 0);
    bytes[70] ^= 1;
    CODE(KAFKALOG_ERR_CORRUPT_MESSAGE, kafkalog_log_append_raw(other, raw, NULL, &at));
    OK(kafkalog_log_read(other, 0, 1 << 20, 1000, &b));
    v = kafkalog_batch_views(b, &n);
    CHECK(n == 3 && says(v[0].value, v[0].value_len, "one") && v[2].value == NULL && v[2].partition == 1);
    kafkalog_batch_release(b);

    kafkalog_log_destroy(l);
    kafkalog_engine_destroy(e);
    CODE(KAFKALOG_ERR__DESTROY, kafkalog_log_read(other, 0, 1 << 20, 0, &b));
    kafkalog_log_destroy(other);
    return 0;
}
