/* The header alone: every language standard, every compiler, all warnings. */
#include "kafkalog.h"
#include "kafkalog.h"

/* A negative code is one number, also behind a minus. */
typedef char a_code_is_one_number[1 - KAFKALOG_ERR__PANIC == 302 ? 1 : -1];
typedef char an_offset_is_one_number[1 - KAFKALOG_OFFSET_END == 2 ? 1 : -1];
typedef char packed_is_frozen[sizeof(kafkalog_packed_t) == 40 ? 1 : -1];
typedef char delivery_is_frozen[sizeof(kafkalog_delivery_t) == 32 ? 1 : -1];
typedef char view_is_frozen[sizeof(void *) != 8 || sizeof(kafkalog_view_t) == 64 ? 1 : -1];

kafkalog_code_t plain_numbers_are_codes(void);
kafkalog_code_t plain_numbers_are_codes(void) {
    kafkalog_record_t record = KAFKALOG_RECORD_INIT;
    kafkalog_append_opts_t opts = KAFKALOG_APPEND_OPTS_INIT;
    kafkalog_code_t code = 36;
    uint32_t none = KAFKALOG_PACKED_NULL;
    return code == KAFKALOG_ERR_TOPIC_ALREADY_EXISTS && record.partition == -1 && opts.struct_size == sizeof opts
                   && none == 0xffffffffu && KAFKALOG_VERSION_NUMBER >> 24 == KAFKALOG_VERSION_MAJOR
               ? 0
               : code;
}
