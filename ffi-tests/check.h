/* What the test programs share. Like any user's program they see only the public header. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kafkalog.h"

/* Ends the program with the place of a condition that does not hold. */
#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                 \
        }                                                                            \
    } while (0)

/* Ends the program when a call does not answer this code. */
#define CODE(expected, call) check_code(__FILE__, __LINE__, #call, (expected), (call))
#define OK(call) CODE(0, call)

static inline void check_code(const char *file, int line, const char *what, kafkalog_code_t expected,
                              kafkalog_code_t code) {
    if (code != expected) {
        fprintf(stderr, "%s:%d: %s answered %d %s, not %d %s\n", file, line, what, (int)code, kafkalog_code_name(code),
                (int)expected, kafkalog_code_name(expected));
        exit(1);
    }
}

static inline kafkalog_conf_t *conf_for(const char *dir) {
    kafkalog_conf_t *conf = kafkalog_conf_new();
    OK(kafkalog_conf_set(conf, "log.dirs", dir, NULL));
    return conf;
}

static inline kafkalog_engine_t *open_engine(const char *dir) {
    kafkalog_conf_t *conf = conf_for(dir);
    kafkalog_engine_t *engine = NULL;
    kafkalog_error_t *err = NULL;
    if (kafkalog_engine_open(conf, &engine, &err) != 0) {
        fprintf(stderr, "open: %s\n", kafkalog_error_message(err));
        exit(1);
    }
    CHECK(err == NULL);
    kafkalog_conf_destroy(conf);
    return engine;
}

static inline kafkalog_record_t record_of(const char *key, const char *value, uint64_t tag) {
    kafkalog_record_t record = KAFKALOG_RECORD_INIT;
    record.key.data = key;
    record.key.len = key ? strlen(key) : 0;
    record.value.data = value;
    record.value.len = value ? strlen(value) : 0;
    record.tag = tag;
    return record;
}

static inline int says(const void *data, int32_t len, const char *text) {
    return data != NULL && (size_t)len == strlen(text) && memcmp(data, text, (size_t)len) == 0;
}

#endif
