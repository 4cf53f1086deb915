//! The kernel's clock as of its last tick, which the standard library has no word for.

use std::mem::MaybeUninit;

/// Milliseconds since 1970-01-01T00:00:00Z as of the last tick of the kernel (1 to 10 ms ago at most). Much cheaper than an exact
/// answer.
pub fn coarse_realtime_ms() -> i64 {
    #[cfg(target_os = "linux")]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: libc::clockid_t = libc::CLOCK_REALTIME;
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the structure is ours to fill.
    if unsafe { libc::clock_gettime(CLOCK, now.as_mut_ptr()) } != 0 {
        return 0; // only for a clock that does not exist; 1970 is what a clock that was never set says
    }
    // SAFETY: the call succeeded, so the kernel filled it.
    let now = unsafe { now.assume_init() };
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn the_coarse_clock_is_never_early() {
        for _ in 0..1000 {
            let coarse = coarse_realtime_ms();
            let exact = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
            assert!(u128::try_from(coarse).expect("after 1970") <= exact);
        }
    }
}
