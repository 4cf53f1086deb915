//! One public error. It answers three questions: what happened, where, and is it worth trying again.
//!
//! Numbers from -1 upwards are the Kafka protocol's (`org.apache.kafka.common.protocol.Errors`); from -200 to -100 they are
//! librdkafka's local codes where the meaning is the same; from -300 downwards they are ours. A number is never reused.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What every fallible call of the library returns.
pub type Result<T> = std::result::Result<T, Error>;

/// A stable number for a kind of failure.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i32);

/// One row a code: number, name, worth trying again, sentence.
macro_rules! codes {
    ($(($number:literal, $name:ident, $retriable:literal, $text:literal),)*) => {
        impl ErrorCode {
            $(#[doc = $text] pub const $name: ErrorCode = ErrorCode($number);)*

            /// Every code there is, in the order of the table.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name),*];

            /// The name in capital letters; `UNKNOWN` for a number that is not in the table.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 { $($number => stringify!($name),)* _ => "UNKNOWN" }
            }

            /// One sentence in English, lower case, without a full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 { $($number => $text,)* _ => "a code that this version does not know" }
            }

            /// Whether the same call may succeed later, unchanged (Kafka's `RetriableException`).
            #[must_use]
            pub const fn is_retriable(self) -> bool {
                match self.0 { $($number => $retriable,)* _ => false }
            }
        }
    };
}

codes! {
    (-1, UNKNOWN_SERVER_ERROR, false, "an unforeseen failure"),
    (0, NONE, false, "success"),
    (1, OFFSET_OUT_OF_RANGE, false, "the offset is not in the log"),
    (2, CORRUPT_MESSAGE, true, "bytes fail their checksum or make no sense"),
    (3, UNKNOWN_TOPIC_OR_PARTITION, true, "no such topic or partition here"),
    (4, INVALID_FETCH_SIZE, false, "the fetch size is not valid"),
    (5, LEADER_NOT_AVAILABLE, true, "the partition has no leader now"),
    (6, NOT_LEADER_OR_FOLLOWER, true, "this node does not lead the partition"),
    (7, REQUEST_TIMED_OUT, true, "the request was not finished in time"),
    (8, BROKER_NOT_AVAILABLE, false, "the node is not available"),
    (9, REPLICA_NOT_AVAILABLE, true, "the replica is not available"),
    (10, MESSAGE_TOO_LARGE, false, "the record or batch is larger than allowed"),
    (12, OFFSET_METADATA_TOO_LARGE, false, "the metadata of an offset commit is too large"),
    (13, NETWORK_EXCEPTION, true, "the connection was lost"),
    (14, COORDINATOR_LOAD_IN_PROGRESS, true, "the coordinator is still loading"),
    (15, COORDINATOR_NOT_AVAILABLE, true, "the coordinator is not available"),
    (16, NOT_COORDINATOR, true, "this node is not the coordinator"),
    (17, INVALID_TOPIC_EXCEPTION, false, "the topic name is not legal or may not be used so"),
    (18, RECORD_LIST_TOO_LARGE, false, "the append does not fit into a segment"),
    (19, NOT_ENOUGH_REPLICAS, true, "fewer in-sync replicas than min.insync.replicas; nothing was written"),
    (20, NOT_ENOUGH_REPLICAS_AFTER_APPEND, true, "written, but too few in-sync replicas have it"),
    (21, INVALID_REQUIRED_ACKS, false, "acks must be 0, 1 or all"),
    (22, ILLEGAL_GENERATION, false, "the group generation is not the current one"),
    (23, INCONSISTENT_GROUP_PROTOCOL, false, "the members share no group protocol"),
    (24, INVALID_GROUP_ID, false, "the group id is not valid"),
    (25, UNKNOWN_MEMBER_ID, false, "the group does not know this member"),
    (26, INVALID_SESSION_TIMEOUT, false, "the session timeout is out of range"),
    (27, REBALANCE_IN_PROGRESS, false, "the group is rebalancing"),
    (28, INVALID_COMMIT_OFFSET_SIZE, false, "the offset commit record is too large"),
    (32, INVALID_TIMESTAMP, false, "the timestamp of a record is out of range"),
    (35, UNSUPPORTED_VERSION, false, "a version is newer than this program understands"),
    (36, TOPIC_ALREADY_EXISTS, false, "the topic exists already"),
    (37, INVALID_PARTITIONS, false, "the number of partitions is not valid"),
    (38, INVALID_REPLICATION_FACTOR, false, "the replication factor is not valid"),
    (39, INVALID_REPLICA_ASSIGNMENT, false, "the replica assignment is not valid"),
    (40, INVALID_CONFIG, false, "a setting is unknown or out of range"),
    (41, NOT_CONTROLLER, true, "this node is not the controller"),
    (42, INVALID_REQUEST, false, "the request makes no sense"),
    (43, UNSUPPORTED_FOR_MESSAGE_FORMAT, false, "not possible with this message format"),
    (44, POLICY_VIOLATION, false, "the request violates a policy"),
    (45, OUT_OF_ORDER_SEQUENCE_NUMBER, false, "the sequence number does not follow the last one"),
    (46, DUPLICATE_SEQUENCE_NUMBER, false, "the sequence number was seen before"),
    (47, INVALID_PRODUCER_EPOCH, false, "the producer epoch is older than the known one"),
    (48, INVALID_TXN_STATE, false, "not possible in this state of the transaction"),
    (49, INVALID_PRODUCER_ID_MAPPING, false, "the producer id does not belong to the transactional id"),
    (50, INVALID_TRANSACTION_TIMEOUT, false, "the transaction timeout is too large"),
    (51, CONCURRENT_TRANSACTIONS, true, "the previous transaction is still being finished"),
    (52, TRANSACTION_COORDINATOR_FENCED, false, "the marker comes from an old coordinator"),
    (55, OPERATION_NOT_ATTEMPTED, false, "not tried, because something before it failed"),
    (56, KAFKA_STORAGE_ERROR, true, "the disk failed; the partition is offline until it is reopened"),
    (57, LOG_DIR_NOT_FOUND, false, "there is no such log directory"),
    (59, UNKNOWN_PRODUCER_ID, false, "the producer id is not known"),
    (60, REASSIGNMENT_IN_PROGRESS, false, "a reassignment is under way"),
    (68, NON_EMPTY_GROUP, false, "the group has members"),
    (69, GROUP_ID_NOT_FOUND, false, "there is no such group"),
    (70, FETCH_SESSION_ID_NOT_FOUND, true, "the fetch session is not known"),
    (71, INVALID_FETCH_SESSION_EPOCH, true, "the fetch session epoch is not the expected one"),
    (73, TOPIC_DELETION_DISABLED, false, "topics may not be deleted here"),
    (74, FENCED_LEADER_EPOCH, true, "the leader epoch is older than the known one"),
    (75, UNKNOWN_LEADER_EPOCH, true, "the leader epoch is newer than the known one"),
    (76, UNSUPPORTED_COMPRESSION_TYPE, false, "the compression codec is unknown or not built in"),
    (77, STALE_BROKER_EPOCH, false, "the node epoch is stale"),
    (78, OFFSET_NOT_AVAILABLE, true, "the offset is not known to be committed yet"),
    (79, MEMBER_ID_REQUIRED, false, "join again with the member id that was given"),
    (80, PREFERRED_LEADER_NOT_AVAILABLE, true, "the preferred leader is not available"),
    (81, GROUP_MAX_SIZE_REACHED, false, "the group is full"),
    (82, FENCED_INSTANCE_ID, false, "another member took this group.instance.id"),
    (83, ELIGIBLE_LEADERS_NOT_AVAILABLE, true, "no eligible leader is available"),
    (84, ELECTION_NOT_NEEDED, true, "the partition needs no election"),
    (85, NO_REASSIGNMENT_IN_PROGRESS, false, "no reassignment is under way"),
    (86, GROUP_SUBSCRIBED_TO_TOPIC, false, "the group is subscribed to the topic"),
    (87, INVALID_RECORD, false, "a record or batch breaks the rules of its format"),
    (88, UNSTABLE_OFFSET_COMMIT, true, "the committed offset may still change"),
    (89, THROTTLING_QUOTA_EXCEEDED, true, "a quota is exceeded"),
    (90, PRODUCER_FENCED, false, "a newer producer has the same transactional id"),
    (91, RESOURCE_NOT_FOUND, false, "there is no such resource"),
    (92, DUPLICATE_RESOURCE, false, "the resource exists already"),
    (95, INVALID_UPDATE_VERSION, false, "the update is based on a stale version"),
    (100, UNKNOWN_TOPIC_ID, true, "no topic has this id"),
    (101, DUPLICATE_BROKER_REGISTRATION, false, "another process with this node id is alive"),
    (102, BROKER_ID_NOT_REGISTERED, false, "the node is not registered"),
    (103, INCONSISTENT_TOPIC_ID, true, "the topic id differs from the one in the log"),
    (107, INELIGIBLE_REPLICA, false, "the replica may not join the in-sync replicas"),
    (108, NEW_LEADER_ELECTED, false, "a new leader was elected meanwhile"),
    (110, FENCED_MEMBER_EPOCH, false, "the member epoch is fenced"),
    (111, UNRELEASED_INSTANCE_ID, false, "the instance id is still in use"),
    (112, UNSUPPORTED_ASSIGNOR, false, "the assignor is not supported"),
    (113, STALE_MEMBER_EPOCH, false, "the member epoch is stale"),
    (120, TRANSACTION_ABORTABLE, false, "the transaction has to be aborted"),
    (-150, FATAL, false, "the handle is finished; close it"),
    (-151, PURGE_INFLIGHT, false, "purged while in flight: it may or may not be in the log"),
    (-152, PURGE_QUEUE, false, "purged before it was written"),
    (-172, STATE, false, "not possible in this state"),
    (-184, QUEUE_FULL, true, "a bounded queue or buffer is full"),
    (-185, TIMED_OUT, true, "the time limit of the call passed"),
    (-186, INVALID_ARG, false, "an argument is not valid"),
    (-191, PARTITION_EOF, false, "the end of the partition is reached"),
    (-197, DESTROY, false, "the handle or its engine is closed"),
    (-301, PANIC, false, "a bug in this library was caught at its door"),
    (-302, FORKED, false, "an engine does not survive fork()"),
    (-303, NOMEM, true, "memory could not be allocated"),
    (-304, ABI, false, "a struct_size is smaller than the first version of the struct"),
    (-305, REENTRANT, false, "not legal inside a callback, or two threads used a one-thread handle"),
    (-306, CLOSED, false, "the engine is closed"),
    (-307, TRANSPORT_HOST, true, "the host's transport failed"),
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What went wrong, where, and whether it is worth trying again. Cheap to clone: many waiters may share one.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    code: ErrorCode,
    fatal: bool,
    message: String,
    source: Option<io::Error>,
    /// See [`is_of_sync`](Error::is_of_sync).
    is_of_sync: bool,
}

impl Error {
    /// An error of this kind; `message` says what, where and what to do, in one line.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error::with(code, false, message.into())
    }

    /// As [`new`](Error::new), and the handle is finished: close it, reopen, let recovery decide.
    #[must_use]
    pub fn fatal(code: ErrorCode, message: impl Into<String>) -> Error {
        Error::with(code, true, message.into())
    }

    /// The operating system refused: KAFKA_STORAGE_ERROR, naming what was being done to which file.
    #[must_use]
    pub fn io(doing: &str, path: &Path, source: io::Error) -> Error {
        Error::of_system(doing, path, source, false)
    }

    /// As [`io`](Error::io), of a call that makes earlier ones durable: what they wrote may never arrive, whatever a later sync says.
    #[must_use]
    pub fn sync(doing: &str, path: &Path, source: io::Error) -> Error {
        Error::of_system(doing, path, source, true)
    }

    fn with(code: ErrorCode, fatal: bool, message: String) -> Error {
        Error(Arc::new(Inner { code, fatal, message, source: None, is_of_sync: false }))
    }

    fn of_system(doing: &str, path: &Path, source: io::Error, is_of_sync: bool) -> Error {
        let message = format!("{doing} {}: {source}", path.display());
        let code = ErrorCode::KAFKA_STORAGE_ERROR;
        Error(Arc::new(Inner { code, fatal: false, message, source: Some(source), is_of_sync }))
    }

    fn again(&self, fatal: bool, message: String) -> Error {
        let source = self.0.source.as_ref().map(|e| io::Error::new(e.kind(), e.to_string()));
        Error(Arc::new(Inner { code: self.0.code, fatal, message, source, is_of_sync: self.0.is_of_sync }))
    }

    /// The same failure, marked as the end of its handle.
    #[must_use]
    pub fn into_fatal(self) -> Error {
        self.again(true, self.0.message.clone())
    }

    /// The same failure with `context: ` put before its message, unless it stands there already.
    #[must_use]
    pub fn within(self, context: impl fmt::Display) -> Error {
        let context = context.to_string();
        if self.0.message.strip_prefix(&*context).is_some_and(|rest| rest.starts_with(": ")) {
            return self;
        }
        self.again(self.0.fatal, format!("{context}: {}", self.0.message))
    }

    /// The stable number.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What, where and what to do, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same call may succeed later, unchanged. Never true for a fatal error.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        !self.0.fatal && self.0.code.is_retriable()
    }

    /// Whether the handle is finished: close and reopen (sync failed, fenced, corrupt).
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.0.fatal
    }

    /// The kind of the operating system's error, when there was one.
    #[must_use]
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.0.source.as_ref().map(io::Error::kind)
    }

    /// Whether a sync has failed, so that what was written before it may never arrive.
    pub(crate) fn is_of_sync(&self) -> bool {
        self.0.is_of_sync
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.name(), self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Error({} {}: {}{})",
            self.0.code.0,
            self.0.code.name(),
            self.0.message,
            if self.0.fatal { ", fatal" } else { "" }
        )
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_and_no_name_stands_twice_in_the_table() {
        let mut numbers: Vec<i32> = ErrorCode::ALL.iter().map(|c| c.0).collect();
        let mut names: Vec<&str> = ErrorCode::ALL.iter().map(|c| c.name()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        names.sort_unstable();
        names.dedup();
        assert_eq!((numbers.len(), names.len()), (ErrorCode::ALL.len(), ErrorCode::ALL.len()));
    }

    #[test]
    fn a_fatal_error_is_never_worth_a_retry() {
        let failed = Error::io("sync", Path::new("x.log"), io::Error::other("gone"));
        assert!(failed.is_retriable());
        assert!(!failed.into_fatal().is_retriable());
    }
}
