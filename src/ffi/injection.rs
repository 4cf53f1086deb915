//! Only for tests (feature `ffi-panic-injection`): a function that panics on purpose.

use super::engine::kafkalog_engine_t;
use super::guard::guard;
use super::kafkalog_code_t;

/// Panics under the guard, as a bug would. Not in the header.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_test_panic(e: *mut kafkalog_engine_t) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the test.
    unsafe { guard(e, std::ptr::null_mut(), |_| panic!("on purpose")) }
}
