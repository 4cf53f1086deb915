
/* A record without key and headers, for the partitioner to place, with the time of the send. */
#define KAFKALOG_RECORD_INIT { { NULL, 0 }, { NULL, 0 }, NULL, 0, -1, 0, -1, 0 }

/* acks=1, wait for ever, no fsync. */
#define KAFKALOG_APPEND_OPTS_INIT { sizeof(kafkalog_append_opts_t), 1, -1, 0 }

/* kafkalog_packed_t: the length of a key or value that is null. */
#define KAFKALOG_PACKED_NULL UINT32_MAX
