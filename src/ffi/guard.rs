//! The frame of every exported function: nothing that happens inside may harm the host.
//!
//! 1. **No unwinding into C.** A panic is caught here, becomes `KAFKALOG_ERR__PANIC` and ends its engine.
//! 2. **No life after fork.** A handle remembers the process it was born in; in a child it answers `KAFKALOG_ERR__FORKED`
//!    before anything is looked at, because the threads and locks behind it stayed in the parent.
//! 3. **No way back in from a callback.** While the host's log function runs, only functions of class \[CB\] are served.
//! 4. **No NULL is followed**, and what a failed call would have given out is NULL.

use super::engine::Core;
use super::error::{self, kafkalog_error_t};
use super::kafkalog_code_t;
use crate::{Error, ErrorCode, Result};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

#[cfg(panic = "abort")]
compile_error!("the C door catches panics, so the library has to be built with panic = \"unwind\"");

thread_local! {
    /// What the current thread is doing in here. Without a destructor, so that it can be read at any time.
    static HERE: Here = const { Here { guarded: Cell::new(0), in_callback: Cell::new(false) } };
    /// Message and place of the last panic under a guard of this thread, written by the hook, taken by the guard.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

struct Here {
    guarded: Cell<u32>,
    in_callback: Cell<bool>,
}

/// The process that a handle belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Birth(Option<u32>);

impl Birth {
    #[inline]
    pub(super) fn now() -> Birth {
        Birth(crate::door::fork_generation())
    }

    pub(super) fn is_here(self) -> bool {
        self == Birth::now()
    }
}

/// What every opaque object of the door can say about itself.
pub(super) trait Handle {
    /// The process in which it was made.
    fn birth(&self) -> Birth;
    /// The engine that a panic in one of its calls brings down; plain data has none.
    fn core(&self) -> Option<&Core> {
        None
    }
}

/// Looks at a handle that is an argument: not NULL, and of this process.
///
/// # Safety
/// `handle` is NULL or points to a live object that was given out by the function that makes such handles.
pub(super) unsafe fn borrow<'a, H: Handle>(handle: *const H, name: &str) -> Result<&'a H> {
    // SAFETY: the caller's promise.
    let Some(object) = (unsafe { handle.as_ref() }) else { return Err(null(name)) };
    if object.birth().is_here() {
        Ok(object)
    } else {
        Err(Error::new(ErrorCode::FORKED, format!("`{name}` was made before fork(); open an engine in the child")))
    }
}

/// As [`borrow`], and NULL means none.
///
/// # Safety
/// As [`borrow`].
pub(super) unsafe fn borrow_or_none<'a, H: Handle>(handle: *const H, name: &str) -> Result<Option<&'a H>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { borrow(handle, name) }.map(Some)
}

pub(super) fn null(name: &str) -> Error {
    Error::new(ErrorCode::INVALID_ARG, format!("`{name}` is NULL"))
}

/// Runs one call on a handle and answers its code; details go to `err` unless that is NULL.
///
/// # Safety
/// `handle` as for [`borrow`]; `err` is NULL or may be written.
pub(super) unsafe fn guard<H: Handle>(
    handle: *const H,
    err: *mut *mut kafkalog_error_t,
    body: impl FnOnce(&H) -> Result<()>,
) -> kafkalog_code_t {
    // SAFETY: the caller's promise.
    let outcome = unsafe { call(handle, body) };
    // SAFETY: the caller's promise.
    unsafe { error::answer(outcome, err) }
}

/// As [`guard`], for calls that make an object: it is put into `*out`, or NULL when the call failed.
///
/// # Safety
/// As [`guard`]; `out` is NULL or may be written.
pub(super) unsafe fn guard_new<H: Handle, T>(
    handle: *const H,
    out: *mut *mut T,
    err: *mut *mut kafkalog_error_t,
    body: impl FnOnce(&H) -> Result<T>,
) -> kafkalog_code_t {
    if !out.is_null() {
        // SAFETY: not NULL, and the caller's promise.
        unsafe { *out = std::ptr::null_mut() };
    }
    // SAFETY: the caller's promise.
    let outcome = unsafe {
        call(handle, |object| {
            if out.is_null() {
                return Err(null("out"));
            }
            *out = Box::into_raw(Box::new(body(object)?));
            Ok(())
        })
    };
    // SAFETY: the caller's promise.
    unsafe { error::answer(outcome, err) }
}

/// Runs an accessor that has no code to answer with: `neutral` stands for every refusal.
///
/// # Safety
/// `handle` as for [`borrow`].
pub(super) unsafe fn guard_value<H: Handle, T>(handle: *const H, neutral: T, body: impl FnOnce(&H) -> Result<T>) -> T {
    // SAFETY: the caller's promise.
    unsafe { call(handle, body) }.unwrap_or(neutral)
}

/// Runs a function that has no handle.
pub(super) fn guard_plain<T>(neutral: T, body: impl FnOnce() -> Result<T>) -> T {
    caught(body).unwrap_or(neutral)
}

/// Ends a handle: NULL is fine, and one that came through fork() is left lying.
///
/// # Safety
/// `handle` is NULL or was made by `Box::into_raw` and is given back here for the first time.
pub(super) unsafe fn destroy<H: Handle>(handle: *mut H, body: impl FnOnce(Box<H>)) {
    // SAFETY: the caller's promise.
    let Some(object) = (unsafe { handle.as_ref() }) else { return };
    if !object.birth().is_here() {
        return; // Its threads are not here to be joined and its locks may be held for ever.
    }
    let _ = caught(|| {
        // SAFETY: the caller's promise.
        body(unsafe { Box::from_raw(handle) });
        Ok(())
    }); // An object that panics while it goes has nobody left to tell.
}

/// Runs the host's own function: until it returns, this thread may only call functions of class \[CB\].
pub(super) fn in_callback(run: impl FnOnce()) {
    HERE.with(|here| {
        let before = here.in_callback.replace(true);
        run();
        here.in_callback.set(before);
    });
}

/// Whether this thread is inside of a function of the host.
pub(super) fn is_in_callback() -> bool {
    HERE.with(|here| here.in_callback.get())
}

/// Installs, once, the hook that keeps panics of ours from being printed. Called when an engine is opened.
pub(super) fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if HERE.with(|here| here.guarded.get() > 0) {
                let said = info.to_string().replace('\n', " ");
                // It cannot be taken when the thread is ending, and then the payload's own text has to do.
                let _ = LAST_PANIC.try_with(|last| *last.borrow_mut() = Some(said));
            } else if !is_our_thread() {
                previous(info);
            } // A thread of ours catches its panic itself, tells the log and ends its engine.
        }));
    });
}

fn is_our_thread() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("kafkalog-"))
}

/// # Safety
/// As [`borrow`].
unsafe fn call<H: Handle, T>(handle: *const H, body: impl FnOnce(&H) -> Result<T>) -> Result<T> {
    // SAFETY: the caller's promise.
    let object = unsafe { borrow(handle, "handle") }?;
    let outcome = caught(|| body(object));
    if let (Err(error), Some(core)) = (&outcome, object.core()) {
        if error.code() == ErrorCode::PANIC {
            core.fail(error.clone());
        }
    }
    outcome
}

fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    if is_in_callback() {
        return Err(Error::new(ErrorCode::REENTRANT, "this function is not legal inside a callback"));
    }
    caught_anywhere(body)
}

/// Runs the body of a function of class \[CB\].
pub(super) fn caught_anywhere<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    HERE.with(|here| {
        here.guarded.set(here.guarded.get() + 1);
        let outcome = panic::catch_unwind(AssertUnwindSafe(body));
        here.guarded.set(here.guarded.get() - 1);
        outcome.unwrap_or_else(|payload| Err(panicked(payload)))
    })
}

fn panicked(payload: Box<dyn std::any::Any + Send>) -> Error {
    let said = LAST_PANIC.try_with(|last| last.borrow_mut().take()).ok().flatten();
    let said = said.unwrap_or_else(|| match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "no message".to_owned(),
    });
    // A payload may have a destructor of its own, and that could panic again.
    std::mem::forget(payload);
    Error::fatal(ErrorCode::PANIC, format!("a bug in kafkalog was caught; close the engine and reopen it: {said}"))
}
