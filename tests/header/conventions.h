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
