/* The line protocol of the power-cut tool: one line a record, the same from the writer that acknowledges it and from the reader that
   finds it. Payloads are made from a number, so that a changed one is noticed. */
#ifndef POWER_CUT_H
#define POWER_CUT_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafkalog.h"

#define TOPIC "power-cut"

static inline const char *option(int argc, char **argv, const char *name, const char *fallback) {
    int i;
    for (i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    }
    return fallback;
}

static inline int fail(const char *what, kafkalog_code_t code, kafkalog_error_t *err) {
    fprintf(stderr, "%s: %s: %s\n", what, kafkalog_code_name(code), kafkalog_error_message(err));
    kafkalog_error_destroy(err);
    return 1;
}

/* FNV-1a: enough to tell any two payloads apart that a torn sector could make of one. */
static inline uint64_t hash(const void *data, size_t len) {
    const unsigned char *bytes = data;
    uint64_t sum = 14695981039346656037u;
    size_t i;
    for (i = 0; i < len; i++) sum = (sum ^ bytes[i]) * 1099511628211u;
    return sum;
}

/* One write(2) a line: the tool puts it in its place among the writes to the disk. */
static inline void say(int32_t partition, int64_t offset, const void *value, size_t len) {
    printf("%s/%" PRId32 "/%" PRId64 " %016" PRIx64 "\n", TOPIC, partition, offset, hash(value, len));
    fflush(stdout);
}

/* Tiny segments, so that rolls and their directory syncs are cut into; every acknowledgement waits for the disk. */
static inline kafkalog_code_t open_durably(const char *dir, kafkalog_engine_t **engine, kafkalog_error_t **err) {
    kafkalog_conf_t *conf = kafkalog_conf_new();
    kafkalog_code_t code = kafkalog_conf_set(conf, "log.dirs", dir, err);
    if (!code) code = kafkalog_conf_set(conf, "log.flush.interval.messages", "1", err);
    if (!code) code = kafkalog_conf_set(conf, "log.segment.bytes", "8192", err);
    if (!code) code = kafkalog_conf_set(conf, "log.index.size.max.bytes", "4096", err);
    if (!code) code = kafkalog_conf_set(conf, "log.segment.delete.delay.ms", "0", err);
    if (!code) code = kafkalog_engine_open(conf, engine, err);
    kafkalog_conf_destroy(conf);
    return code;
}

#endif
