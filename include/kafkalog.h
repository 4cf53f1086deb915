/*
 * kafkalog: an embedded, partitioned append log that speaks Kafka's language.
 *
 * Generated from src/ffi by tests/header.rs; do not edit. (KAFKALOG_UPDATE_HEADER=1 cargo test --test header)
 *
 * CONVENTIONS, and then no surprises:
 *
 * Objects    are opaque, made by a function _new, _open, _create, _dup or _poll and ended by exactly one _destroy (batches and inboxes: _release).
 *            Ending NULL is fine. Children may be ended before or after their engine; one that is used after it
 *            answers KAFKALOG_ERR__DESTROY.
 * Ownership  Nothing that you pass in is ever taken over; it is copied before the call returns. What the library makes is
 *            ended by the library's function, never by free(). A const char * from the library is static, or lives as long as
 *            the object it came from: its function says which.
 * Answers    Functions that can fail return kafkalog_code_t: 0 is success. A result comes through a pointer at the end of the list;
 *            it is NULL after a failure. kafkalog_error_t **err is always optional: NULL costs nothing and leaks nothing, anything
 *            else gets the details, which you end with kafkalog_error_destroy(). There is no "last error" and no errno.
 *            "Codes" at a function are those worth handling; every function may also answer _PANIC and _FORKED, and every one
 *            that is not [CB] _REENTRANT. _X is short for KAFKALOG_ERR__X, X (n) for KAFKALOG_ERR_X.
 * Pointers   NULL where an object, a string or an array is needed answers KAFKALOG_ERR__INVALID_ARG. (NULL, 0) is an empty array.
 *            For keys and values, data NULL is Kafka's null. Strings are UTF-8 and end with a NUL.
 * Threads    [MT]  any thread, at any time, also several at once
 *            [ONE] any thread, one at a time for each object; a second one is answered _REENTRANT
 *            [CB]  also inside a callback of yours; everything else is answered _REENTRANT there (or NULL, 0, where it has no code)
 *            No object belongs to the thread that made it. No function is async-signal-safe.
 * Callbacks  There are two kinds, each only if you set it: the log function, and the functions of a transport. Everything else arrives
 *            on queues that you poll, or watch by their descriptor.
 * Time       int32_t timeout_ms: 0 does not wait, -1 waits for ever. Timestamps are milliseconds since 1970, UTC.
 * Fatal      After an error for which kafkalog_error_is_fatal() the engine takes no work any more: close it and open it
 *            again. Close and destroy always work.
 * fork()     An engine does not survive it: in the child, every function on an object of the parent answers _FORKED, and ending it does
 *            nothing. Open a new engine there.
 * Quiet      The library prints nothing, installs no signal handler, and must not be unloaded with dlclose().
 * Versions   Within one soname nothing is removed or changed. Structs that you fill carry their size, so that they may grow.
 */

#ifndef KAFKALOG_H
#define KAFKALOG_H

#include <stddef.h>
#include <stdint.h>

#define KAFKALOG_VERSION_MAJOR 0
#define KAFKALOG_VERSION_MINOR 1
#define KAFKALOG_VERSION_PATCH 0
/* Compare with kafkalog_version(). */
#define KAFKALOG_VERSION_NUMBER ((uint32_t)KAFKALOG_VERSION_MAJOR << 24 | (uint32_t)KAFKALOG_VERSION_MINOR << 16 | (uint32_t)KAFKALOG_VERSION_PATCH << 8)
/* The number in the soname; compare with kafkalog_abi_version(). */
#define KAFKALOG_ABI_VERSION 0

/* The values of a kafkalog_code_t. Those from -1 upwards are the Kafka protocol's, those down to -200 librdkafka's,
   those from -300 downwards are kafkalog's own. A number never gets another meaning. */
enum kafkalog_codes {
    KAFKALOG_ERR_UNKNOWN_SERVER_ERROR = -1, /* an unforeseen failure */
    KAFKALOG_ERR_NONE = 0, /* success */
    KAFKALOG_ERR_OFFSET_OUT_OF_RANGE = 1, /* the offset is not in the log */
    KAFKALOG_ERR_CORRUPT_MESSAGE = 2, /* bytes fail their checksum or make no sense */
    KAFKALOG_ERR_UNKNOWN_TOPIC_OR_PARTITION = 3, /* no such topic or partition here */
    KAFKALOG_ERR_INVALID_FETCH_SIZE = 4, /* the fetch size is not valid */
    KAFKALOG_ERR_LEADER_NOT_AVAILABLE = 5, /* the partition has no leader now */
    KAFKALOG_ERR_NOT_LEADER_OR_FOLLOWER = 6, /* this node does not lead the partition */
    KAFKALOG_ERR_REQUEST_TIMED_OUT = 7, /* the request was not finished in time */
    KAFKALOG_ERR_BROKER_NOT_AVAILABLE = 8, /* the node is not available */
    KAFKALOG_ERR_REPLICA_NOT_AVAILABLE = 9, /* the replica is not available */
    KAFKALOG_ERR_MESSAGE_TOO_LARGE = 10, /* the record or batch is larger than allowed */
    KAFKALOG_ERR_OFFSET_METADATA_TOO_LARGE = 12, /* the metadata of an offset commit is too large */
    KAFKALOG_ERR_NETWORK_EXCEPTION = 13, /* the connection was lost */
    KAFKALOG_ERR_COORDINATOR_LOAD_IN_PROGRESS = 14, /* the coordinator is still loading */
    KAFKALOG_ERR_COORDINATOR_NOT_AVAILABLE = 15, /* the coordinator is not available */
    KAFKALOG_ERR_NOT_COORDINATOR = 16, /* this node is not the coordinator */
    KAFKALOG_ERR_INVALID_TOPIC_EXCEPTION = 17, /* the topic name is not legal or may not be used so */
    KAFKALOG_ERR_RECORD_LIST_TOO_LARGE = 18, /* the append does not fit into a segment */
    KAFKALOG_ERR_NOT_ENOUGH_REPLICAS = 19, /* fewer in-sync replicas than min.insync.replicas; nothing was written */
    KAFKALOG_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, /* written, but too few in-sync replicas have it */
    KAFKALOG_ERR_INVALID_REQUIRED_ACKS = 21, /* acks must be 0, 1 or all */
    KAFKALOG_ERR_ILLEGAL_GENERATION = 22, /* the group generation is not the current one */
    KAFKALOG_ERR_INCONSISTENT_GROUP_PROTOCOL = 23, /* the members share no group protocol */
    KAFKALOG_ERR_INVALID_GROUP_ID = 24, /* the group id is not valid */
    KAFKALOG_ERR_UNKNOWN_MEMBER_ID = 25, /* the group does not know this member */
    KAFKALOG_ERR_INVALID_SESSION_TIMEOUT = 26, /* the session timeout is out of range */
    KAFKALOG_ERR_REBALANCE_IN_PROGRESS = 27, /* the group is rebalancing */
    KAFKALOG_ERR_INVALID_COMMIT_OFFSET_SIZE = 28, /* the offset commit record is too large */
    KAFKALOG_ERR_INVALID_TIMESTAMP = 32, /* the timestamp of a record is out of range */
    KAFKALOG_ERR_UNSUPPORTED_VERSION = 35, /* a version is newer than this program understands */
    KAFKALOG_ERR_TOPIC_ALREADY_EXISTS = 36, /* the topic exists already */
    KAFKALOG_ERR_INVALID_PARTITIONS = 37, /* the number of partitions is not valid */
    KAFKALOG_ERR_INVALID_REPLICATION_FACTOR = 38, /* the replication factor is not valid */
    KAFKALOG_ERR_INVALID_REPLICA_ASSIGNMENT = 39, /* the replica assignment is not valid */
    KAFKALOG_ERR_INVALID_CONFIG = 40, /* a setting is unknown or out of range */
    KAFKALOG_ERR_NOT_CONTROLLER = 41, /* this node is not the controller */
    KAFKALOG_ERR_INVALID_REQUEST = 42, /* the request makes no sense */
    KAFKALOG_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, /* not possible with this message format */
    KAFKALOG_ERR_POLICY_VIOLATION = 44, /* the request violates a policy */
    KAFKALOG_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45, /* the sequence number does not follow the last one */
    KAFKALOG_ERR_DUPLICATE_SEQUENCE_NUMBER = 46, /* the sequence number was seen before */
    KAFKALOG_ERR_INVALID_PRODUCER_EPOCH = 47, /* the producer epoch is older than the known one */
    KAFKALOG_ERR_INVALID_TXN_STATE = 48, /* not possible in this state of the transaction */
    KAFKALOG_ERR_INVALID_PRODUCER_ID_MAPPING = 49, /* the producer id does not belong to the transactional id */
    KAFKALOG_ERR_INVALID_TRANSACTION_TIMEOUT = 50, /* the transaction timeout is too large */
    KAFKALOG_ERR_CONCURRENT_TRANSACTIONS = 51, /* the previous transaction is still being finished */
    KAFKALOG_ERR_TRANSACTION_COORDINATOR_FENCED = 52, /* the marker comes from an old coordinator */
    KAFKALOG_ERR_OPERATION_NOT_ATTEMPTED = 55, /* not tried, because something before it failed */
    KAFKALOG_ERR_KAFKA_STORAGE_ERROR = 56, /* the disk failed; the partition is offline until it is reopened */
    KAFKALOG_ERR_LOG_DIR_NOT_FOUND = 57, /* there is no such log directory */
    KAFKALOG_ERR_UNKNOWN_PRODUCER_ID = 59, /* the producer id is not known */
    KAFKALOG_ERR_REASSIGNMENT_IN_PROGRESS = 60, /* a reassignment is under way */
    KAFKALOG_ERR_NON_EMPTY_GROUP = 68, /* the group has members */
    KAFKALOG_ERR_GROUP_ID_NOT_FOUND = 69, /* there is no such group */
    KAFKALOG_ERR_FETCH_SESSION_ID_NOT_FOUND = 70, /* the fetch session is not known */
    KAFKALOG_ERR_INVALID_FETCH_SESSION_EPOCH = 71, /* the fetch session epoch is not the expected one */
    KAFKALOG_ERR_TOPIC_DELETION_DISABLED = 73, /* topics may not be deleted here */
    KAFKALOG_ERR_FENCED_LEADER_EPOCH = 74, /* the leader epoch is older than the known one */
    KAFKALOG_ERR_UNKNOWN_LEADER_EPOCH = 75, /* the leader epoch is newer than the known one */
    KAFKALOG_ERR_UNSUPPORTED_COMPRESSION_TYPE = 76, /* the compression codec is unknown or not built in */
    KAFKALOG_ERR_STALE_BROKER_EPOCH = 77, /* the node epoch is stale */
    KAFKALOG_ERR_OFFSET_NOT_AVAILABLE = 78, /* the offset is not known to be committed yet */
    KAFKALOG_ERR_MEMBER_ID_REQUIRED = 79, /* join again with the member id that was given */
    KAFKALOG_ERR_PREFERRED_LEADER_NOT_AVAILABLE = 80, /* the preferred leader is not available */
    KAFKALOG_ERR_GROUP_MAX_SIZE_REACHED = 81, /* the group is full */
    KAFKALOG_ERR_FENCED_INSTANCE_ID = 82, /* another member took this group.instance.id */
    KAFKALOG_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, /* no eligible leader is available */
    KAFKALOG_ERR_ELECTION_NOT_NEEDED = 84, /* the partition needs no election */
    KAFKALOG_ERR_NO_REASSIGNMENT_IN_PROGRESS = 85, /* no reassignment is under way */
    KAFKALOG_ERR_GROUP_SUBSCRIBED_TO_TOPIC = 86, /* the group is subscribed to the topic */
    KAFKALOG_ERR_INVALID_RECORD = 87, /* a record or batch breaks the rules of its format */
    KAFKALOG_ERR_UNSTABLE_OFFSET_COMMIT = 88, /* the committed offset may still change */
    KAFKALOG_ERR_THROTTLING_QUOTA_EXCEEDED = 89, /* a quota is exceeded */
    KAFKALOG_ERR_PRODUCER_FENCED = 90, /* a newer producer has the same transactional id */
    KAFKALOG_ERR_RESOURCE_NOT_FOUND = 91, /* there is no such resource */
    KAFKALOG_ERR_DUPLICATE_RESOURCE = 92, /* the resource exists already */
    KAFKALOG_ERR_INVALID_UPDATE_VERSION = 95, /* the update is based on a stale version */
    KAFKALOG_ERR_UNKNOWN_TOPIC_ID = 100, /* no topic has this id */
    KAFKALOG_ERR_DUPLICATE_BROKER_REGISTRATION = 101, /* another process with this node id is alive */
    KAFKALOG_ERR_BROKER_ID_NOT_REGISTERED = 102, /* the node is not registered */
    KAFKALOG_ERR_INCONSISTENT_TOPIC_ID = 103, /* the topic id differs from the one in the log */
    KAFKALOG_ERR_INELIGIBLE_REPLICA = 107, /* the replica may not join the in-sync replicas */
    KAFKALOG_ERR_NEW_LEADER_ELECTED = 108, /* a new leader was elected meanwhile */
    KAFKALOG_ERR_FENCED_MEMBER_EPOCH = 110, /* the member epoch is fenced */
    KAFKALOG_ERR_UNRELEASED_INSTANCE_ID = 111, /* the instance id is still in use */
    KAFKALOG_ERR_UNSUPPORTED_ASSIGNOR = 112, /* the assignor is not supported */
    KAFKALOG_ERR_STALE_MEMBER_EPOCH = 113, /* the member epoch is stale */
    KAFKALOG_ERR_TRANSACTION_ABORTABLE = 120, /* the transaction has to be aborted */
    KAFKALOG_ERR__FATAL = -150, /* the handle is finished; close it */
    KAFKALOG_ERR__PURGE_INFLIGHT = -151, /* purged while in flight: it may or may not be in the log */
    KAFKALOG_ERR__PURGE_QUEUE = -152, /* purged before it was written */
    KAFKALOG_ERR__STATE = -172, /* not possible in this state */
    KAFKALOG_ERR__QUEUE_FULL = -184, /* a bounded queue or buffer is full */
    KAFKALOG_ERR__TIMED_OUT = -185, /* the time limit of the call passed */
    KAFKALOG_ERR__INVALID_ARG = -186, /* an argument is not valid */
    KAFKALOG_ERR__PARTITION_EOF = -191, /* the end of the partition is reached */
    KAFKALOG_ERR__DESTROY = -197, /* the handle or its engine is closed */
    KAFKALOG_ERR__PANIC = -301, /* a bug in this library was caught at its door */
    KAFKALOG_ERR__FORKED = -302, /* an engine does not survive fork() */
    KAFKALOG_ERR__NOMEM = -303, /* memory could not be allocated */
    KAFKALOG_ERR__ABI = -304, /* a struct_size is smaller than the first version of the struct */
    KAFKALOG_ERR__REENTRANT = -305, /* not legal inside a callback, or two threads used a one-thread handle */
    KAFKALOG_ERR__CLOSED = -306, /* the engine is closed */
    KAFKALOG_ERR__TRANSPORT_HOST = -307 /* the host's transport failed */
};


// In kafkalog_append_opts_t.flags: return only after an fdatasync that covers the batch.
#define KAFKALOG_APPEND_FSYNC 1

// For kafkalog_cluster_elect_leaders(): the first replica of each partition, where it is in sync and does not lead.
#define KAFKALOG_ELECTION_PREFERRED 0

// For kafkalog_cluster_elect_leaders(): any replica that is there, where `unclean.leader.election.enable` allows it and nobody leads. What
// it lacks is lost.
#define KAFKALOG_ELECTION_UNCLEAN 1

// An event of records that were acknowledged or failed: kafkalog_event_deliveries().
#define KAFKALOG_EVENT_DELIVERY 1

// An event of something that went wrong and belongs to no call: kafkalog_event_error().
#define KAFKALOG_EVENT_ERROR 2

// An event of a partition that is led here and has other in-sync replicas: as KAFKALOG_EVENT_LEADER.
#define KAFKALOG_EVENT_ISR 8

// An event of a partition that has a replica here and is led by another node, or by nobody: kafkalog_event_partitions() has the
// partition, with its leader's epoch as offset; kafkalog_event_text() says more.
#define KAFKALOG_EVENT_LEADER 7

// An event of one log line (with `log.queue=true`): kafkalog_event_text().
#define KAFKALOG_EVENT_LOG 3

// An event of the statistics (with `statistics.interval.ms`), as kafkalog_engine_stats() has them: kafkalog_event_text().
#define KAFKALOG_EVENT_STATS 4

// As an offset: at the first record that the log still has.
#define KAFKALOG_OFFSET_BEGINNING (-2)

// As an offset: behind the last record.
#define KAFKALOG_OFFSET_END (-1)

// As an offset: none is known; where a start is asked for, `auto.offset.reset` decides.
#define KAFKALOG_OFFSET_INVALID (-1001)

// For kafkalog_producer_purge(), together with _QUEUED: also records that were written and wait for their acknowledgement.
#define KAFKALOG_PURGE_INFLIGHT 2

// For kafkalog_producer_purge(): records that were not written yet.
#define KAFKALOG_PURGE_QUEUED 1

// For kafkalog_node_set_seat(): gets the metadata and does not vote.
#define KAFKALOG_SEAT_LEARNER 2

// For kafkalog_node_set_seat(): nothing to do with the metadata quorum.
#define KAFKALOG_SEAT_NONE 0

// For kafkalog_node_set_seat(): votes.
#define KAFKALOG_SEAT_VOTER 1

// Records that were read. Immutable, so any thread may look at it; it may outlive what it was read with, and the engine.
typedef struct kafkalog_batch kafkalog_batch_t;

// A piece of text, followed by a NUL that its length does not count. Immutable, so any thread may look at it.
typedef struct kafkalog_buf kafkalog_buf_t;

// Settings of an engine, a topic, a producer or a consumer. One thread at a time.
typedef struct kafkalog_conf kafkalog_conf_t;

// Reads partitions that it was assigned. Polls one at a time, everything else from any thread at any time.
typedef struct kafkalog_consumer kafkalog_consumer_t;

// One open directory. Any thread at any time.
typedef struct kafkalog_engine kafkalog_engine_t;

// Details of one failure. Immutable, so any thread may look at it.
typedef struct kafkalog_error kafkalog_error_t;

// One event, owned by whoever polled it. Immutable, so any thread may look at it.
typedef struct kafkalog_event kafkalog_event_t;

// Where a transport of the host's delivers. Any thread at any time, also inside a callback.
//
// It is the host's from `start` until kafkalog_inbox_release(), and the memory stays until both that and the transport's `release`
// were called: a thread of the host that delivers too late is told so.
typedef struct kafkalog_inbox kafkalog_inbox_t;

// One partition. Any thread at any time.
typedef struct kafkalog_log kafkalog_log_t;

// Sends records. Any thread at any time.
typedef struct kafkalog_producer kafkalog_producer_t;

// A queue of events. Any thread at any time.
typedef struct kafkalog_queue kafkalog_queue_t;

// A list of partitions. One thread at a time.
typedef struct kafkalog_tplist kafkalog_tplist_t;

// What every fallible function answers: 0 is success; the KAFKALOG_ERR_ constants name the others. Numbers from -1 upwards are the
// Kafka protocol's.
typedef int32_t kafkalog_code_t;

// Bytes with a length. For keys, values and header values `data == NULL` is Kafka's null; `len == 0` with any other `data` is
// empty. Elsewhere `(NULL, 0)` is empty.
typedef struct kafkalog_bytes {
    const void *data;
    size_t len;
} kafkalog_bytes_t;

// One header of a record. A name is never null.
typedef struct kafkalog_header {
    kafkalog_bytes_t name;
    kafkalog_bytes_t value;
} kafkalog_header_t;

// One record that was read. Valid until the batch is released. Frozen, 64 bytes on 64-bit machines.
typedef struct kafkalog_view {
    int64_t offset;
    // -1: the producer gave none.
    int64_t timestamp_ms;
    const void *key;
    const void *value;
    // -1: no key.
    int32_t key_len;
    // -1: a tombstone.
    int32_t value_len;
    int32_t partition;
    // -1: none.
    int32_t leader_epoch;
    // For kafkalog_batch_topic().
    uint32_t topic_index;
    // For kafkalog_batch_header().
    uint32_t header_count;
    uint64_t reserved;
} kafkalog_view_t;

// The host's log function. It is called from threads of the library and from those that call it, with no lock held, also by
// several at once: it must be quick, must not throw or longjmp, and may only call functions of class [CB].
//
// `level` is syslog's: 3 error, 4 warning, 5 notice, 6 info, 7 debug. `text` is one line of `len` bytes, without a NUL at its
// end; both strings are valid only during the call.
typedef void (*kafkalog_log_fn)(void *opaque, int32_t level, const char *facility, const char *text, size_t len);

// What became of one record. Frozen, 32 bytes.
typedef struct kafkalog_delivery {
    uint64_t tag;
    // -1 when the record failed, and with acks=0.
    int64_t offset;
    // The record's own timestamp, or the time of the append where the topic says so; -1 when the record failed.
    int64_t timestamp_ms;
    int32_t partition;
    // 0, or why the record failed.
    kafkalog_code_t code;
} kafkalog_delivery_t;

// One record to send or append; begin with KAFKALOG_RECORD_INIT. Arrays of it carry `record_size`, which is
// sizeof(kafkalog_record_t): later versions may append members.
typedef struct kafkalog_record {
    // data NULL: no key.
    kafkalog_bytes_t key;
    // data NULL: a tombstone.
    kafkalog_bytes_t value;
    const kafkalog_header_t *headers;
    size_t header_count;
    // Milliseconds since the epoch; -1: now.
    int64_t timestamp_ms;
    // Comes back in the delivery.
    uint64_t tag;
    // -1: the partitioner chooses.
    int32_t partition;
    // 0.
    uint32_t flags;
} kafkalog_record_t;

// How one direct append is acknowledged; begin with KAFKALOG_APPEND_OPTS_INIT.
typedef struct kafkalog_append_opts {
    // sizeof(kafkalog_append_opts_t): later versions may append members.
    uint32_t struct_size;
    // 0, 1, or -1 for all in-sync replicas.
    int32_t acks;
    // How long to wait for that.
    int32_t timeout_ms;
    // KAFKALOG_APPEND_FSYNC or 0.
    uint32_t flags;
} kafkalog_append_opts_t;

// One record of a packed call: places in one flat buffer, no pointers. Frozen, 40 bytes.
typedef struct kafkalog_packed {
    uint32_t key_off;
    // UINT32_MAX: no key.
    uint32_t key_len;
    uint32_t value_off;
    // UINT32_MAX: a tombstone.
    uint32_t value_len;
    // Milliseconds since the epoch; -1: now.
    int64_t timestamp_ms;
    // Comes back in the delivery.
    uint64_t tag;
    // -1: the partitioner chooses.
    int32_t partition;
    // 0.
    uint32_t flags;
} kafkalog_packed_t;

// A network of the host's, for kafkalog_transport_register(). Set all to 0, then `struct_size` and the functions, all of which are
// needed.
//
// They are called from threads of the library and from those that call it, `send` by several at once, with no lock held. They must
// not throw or longjmp, and may only call functions of class [CB]. Whatever they are given is valid only during the call, except
// the inbox. Numbers of nodes are 0 and more. Those below -1073741824 are clients that came in, programs that hold no data; the other
// negative ones are addresses of which a client does not know yet which node is there.
typedef struct kafkalog_transport_vtable {
    // sizeof(kafkalog_transport_vtable_t): later versions may append members.
    uint32_t struct_size;
    // 0.
    uint32_t flags;
    // Given to every function. Stays the host's; nobody uses it after `release`.
    void *ctx;
    // The first call: this engine is `node_id`, and what comes in for it goes to `inbox`, which the host ends with
    // kafkalog_inbox_release(). A negative number says that the engine is a client, whose real number is the other side's choice.
    kafkalog_code_t (*start)(void *ctx, int32_t node_id, kafkalog_inbox_t *inbox);
    // Takes a frame for a node: the parts one behind the other, without a mark between them. Must not block for longer than a write
    // into a socket's buffer. Frames may be lost and repeated; those of one connection must not overtake each other. Answers 0,
    // _QUEUE_FULL (try again later), NETWORK_EXCEPTION (13, there is no connection), BROKER_NOT_AVAILABLE (8, no such node),
    // MESSAGE_TOO_LARGE (10); any other number is reported as _TRANSPORT_HOST.
    kafkalog_code_t (*send)(void *ctx, int32_t to_node, const kafkalog_bytes_t *parts, size_t part_count);
    // Names a node and its address, or moves it there; NULL removes it. Never by two threads at once. Answers 0 or _INVALID_ARG.
    kafkalog_code_t (*set_peer)(void *ctx, int32_t node_id, const char *address);
    // The end: no other function but `release` is called after it. A `send` that does not come back is waited for, for five
    // seconds, before it.
    void (*stop)(void *ctx);
    // The last call, exactly once, when no other is running.
    void (*release)(void *ctx);
} kafkalog_transport_vtable_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The number in the soname: programs compiled against an equal KAFKALOG_ABI_VERSION run with this library.
//
// [MT][CB], never blocks.
uint32_t kafkalog_abi_version(void);

// Header number `header` of record number `record`.
//
// What `*out` points to belongs to the batch and ends with it. [MT][CB], never blocks. Codes: _INVALID_ARG, also when there is no
// such record or header.
kafkalog_code_t kafkalog_batch_header(const kafkalog_batch_t *b,
                                      size_t record,
                                      size_t header,
                                      kafkalog_header_t *out);

// Where to read on: the offset behind the last record of the batch, in that record's partition. -1 for NULL.
//
// [MT][CB], never blocks.
int64_t kafkalog_batch_next_offset(const kafkalog_batch_t *b);

// Lets a batch and everything it points to go; NULL is fine. From any thread, also after the end of its consumer or engine.
//
// [MT][CB], never blocks.
void kafkalog_batch_release(kafkalog_batch_t *b);

// The name of the topic that a view means by its `topic_index`; NULL when there is none.
//
// It belongs to the batch and ends with it. [MT][CB], never blocks.
const char *kafkalog_batch_topic(const kafkalog_batch_t *b, uint32_t topic_index);

// The records as one array of `*count`; NULL and 0 for NULL.
//
// It belongs to the batch and ends with it, and so do the keys and values it points to. NULL for `count` answers NULL. [MT][CB],
// never blocks.
const kafkalog_view_t *kafkalog_batch_views(const kafkalog_batch_t *b,
                                                   size_t *count);

// The text, UTF-8 and NUL-terminated; "" for NULL.
//
// It belongs to the buffer and ends with it. [MT][CB], never blocks.
const char *kafkalog_buf_data(const kafkalog_buf_t *b);

// Ends a buffer; NULL is fine.
//
// [MT][CB], never blocks.
void kafkalog_buf_destroy(kafkalog_buf_t *b);

// Length of the text in bytes, its NUL not counted; 0 for NULL.
//
// The buffer stays the caller's. [MT][CB], never blocks.
size_t kafkalog_buf_len(const kafkalog_buf_t *b);

// Nodes, controller and metadata quorum, as this node sees them, as a JSON object. Fields are only ever added:
//
// {"cluster_id": "..", "controller": 1, "nodes": [{"id": 1, "address": "tcp://a:9301", "rack": null, "is_fenced": false,
// "is_shutting_down": false, "epoch": 7}], "quorum": {"leader": 1, "leader_epoch": 3, "voters": [1, 2, 3], "learners": [],
// "metadata_offset": 99, "replicas": [{"node": 1, "log_end": 100, "is_voter": true}]}}
//
// The caller ends `*json` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _STATE (an engine alone), _CLOSED, _FATAL,
// _INVALID_ARG.
kafkalog_code_t kafkalog_cluster_describe(const kafkalog_engine_t *e,
                                          kafkalog_buf_t **json,
                                          kafkalog_error_t **err);

// Elects leaders: `type` is KAFKALOG_ELECTION_PREFERRED or KAFKALOG_ELECTION_UNCLEAN. `partitions` (NULL: all) gets the code of each
// partition: 0, ELECTION_NOT_NEEDED (84), PREFERRED_LEADER_NOT_AVAILABLE (80), ELIGIBLE_LEADERS_NOT_AVAILABLE (83),
// UNKNOWN_TOPIC_OR_PARTITION (3).
//
// The list stays the caller's. [MT], blocks until the elections are committed, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7), _STATE (an
// engine alone), _REENTRANT (the list is in use), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_cluster_elect_leaders(kafkalog_engine_t *e,
                                               int32_t election,
                                               kafkalog_tplist_t *partitions,
                                               int32_t timeout_ms,
                                               kafkalog_error_t **err);

// 1 if a call that answered this code may succeed later, unchanged, else 0.
//
// [MT][CB], never blocks.
int32_t kafkalog_code_is_retriable(kafkalog_code_t code);

// The name of a code in capital letters, for example "TOPIC_ALREADY_EXISTS"; "UNKNOWN" for a number that has none.
//
// Static. [MT][CB], never blocks.
const char *kafkalog_code_name(kafkalog_code_t code);

// One sentence about a code, in English.
//
// Static. [MT][CB], never blocks.
const char *kafkalog_code_str(kafkalog_code_t code);

// Every setting there is, as a JSON array of objects with `name`, `scope` (engine, topic, producer, consumer), `type`, `default`,
// `legal`, `sentence`, for topics `synonyms` (the engine settings that give the default), for secrets `is_secret`, and `value`
// ("[hidden]" for secrets) where `c` (NULL: none) has one. Fields are only ever added.
//
// The caller ends `*json` with kafkalog_buf_destroy(). [MT], never blocks. Codes: _INVALID_ARG, _REENTRANT.
kafkalog_code_t kafkalog_conf_describe(const kafkalog_conf_t *c,
                                       kafkalog_buf_t **json);

// Ends settings; NULL is fine. What was opened with them goes on.
//
// [ONE], never blocks.
void kafkalog_conf_destroy(kafkalog_conf_t *c);

// A copy, log function included. NULL when `c` is NULL, forked or being changed.
//
// The caller ends it with kafkalog_conf_destroy(). [MT], never blocks.
kafkalog_conf_t *kafkalog_conf_dup(const kafkalog_conf_t *c);

// The value of a setting: what was set, or else the default; "[hidden]" for a secret that was set.
//
// The caller ends `*value` with kafkalog_buf_destroy(). [MT], never blocks. Codes: INVALID_CONFIG (40) for a name that is no
// setting, _INVALID_ARG, _REENTRANT.
kafkalog_code_t kafkalog_conf_get(const kafkalog_conf_t *c,
                                  const char *key,
                                  kafkalog_buf_t **value);

// Settings with nothing set. NULL only inside a callback.
//
// The caller ends it with kafkalog_conf_destroy(); no call takes it over. [MT], never blocks.
kafkalog_conf_t *kafkalog_conf_new(void);

// Sets one of Kafka's settings by name, for example "log.dirs", "acks" or "max.poll.records". A name that is no setting and a
// value out of range are refused, with what is legal in `*err`.
//
// Both strings are copied. [ONE], never blocks. Codes: INVALID_CONFIG (40), _INVALID_ARG, _REENTRANT.
kafkalog_code_t kafkalog_conf_set(kafkalog_conf_t *c,
                                  const char *key,
                                  const char *value,
                                  kafkalog_error_t **err);

// Sets the function that an engine opened with these settings calls with its log lines; NULL for none. Without it, and without
// `log.queue=true`, the library is silent.
//
// `opaque` stays the caller's and must outlive the engine. [ONE], never blocks. Codes: _INVALID_ARG, _REENTRANT.
kafkalog_code_t kafkalog_conf_set_log(kafkalog_conf_t *c,
                                      kafkalog_log_fn callback,
                                      void *opaque);

// Replaces the assignment by the partitions of the list (NULL: none), each from its offset or KAFKALOG_OFFSET_*. Also for
// partitions that stay: list their position to go on.
//
// The list is copied. [MT], blocks for opening the partitions. Codes: UNKNOWN_TOPIC_OR_PARTITION (3; then the old assignment stays),
// KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _REENTRANT, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_assign(kafkalog_consumer_t *c,
                                         const kafkalog_tplist_t *l_or_null,
                                         kafkalog_error_t **err);

// The partitions that are assigned, each with its position (KAFKALOG_OFFSET_INVALID before it has one).
//
// The caller ends `*out` with kafkalog_tplist_destroy(). [MT], never blocks for longer than a read. Codes: _INVALID_ARG, _CLOSED,
// _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_assignment(const kafkalog_consumer_t *c,
                                             kafkalog_tplist_t **out);

// Closes a consumer: a poll that blocks returns, and every later call answers _DESTROY. Batches that it read stay valid. May be
// called again.
//
// [MT], blocks for less than a read. Codes: _INVALID_ARG.
kafkalog_code_t kafkalog_consumer_close(kafkalog_consumer_t *c,
                                        int32_t timeout_ms,
                                        kafkalog_error_t **err);

// Ends a consumer; NULL is fine. Batches that it read stay valid until they are released.
//
// No thread may be polling it. [MT], never blocks.
void kafkalog_consumer_destroy(kafkalog_consumer_t *c);

// A descriptor that is readable while a poll may find something (at times it finds nothing after all): for epoll, poll, a host's own
// event loop. -1 when the process has no descriptor left.
//
// It belongs to the consumer and ends with it: watch it, do not read, write or close it (kafkalog_consumer_poll() drains it).
// [MT], never blocks.
int32_t kafkalog_consumer_fd(kafkalog_consumer_t *c);

// Opens a consumer that reads nothing yet: kafkalog_consumer_assign() says what. `conf` (NULL: the engine's) has consumer
// settings such as `auto.offset.reset` and `max.poll.records`; positions that were moved by `auto.offset.reset` are told on
// `events_or_null` by ERROR events.
//
// `conf` stays the caller's and is copied; the queue too, and may be destroyed first. The caller ends `*out` with
// kafkalog_consumer_destroy(). [MT], never blocks. Codes: INVALID_CONFIG (40), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_new(kafkalog_engine_t *e,
                                      const kafkalog_conf_t *conf,
                                      kafkalog_queue_t *events_or_null,
                                      kafkalog_consumer_t **out,
                                      kafkalog_error_t **err);

// For each partition of the list: its offset is a timestamp, and becomes the offset of the first record with this timestamp or a
// later one, KAFKALOG_OFFSET_END when there is none. Codes of entries: UNKNOWN_TOPIC_OR_PARTITION (3), or what reading met.
//
// Partitions need not be assigned. [MT], blocks for reading. Codes: _INVALID_ARG, _REENTRANT, _TIMED_OUT (some entries were not
// looked up and have that code), _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_offsets_for_times(kafkalog_consumer_t *c,
                                                    kafkalog_tplist_t *inout,
                                                    int32_t timeout_ms,
                                                    kafkalog_error_t **err);

// Leaves partitions out of the polls until kafkalog_consumer_resume(). Their positions stay.
//
// [MT], never blocks for longer than a read. Codes: _STATE (one is not assigned; then none is paused), _INVALID_ARG, _REENTRANT,
// _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_pause(kafkalog_consumer_t *c,
                                        const kafkalog_tplist_t *l);

// The next records, at most `max_records` (0: `max.poll.records`, and as many as `fetch.min.bytes` wants), from the assigned partitions in turn. Waits up to `timeout_ms`
// (-1: for ever) for the first one; answers 0 with `*out` NULL when none came, and after kafkalog_consumer_wake().
//
// The caller ends `*out` with kafkalog_batch_release(). [ONE], blocks. Codes: OFFSET_OUT_OF_RANGE (1, with
// `auto.offset.reset=none`) and CORRUPT_MESSAGE (2) until the partition is moved by a seek, KAFKA_STORAGE_ERROR (56), _QUEUE_FULL
// (`fetch.pinned.max.bytes` are held by batches that were not released), _REENTRANT, _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_poll(kafkalog_consumer_t *c,
                                       size_t max_records,
                                       int32_t timeout_ms,
                                       kafkalog_batch_t **out);

// Puts the position of each partition, the offset that the next poll begins at, into the list; the code of an entry is _STATE when it
// is not assigned.
//
// [MT], never blocks for longer than a read. Codes: _INVALID_ARG, _REENTRANT, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_position(const kafkalog_consumer_t *c,
                                           kafkalog_tplist_t *inout);

// Takes paused partitions back in.
//
// [MT], never blocks for longer than a read. Codes: as kafkalog_consumer_pause().
kafkalog_code_t kafkalog_consumer_resume(kafkalog_consumer_t *c, const kafkalog_tplist_t *l);

// Moves partitions to the offsets in the list, or to KAFKALOG_OFFSET_*. At the first entry that cannot be moved it stops; those
// before it are moved.
//
// [MT], never blocks for longer than a read. Codes: _STATE (not assigned), _INVALID_ARG, _REENTRANT, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_consumer_seek(kafkalog_consumer_t *c,
                                       const kafkalog_tplist_t *l,
                                       kafkalog_error_t **err);

// Makes a poll that blocks return at once, empty-handed; when none does, the next one that would block.
//
// [MT], never blocks.
void kafkalog_consumer_wake(kafkalog_consumer_t *c);

// Closes an engine: takes no more work, sends what producers hold, flushes and syncs, ends its threads. Then its queues do not
// block any more. Afterwards its children answer _CLOSED.
//
// [MT], blocks up to `timeout_ms` (-1: for ever). May be called again, after _TIMED_OUT to go on where it stopped. Codes: _TIMED_OUT,
// KAFKA_STORAGE_ERROR (56; closed, but not all of it is on disk), _PURGE_QUEUE (closed, but records of producers were given up),
// _INVALID_ARG.
kafkalog_code_t kafkalog_engine_close(kafkalog_engine_t *e,
                                      int32_t timeout_ms,
                                      kafkalog_error_t **err);

// Ends an engine; NULL is fine. It is closed first, within `shutdown.timeout.ms`; nobody has to poll for that. Children may be
// destroyed before or after; until then they answer _DESTROY.
//
// [MT], blocks for the close. Never call it inside a callback.
void kafkalog_engine_destroy(kafkalog_engine_t *e);

// The first failure that ended the engine, as its code and `*err`; 0 while there is none.
//
// [MT], never blocks. Codes: whatever it was, for example _PANIC; _INVALID_ARG.
kafkalog_code_t kafkalog_engine_fatal_error(const kafkalog_engine_t *e, kafkalog_error_t **err);

// The same numbers as OpenMetrics text, for Prometheus and its like. Metrics are only ever added.
//
// The caller ends `*openmetrics` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _INVALID_ARG.
kafkalog_code_t kafkalog_engine_metrics_text(const kafkalog_engine_t *e, kafkalog_buf_t **openmetrics);

// Opens the directory that `log.dirs` names, creating it when it is not there, and recovers it when it was not closed. Producer and
// consumer settings in `conf` become the defaults of this engine's producers and consumers.
//
// `conf` stays the caller's and is copied. The caller ends `*out` with kafkalog_engine_destroy(). [MT], blocks for the recovery.
// Codes: INVALID_CONFIG (40), _STATE (open already, here or in another process), LOG_DIR_NOT_FOUND (57), UNSUPPORTED_VERSION (35),
// CORRUPT_MESSAGE (2), KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _REENTRANT.
kafkalog_code_t kafkalog_engine_open(const kafkalog_conf_t *conf,
                                     kafkalog_engine_t **out,
                                     kafkalog_error_t **err);

// The main queue: errors, log lines (`log.queue=true`) and statistics (`statistics.interval.ms`). NULL when `e` is NULL or forked.
//
// A new reference, which the caller ends with kafkalog_queue_destroy(). [MT], never blocks.
kafkalog_queue_t *kafkalog_engine_queue(kafkalog_engine_t *e);

// What the engine has done and holds, as a JSON object. Fields are only ever added.
//
// The caller ends `*json` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _INVALID_ARG.
kafkalog_code_t kafkalog_engine_stats(const kafkalog_engine_t *e, kafkalog_buf_t **json);

// Returns once everything that was appended to any partition before the call survives a power cut.
//
// [MT], blocks up to `timeout_ms` (-1: for ever). Codes: _TIMED_OUT, KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_engine_sync(kafkalog_engine_t *e,
                                     int32_t timeout_ms);

// The code of an error; 0 for NULL.
//
// The error stays the caller's. [MT][CB], never blocks.
kafkalog_code_t kafkalog_error_code(const kafkalog_error_t *e);

// Ends an error; NULL is fine. Only for errors that came through a `kafkalog_error_t **`.
//
// [MT][CB], never blocks.
void kafkalog_error_destroy(kafkalog_error_t *e);

// 1 if the handle is finished and has to be closed, else 0.
//
// The error stays the caller's. [MT][CB], never blocks.
int32_t kafkalog_error_is_fatal(const kafkalog_error_t *e);

// 1 if the same call may succeed later, unchanged, else 0.
//
// The error stays the caller's. [MT][CB], never blocks.
int32_t kafkalog_error_is_retriable(const kafkalog_error_t *e);

// What went wrong, where, and what to do, in one line of UTF-8; "" for NULL.
//
// The text belongs to the error and ends with it. [MT][CB], never blocks.
const char *kafkalog_error_message(const kafkalog_error_t *e);

// The code of an ERROR event; 0 for every other event and for NULL.
//
// The event stays the caller's. [MT][CB], never blocks.
kafkalog_code_t kafkalog_event_code(const kafkalog_event_t *ev);

// The reports of a DELIVERY event as one array of `*count`; NULL and 0 for every other event and for NULL.
//
// It belongs to the event and ends with it. NULL for `count` answers NULL. [MT][CB], never blocks.
const kafkalog_delivery_t *kafkalog_event_deliveries(const kafkalog_event_t *ev, size_t *count);

// Ends an event and everything that was looked up in it; NULL is fine.
//
// [MT][CB], never blocks.
void kafkalog_event_destroy(kafkalog_event_t *ev);

// The error of an ERROR event; NULL for every other event and for NULL.
//
// It belongs to the event and ends with it: do not destroy it. [MT][CB], never blocks.
const kafkalog_error_t *kafkalog_event_error(const kafkalog_event_t *ev);

// The partitions that an ERROR event is about, with their offsets, or a LEADER or ISR event, with their epochs as offsets; NULL when it is about none, for other events and for NULL.
//
// It belongs to the event and ends with it. [MT][CB], never blocks.
const kafkalog_tplist_t *kafkalog_event_partitions(const kafkalog_event_t *ev);

// The line of a LOG event or the JSON of a STATS event, without a NUL at its end; (NULL, 0) for every other event and for NULL.
// LEADER and ISR events have JSON too; fields are only ever added:
//
// {"event": "leader_changed", "topic": "orders", "partition": 0, "leader": 2, "leader_epoch": 5} (leader null: none)
//
// {"event": "isr_changed", "topic": "orders", "partition": 0, "leader_epoch": 5, "isr": [2, 3]}
//
// It belongs to the event and ends with it. [MT][CB], never blocks.
kafkalog_bytes_t kafkalog_event_text(const kafkalog_event_t *ev);

// KAFKALOG_EVENT_DELIVERY, _ERROR, _LOG, _STATS, _LEADER or _ISR; 0 for NULL. A later version may know more: skip what you do not know.
//
// The event stays the caller's. [MT][CB], never blocks.
int32_t kafkalog_event_type(const kafkalog_event_t *ev);

// Gives the engine a frame that came in from a node, which set_peer has named before, or from a client. The frame may have
// been repeated or overtaken by another; a damaged one must be dropped.
//
// It is copied. [MT][CB]; blocks while the engine works on it, which may be as long as a write takes, so a thread for each connection is
// best; except inside a callback, after which the engine gets it. Codes: BROKER_NOT_AVAILABLE (8; no such
// node), MESSAGE_TOO_LARGE (10), _QUEUE_FULL (only inside a callback), _NOMEM, _DESTROY (the transport was stopped, or the inbox
// released), _INVALID_ARG, _PANIC.
kafkalog_code_t kafkalog_inbox_deliver(kafkalog_inbox_t *inbox,
                                       int32_t from_node,
                                       kafkalog_bytes_t frame);

// Tells the engine that a connection with a node or client begins (`up` not 0) or has ended. Frames of a connection come between
// the two. A client's number is free for another one when its connection has ended.
//
// [MT][CB]; blocks as kafkalog_inbox_deliver() does.
void kafkalog_inbox_peer_state(kafkalog_inbox_t *inbox,
                               int32_t node_id,
                               int32_t up);

// Says that the host delivers nothing more; NULL is fine. Threads of the host that still do are answered _DESTROY until the
// transport's `release` has come back; then nobody may touch the inbox.
//
// Called once for every inbox that `start` was given, whatever it answered. [MT][CB], never blocks.
void kafkalog_inbox_release(kafkalog_inbox_t *inbox);

// Appends `n` records as one batch. `*base_offset` is the offset of the first one. `opts` NULL: acks=1, no fsync.
//
// Everything is copied; tags are ignored. All records are appended or none. [MT], blocks for the write and for what `opts` asks.
// Codes: MESSAGE_TOO_LARGE (10), INVALID_RECORD (87), KAFKA_STORAGE_ERROR (56), NOT_ENOUGH_REPLICAS (19), REQUEST_TIMED_OUT
// (7; written, not acknowledged yet), _INVALID_ARG, _ABI, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_log_append(kafkalog_log_t *l,
                                    const kafkalog_record_t *recs,
                                    size_t record_size,
                                    size_t n,
                                    const kafkalog_append_opts_t *opts,
                                    int64_t *base_offset);

// Appends `n` records out of one flat buffer as one batch: `index` says where in `bytes` keys and values lie.
//
// As kafkalog_log_append() in everything else. [MT], blocks and codes as there.
kafkalog_code_t kafkalog_log_append_packed(kafkalog_log_t *l,
                                           const void *bytes,
                                           size_t bytes_len,
                                           const kafkalog_packed_t *index,
                                           size_t n,
                                           const kafkalog_append_opts_t *opts,
                                           int64_t *base_offset);

// Appends one batch that is encoded already (Kafka's record batch v2, base offset 0), after checking all of it.
//
// The bytes are copied. `*base_offset` and `opts` as in kafkalog_log_append(). [MT], blocks and codes as there; also CORRUPT_MESSAGE (2),
// UNSUPPORTED_COMPRESSION_TYPE (76), OUT_OF_ORDER_SEQUENCE_NUMBER (45) and the rest of Kafka's checks.
kafkalog_code_t kafkalog_log_append_raw(kafkalog_log_t *l,
                                        kafkalog_bytes_t record_batch_v2,
                                        const kafkalog_append_opts_t *opts,
                                        int64_t *base_offset);

// Ends a handle on a partition; NULL is fine. The partition itself stays open.
//
// [MT], never blocks.
void kafkalog_log_destroy(kafkalog_log_t *l);

// The offset of the first record with this timestamp or a later one; KAFKALOG_OFFSET_END (-1) when there is none.
//
// [MT], blocks for reading. Codes: CORRUPT_MESSAGE (2), KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_log_offset_for_time(const kafkalog_log_t *l,
                                             int64_t timestamp_ms,
                                             int64_t *offset);

// The first offset that there still is, the end of what may be read, and the end of the log.
//
// [MT], never blocks. Codes: _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_log_offsets(const kafkalog_log_t *l,
                                     int64_t *start,
                                     int64_t *high_watermark,
                                     int64_t *end);

// Opens one partition of a topic for direct access.
//
// The caller ends `*out` with kafkalog_log_destroy(). [MT], blocks for opening the files. Codes: UNKNOWN_TOPIC_OR_PARTITION (3),
// KAFKA_STORAGE_ERROR (56), CORRUPT_MESSAGE (2), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_log_open(kafkalog_engine_t *e,
                                  const char *topic,
                                  int32_t partition,
                                  kafkalog_log_t **out,
                                  kafkalog_error_t **err);

// Reads records from `offset` on: whole batches of about `max_bytes`, at least one. Waits up to `timeout_ms` (-1: for ever) when
// there is nothing yet, and answers 0 with `*out` NULL when nothing came.
//
// The caller ends `*out` with kafkalog_batch_release(). [MT], blocks. Codes: OFFSET_OUT_OF_RANGE (1), CORRUPT_MESSAGE (2),
// KAFKA_STORAGE_ERROR (56), _QUEUE_FULL (`fetch.pinned.max.bytes` are held by batches that were not released), _INVALID_ARG,
// _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_log_read(kafkalog_log_t *l,
                                  int64_t offset,
                                  size_t max_bytes,
                                  int32_t timeout_ms,
                                  kafkalog_batch_t **out);

// Returns once everything that was appended before the call survives a power cut.
//
// [MT], blocks up to `timeout_ms` (-1: for ever). Codes: REQUEST_TIMED_OUT (7), KAFKA_STORAGE_ERROR (56; final until the engine is
// opened again), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_log_sync(kafkalog_log_t *l,
                                  int32_t timeout_ms);

// Topics, partitions, their offsets and settings as a JSON object; all topics for `topic_or_null` NULL. Fields are only ever added.
//
// The caller ends `*json` with kafkalog_buf_destroy(). [MT], may open partitions. Codes: UNKNOWN_TOPIC_OR_PARTITION (3),
// KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_metadata(const kafkalog_engine_t *e,
                                  const char *topic_or_null,
                                  kafkalog_buf_t **json,
                                  kafkalog_error_t **err);

// Makes another node known under an address before the metadata of the cluster name it; or says where it has moved to, when they do not
// know that yet. What they say later goes before this. A node that joins over tcp://, tls://, unix:// or inproc:// needs no such call:
// whoever names the cluster and proves to know its secret is let in, and its registration says where it is. One that was removed by
// kafkalog_node_remove() needs it; so does every one with `controller.mode=static`, on each node.
//
// [MT], never blocks for long. Codes: _STATE (an engine alone), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_node_add(kafkalog_engine_t *e,
                                  int32_t node_id,
                                  const char *url,
                                  kafkalog_error_t **err);

// Moves every replica away from a node, for good. `*replicas_left` (NULL: not interested) says how many are still to be moved; call it
// again until it is 0.
//
// [MT], blocks for the controller's answer, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7), BROKER_ID_NOT_REGISTERED (102),
// _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_node_decommission(kafkalog_engine_t *e,
                                           int32_t node_id,
                                           int64_t *replicas_left,
                                           int32_t timeout_ms,
                                           kafkalog_error_t **err);

// Listens for other nodes and for clients at one more address, such as "tcp://0.0.0.0:0". `*bound_url` is the one that can be
// dialled, with a real port.
//
// The caller ends `*bound_url` with kafkalog_buf_destroy(). [MT], never blocks for long. Codes: _TRANSPORT_HOST (the system refuses),
// _INVALID_ARG, _STATE (an engine alone, or one that does not listen on sockets), _CLOSED, _FATAL.
kafkalog_code_t kafkalog_node_listen(kafkalog_engine_t *e,
                                     const char *url,
                                     kafkalog_buf_t **bound_url,
                                     kafkalog_error_t **err);

// Forgets another node, until the metadata of the cluster name it anew: its connection ends, and it is not let in. To move what it has away for good:
// kafkalog_node_decommission().
//
// [MT], never blocks for long. Codes: _STATE (an engine alone), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_node_remove(kafkalog_engine_t *e,
                                     int32_t node_id,
                                     kafkalog_error_t **err);

// Gives a node its seat in the metadata quorum: KAFKALOG_SEAT_VOTER, _LEARNER or _NONE. One change at a time. Whoever is registered gets
// the metadata as a learner by itself; so one that is to have no seat at all has to be closed first, or comes back as a learner.
//
// [MT], blocks until the change is committed, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7), INVALID_REQUEST (42), _STATE (an
// engine alone), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_node_set_seat(kafkalog_engine_t *e,
                                       int32_t node_id,
                                       int32_t seat,
                                       int32_t timeout_ms,
                                       kafkalog_error_t **err);

// Ends a producer; NULL is fine. What is unsent is purged: its reports come with the code _PURGE_QUEUE or _PURGE_INFLIGHT. Call
// kafkalog_producer_flush() before to send it.
//
// [MT], never blocks for longer than a write under way.
void kafkalog_producer_destroy(kafkalog_producer_t *p);

// Carries everything that was sent before to the log and waits for its acknowledgement. Nobody has to poll meanwhile.
//
// [MT], blocks up to `timeout_ms` (-1: for ever). Codes: the first failure of any record since the last flush, _TIMED_OUT,
// _INVALID_ARG, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_producer_flush(kafkalog_producer_t *p,
                                        int32_t timeout_ms);

// Opens a producer. `conf` (NULL: the engine's) has producer settings such as `acks`, `linger.ms`, `batch.size`; reports go to
// `deliveries` (NULL: none are kept).
//
// `conf` stays the caller's and is copied; `deliveries` too, and may be destroyed first. The caller ends `*out` with
// kafkalog_producer_destroy(). [MT], never blocks. Codes: INVALID_CONFIG (40), _INVALID_ARG, _CLOSED, _DESTROY, _FATAL.
kafkalog_code_t kafkalog_producer_new(kafkalog_engine_t *e,
                                      const kafkalog_conf_t *conf,
                                      kafkalog_queue_t *deliveries,
                                      kafkalog_producer_t **out,
                                      kafkalog_error_t **err);

// Records sent and neither acknowledged nor failed; reports that nobody polled yet do not count.
//
// [MT], never blocks.
size_t kafkalog_producer_pending(const kafkalog_producer_t *p);

// Fails what is not acknowledged: `flags` is KAFKALOG_PURGE_QUEUED, or that and KAFKALOG_PURGE_INFLIGHT. Each record is reported
// with the code _PURGE_QUEUE or _PURGE_INFLIGHT; the latter may be in the log all the same.
//
// [MT], never blocks. Codes: _INVALID_ARG.
kafkalog_code_t kafkalog_producer_purge(kafkalog_producer_t *p,
                                        uint32_t flags);

// Sends one record; what becomes of it is reported on the producer's queue. `record_size` is sizeof(kafkalog_record_t).
//
// Everything is copied. [MT], blocks up to `max.block.ms` while `buffer.memory` is used up, and for the write when its batch is
// full; in a cluster also for replicas that are late with more than 1 MiB, 20 ms at a time unless `max.block.ms` is 0. Codes:
// UNKNOWN_TOPIC_OR_PARTITION (3), MESSAGE_TOO_LARGE (10), INVALID_RECORD (87), _QUEUE_FULL (also when too many reports
// lie unpolled), _INVALID_ARG, _ABI, _CLOSED, _DESTROY, _FATAL. A record that was refused is not reported.
kafkalog_code_t kafkalog_producer_send(kafkalog_producer_t *p,
                                       const char *topic,
                                       const kafkalog_record_t *rec,
                                       size_t record_size);

// Sends `n` records to one topic. `codes` (NULL: not wanted) gets a code for each, `*accepted` how many were taken in; a record
// that is refused does not harm its neighbours, but behind one that found no room none is tried. Without `codes` the call stops
// at the first record that is refused and answers its code.
//
// Everything is copied. [MT], blocks and codes as kafkalog_producer_send().
kafkalog_code_t kafkalog_producer_send_batch(kafkalog_producer_t *p,
                                             const char *topic,
                                             const kafkalog_record_t *recs,
                                             size_t record_size,
                                             size_t n,
                                             kafkalog_code_t *codes,
                                             size_t *accepted);

// Sends `n` records to one topic out of one flat buffer: `index` says where in `bytes` keys and values lie. The form for
// languages that may not hand over structs with pointers in them, and the fastest one.
//
// Everything is copied. `codes` and `*accepted` as in kafkalog_producer_send_batch(). [MT], blocks and codes as
// kafkalog_producer_send().
kafkalog_code_t kafkalog_producer_send_packed(kafkalog_producer_t *p,
                                              const char *topic,
                                              const void *bytes,
                                              size_t bytes_len,
                                              const kafkalog_packed_t *index,
                                              size_t n,
                                              kafkalog_code_t *codes,
                                              size_t *accepted);

// Sends one record and waits for its acknowledgement, on this thread. `*out` tells where it lies, or the code of its failure.
//
// Everything is copied; nothing arrives on the queue. [MT], blocks up to `timeout_ms` (-1: for ever) after the send. Codes: as
// kafkalog_producer_send(), and what kept the record from being acknowledged; _TIMED_OUT: it may still be written.
kafkalog_code_t kafkalog_producer_send_wait(kafkalog_producer_t *p,
                                            const char *topic,
                                            const kafkalog_record_t *rec,
                                            size_t record_size,
                                            int32_t timeout_ms,
                                            kafkalog_delivery_t *out);

// Ends this reference to a queue; NULL is fine. Events that were polled stay valid, the others go with the last reference.
//
// No thread may be polling it. [MT], never blocks.
void kafkalog_queue_destroy(kafkalog_queue_t *q);

// A descriptor that is readable while a poll would not wait: for epoll, poll, a host's own event loop. -1 when the process
// has no descriptor left.
//
// It belongs to the queue and ends with its last reference: watch it, do not read, write or close it (kafkalog_queue_poll()
// drains it). [MT], never blocks.
int32_t kafkalog_queue_fd(kafkalog_queue_t *q);

// A queue of its own, for the deliveries of one or more producers. NULL when `e` is NULL, forked or closed.
//
// The caller ends it with kafkalog_queue_destroy(), before or after the engine. [MT], never blocks.
kafkalog_queue_t *kafkalog_queue_new(kafkalog_engine_t *e);

// The next event, waiting up to `timeout_ms` for it (0: do not wait, -1: for ever). NULL when none came, after
// kafkalog_queue_wake(), and from an empty queue whose engine is closed.
//
// The caller ends the event with kafkalog_event_destroy(). [MT], blocks; each event goes to one of the threads.
kafkalog_event_t *kafkalog_queue_poll(kafkalog_queue_t *q, int32_t timeout_ms);

// Up to `max` events into `out`, waiting up to `timeout_ms` for the first one; answers how many.
//
// The caller ends each with kafkalog_event_destroy(). [MT], blocks.
size_t kafkalog_queue_poll_many(kafkalog_queue_t *q,
                                kafkalog_event_t **out,
                                size_t max,
                                int32_t timeout_ms);

// Makes one blocked poll return at once; when none is blocked, the next one that would block.
//
// [MT], never blocks.
void kafkalog_queue_wake(kafkalog_queue_t *q);

// Moves the replicas of a partition to these nodes, the first of which becomes the preferred leader; `n` 0 takes back a move that is
// not finished. The move goes on after the call: kafkalog_replica_status() shows it.
//
// The array is copied. [MT], blocks until the decision is committed, up to `timeout_ms`. Codes: NOT_CONTROLLER (41), REQUEST_TIMED_OUT (7),
// UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_REPLICA_ASSIGNMENT (39), NO_REASSIGNMENT_IN_PROGRESS (85), _STATE (an engine alone),
// _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_replica_reassign(kafkalog_engine_t *e,
                                          const char *topic,
                                          int32_t partition_id,
                                          const int32_t *nodes,
                                          size_t n,
                                          int32_t timeout_ms,
                                          kafkalog_error_t **err);

// Appoints the leader of a partition (`node_id` -1: nobody) in `epoch`: with `controller.mode=static`, where no quorum decides. To be
// called on every node that has a replica of it or sends to it, with the same words; saying them again does nothing. On return this
// node has written it down and obeys.
//
// Epochs are the program's, begin with 1, and only grow: a node that has seen one takes none that is lower, also after it was opened
// again, and a leader that was opened again leads only when it is appointed in a higher one. Nothing that acks=all acknowledged is lost
// if the program, for a partition with R replicas and `min.insync.replicas` M, (1) first appoints nobody, in a higher epoch, on at least
// R-M+1 of the replicas' nodes, (2) asks each of these for its own line of kafkalog_replica_status(), and (3) appoints, in a still
// higher epoch, the one with the highest `last_leader_epoch`, of several the one with the highest `log_end`.
//
// [MT], may block for a sync. Codes: FENCED_LEADER_EPOCH (74), UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_REQUEST (42: that node has no
// replica of it), KAFKA_STORAGE_ERROR (56), _STATE (an engine alone, or a quorum decides), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_replica_set_leader(kafkalog_engine_t *e,
                                            const char *topic,
                                            int32_t partition_id,
                                            int32_t node_id,
                                            int32_t epoch,
                                            kafkalog_error_t **err);

// Leader, epoch, replicas, ISR and how far each replica is, as a JSON object. Its leader knows most. Fields are only ever added:
//
// {"topic": "orders", "partition": 0, "leader": 1, "leader_epoch": 4, "replicas": [1, 2, 3], "isr": [1, 2], "elr": [],
// "offline": [3], "high_watermark": 99, "states": [{"node": 1, "log_start": 0, "log_end": 100, "vouched": 100,
// "last_leader_epoch": 4, "lag_records": 0, "lag_ms": 0, "is_caught_up": true}]}
//
// `last_leader_epoch`, the last epoch that a log knows of, each node says of its own alone; null elsewhere.
//
// The caller ends `*json` with kafkalog_buf_destroy(). [MT], may block for the leader's answer. Codes: UNKNOWN_TOPIC_OR_PARTITION (3),
// _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_replica_status(const kafkalog_engine_t *e,
                                        const char *topic,
                                        int32_t partition_id,
                                        kafkalog_buf_t **json,
                                        kafkalog_error_t **err);

// Adds partitions, until there are `total`. Keys may go to other partitions from then on.
//
// [MT], blocks for the creation, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_PARTITIONS (37; not more than there are),
// KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_topic_add_partitions(kafkalog_engine_t *e,
                                              const char *topic,
                                              int32_t total,
                                              int32_t timeout_ms,
                                              kafkalog_error_t **err);

// Changes one setting of a topic; `value_or_null` NULL goes back to the engine's default.
//
// [MT], blocks for writing it down, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), UNKNOWN_TOPIC_OR_PARTITION (3), INVALID_CONFIG (40), KAFKA_STORAGE_ERROR (56),
// _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_topic_alter(kafkalog_engine_t *e,
                                     const char *topic,
                                     const char *key,
                                     const char *value_or_null,
                                     int32_t timeout_ms,
                                     kafkalog_error_t **err);

// Creates a topic. `partitions` -1 is `num.partitions`, `replication` -1 is `default.replication.factor`; `topic_conf` (NULL: the engine's defaults) has topic
// settings such as `retention.ms`.
//
// Nothing is taken over. [MT], blocks for the creation, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), TOPIC_ALREADY_EXISTS (36), INVALID_TOPIC_EXCEPTION (17),
// INVALID_PARTITIONS (37), INVALID_REPLICATION_FACTOR (38), INVALID_CONFIG (40), KAFKA_STORAGE_ERROR (56), _INVALID_ARG,
// _REENTRANT, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_topic_create(kafkalog_engine_t *e,
                                      const char *topic,
                                      int32_t partitions,
                                      int16_t replication,
                                      const kafkalog_conf_t *topic_conf,
                                      int32_t timeout_ms,
                                      kafkalog_error_t **err);

// Deletes a topic and its files. Batches that were read stay valid.
//
// [MT], blocks for the deletion, for another node's decision up to `timeout_ms`. Codes: REQUEST_TIMED_OUT (7), UNKNOWN_TOPIC_OR_PARTITION (3), KAFKA_STORAGE_ERROR (56), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_topic_delete(kafkalog_engine_t *e,
                                      const char *topic,
                                      int32_t timeout_ms,
                                      kafkalog_error_t **err);

// Deletes, in each partition of the list, the records before its offset (KAFKALOG_OFFSET_END: all that may be read). Each entry gets a
// code, and as offset the first one that is left.
//
// [MT], blocks for writing it down, for leaders on other nodes up to `timeout_ms` in all. Codes of entries: UNKNOWN_TOPIC_OR_PARTITION
// (3), OFFSET_OUT_OF_RANGE (1), REQUEST_TIMED_OUT (7), POLICY_VIOLATION (44; cleanup.policy), KAFKA_STORAGE_ERROR (56). Codes:
// _INVALID_ARG, _REENTRANT, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_topic_delete_records(kafkalog_engine_t *e,
                                              kafkalog_tplist_t *before,
                                              int32_t timeout_ms,
                                              kafkalog_error_t **err);

// How many partitions a topic has.
//
// [MT], never blocks. Codes: UNKNOWN_TOPIC_OR_PARTITION (3), _INVALID_ARG, _CLOSED, _FATAL.
kafkalog_code_t kafkalog_topic_partition_count(const kafkalog_engine_t *e, const char *topic, int32_t *count);

// Adds a partition; `offset` is an offset, a timestamp or KAFKALOG_OFFSET_*, as the call that takes the list says.
//
// `topic` is copied. [ONE], never blocks. Codes: _INVALID_ARG, _REENTRANT.
kafkalog_code_t kafkalog_tplist_add(kafkalog_tplist_t *l, const char *topic, int32_t partition, int64_t offset);

// How many entries there are; 0 for NULL.
//
// [MT], never blocks.
size_t kafkalog_tplist_count(const kafkalog_tplist_t *l);

// Ends a list and everything that was looked up in it; NULL is fine.
//
// [ONE], never blocks.
void kafkalog_tplist_destroy(kafkalog_tplist_t *l);

// Entry `i` of the list: what was added, or what a call wrote there. `*code` is 0 or why that call failed for this entry.
//
// `*topic` belongs to the list and ends with it. [MT], never blocks. Codes: _INVALID_ARG (also for no such entry), _REENTRANT.
kafkalog_code_t kafkalog_tplist_get(const kafkalog_tplist_t *l,
                                    size_t i,
                                    const char **topic,
                                    int32_t *partition,
                                    int64_t *offset,
                                    kafkalog_code_t *code);

// The metadata of entry `i`; (NULL, 0) when there is none.
//
// It belongs to the list and ends with it, or when it is set again. [MT], never blocks. Codes: _INVALID_ARG (also for no
// such entry), _REENTRANT.
kafkalog_code_t kafkalog_tplist_metadata(const kafkalog_tplist_t *l,
                                         size_t i,
                                         kafkalog_bytes_t *metadata);

// An empty list; `capacity_hint` may be 0. NULL only inside a callback.
//
// The caller ends it with kafkalog_tplist_destroy(). [MT], never blocks.
kafkalog_tplist_t *kafkalog_tplist_new(size_t capacity_hint);

// Gives entry `i` metadata; data NULL takes it away.
//
// The bytes are copied. [ONE], never blocks. Codes: _INVALID_ARG (also for no such entry), _REENTRANT, _NOMEM.
kafkalog_code_t kafkalog_tplist_set_metadata(kafkalog_tplist_t *l, size_t i, kafkalog_bytes_t metadata);

// Puts a network of the host's under an engine that was opened with `listeners` of this scheme, and starts it. `tcp://`, `tls://`, `unix://`
// and `inproc://` need no registration.
//
// `*vt` is copied; what it points to stays the host's. After success `release` is called exactly once, at the latest when the engine
// and all its children are destroyed. After a failure nothing of it is kept and `release` is not called; an inbox that `start` was
// given is released by the host all the same. [MT], blocks for the host's functions. Codes: _STATE (the scheme has its transport
// already), _ABI (`struct_size`), _TRANSPORT_HOST (`start` failed), _INVALID_ARG (also: another scheme), _CLOSED, _FATAL.
kafkalog_code_t kafkalog_transport_register(kafkalog_engine_t *e,
                                            const char *scheme,
                                            const kafkalog_transport_vtable_t *vt,
                                            kafkalog_error_t **err);

// The library's version as 0xMMmmpp00: compare with KAFKALOG_VERSION_NUMBER of the header you were compiled with.
//
// [MT][CB], never blocks.
uint32_t kafkalog_version(void);

// The library's version in words, for example "0.1.0".
//
// Static. [MT][CB], never blocks.
const char *kafkalog_version_str(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KAFKALOG_H */


/* A record without key and headers, for the partitioner to place, with the time of the send. */
#define KAFKALOG_RECORD_INIT { { NULL, 0 }, { NULL, 0 }, NULL, 0, -1, 0, -1, 0 }

/* acks=1, wait for ever, no fsync. */
#define KAFKALOG_APPEND_OPTS_INIT { sizeof(kafkalog_append_opts_t), 1, -1, 0 }

/* kafkalog_packed_t: the length of a key or value that is null. */
#define KAFKALOG_PACKED_NULL UINT32_MAX
