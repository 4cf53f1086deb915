//! `kafkalog_conf_t`: settings by name, collected before anybody knows what for.

use super::buf::kafkalog_buf_t;
use super::error::kafkalog_error_t;
use super::guard::{self, guard, guard_new, guard_plain, guard_value, Birth, Handle};
use super::kafkalog_code_t;
use super::log_sink::HostLog;
use super::pointers::text;
use crate::{Error, ErrorCode, Result, Scope};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::ptr::null_mut;

/// The host's log function. It is called from threads of the library and from those that call it, with no lock held, also by
/// several at once: it must be quick, must not throw or longjmp, and may only call functions of class [CB].
///
/// `level` is syslog's: 3 error, 4 warning, 5 notice, 6 info, 7 debug. `text` is one line of `len` bytes, without a NUL at its
/// end; both strings are valid only during the call.
pub type kafkalog_log_fn = Option<
    unsafe extern "C" fn(opaque: *mut c_void, level: i32, facility: *const c_char, text: *const c_char, len: usize),
>;

/// Settings of an engine, a topic, a producer or a consumer. One thread at a time.
pub struct kafkalog_conf_t {
    // Not for waiting: whoever finds it taken is told so.
    settings: RwLock<Settings>,
    birth: Birth,
}

#[derive(Clone, Default)]
pub(super) struct Settings {
    /// Every name is known and every value is in a range of that name.
    pub(super) values: BTreeMap<String, String>,
    pub(super) log: Option<HostLog>,
}

impl Handle for kafkalog_conf_t {
    fn birth(&self) -> Birth {
        self.birth
    }
}

impl kafkalog_conf_t {
    fn new(settings: Settings) -> kafkalog_conf_t {
        kafkalog_conf_t { settings: RwLock::new(settings), birth: Birth::now() }
    }

    pub(super) fn read(&self) -> Result<RwLockReadGuard<'_, Settings>> {
        self.settings.try_read().ok_or_else(taken)
    }

    fn write(&self) -> Result<RwLockWriteGuard<'_, Settings>> {
        self.settings.try_write().ok_or_else(taken)
    }
}

fn taken() -> Error {
    Error::new(ErrorCode::REENTRANT, "another thread is changing these settings")
}

/// Settings with nothing set. NULL only inside a callback.
///
/// The caller ends it with kafkalog_conf_destroy(); no call takes it over. [MT], never blocks.
#[no_mangle]
pub extern "C" fn kafkalog_conf_new() -> *mut kafkalog_conf_t {
    guard_plain(null_mut(), || Ok(Box::into_raw(Box::new(kafkalog_conf_t::new(Settings::default())))))
}

/// Sets one of Kafka's settings by name, for example "log.dirs", "acks" or "max.poll.records". A name that is no setting and a
/// value out of range are refused, with what is legal in `*err`.
///
/// Both strings are copied. [ONE], never blocks. Codes: INVALID_CONFIG (40), _INVALID_ARG, _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_conf_set(
    c: *mut kafkalog_conf_t,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut kafkalog_error_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard(c, err, |conf| {
            let (key, value) = (text(key, "key")?, text(value, "value")?);
            crate::check_setting(key, value)?;
            conf.write()?.values.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }
}

/// The value of a setting: what was set, or else the default; "[hidden]" for a secret that was set.
///
/// The caller ends `*value` with kafkalog_buf_destroy(). [MT], never blocks. Codes: INVALID_CONFIG (40) for a name that is no
/// setting, _INVALID_ARG, _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_conf_get(
    c: *const kafkalog_conf_t,
    key: *const c_char,
    value: *mut *mut kafkalog_buf_t,
) -> kafkalog_code_t {
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(c, value, null_mut(), |conf| {
            let key = text(key, "key")?;
            let set = conf.read()?.values.get(key).map(|value| shown(key, value).to_owned());
            let value = set.or_else(|| crate::default_of_setting(key).map(str::to_owned));
            let unknown = || Error::new(ErrorCode::INVALID_CONFIG, format!("{key:?} is not a setting"));
            Ok(kafkalog_buf_t::new(value.ok_or_else(unknown)?))
        })
    }
}

/// A copy, log function included. NULL when `c` is NULL, forked or being changed.
///
/// The caller ends it with kafkalog_conf_destroy(). [MT], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_conf_dup(c: *const kafkalog_conf_t) -> *mut kafkalog_conf_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard_value(c, null_mut(), |conf| Ok(Box::into_raw(Box::new(kafkalog_conf_t::new(conf.read()?.clone())))))
    }
}

/// Every setting there is, as a JSON array of objects with `name`, `scope` (engine, topic, producer, consumer), `type`, `default`,
/// `legal`, `sentence`, for topics `synonyms` (the engine settings that give the default), for secrets `is_secret`, and `value`
/// ("[hidden]" for secrets) where `c` (NULL: none) has one. Fields are only ever added.
///
/// The caller ends `*json` with kafkalog_buf_destroy(). [MT], never blocks. Codes: _INVALID_ARG, _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_conf_describe(
    c: *const kafkalog_conf_t,
    json: *mut *mut kafkalog_buf_t,
) -> kafkalog_code_t {
    let nothing = kafkalog_conf_t::new(Settings::default());
    // SAFETY: every pointer is NULL or as the header asks.
    unsafe {
        guard_new(if c.is_null() { &nothing } else { c }, json, null_mut(), |conf| {
            Ok(kafkalog_buf_t::new(described(&conf.read()?.values)))
        })
    }
}

/// A secret goes in and never comes out.
fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    let is_secret = crate::settings().iter().any(|row| row.name() == name && row.is_secret());
    if is_secret {
        "[hidden]"
    } else {
        value
    }
}

fn described(values: &BTreeMap<String, String>) -> String {
    let mut all = Vec::new();
    for scope in Scope::ALL {
        let rows: serde_json::Value =
            serde_json::from_str(&crate::describe_settings_json(scope)).expect("it was just written as JSON");
        let serde_json::Value::Array(rows) = rows else { continue };
        for mut row in rows {
            let name = row["name"].as_str().unwrap_or_default();
            if let Some(value) = values.get(name).map(|value| shown(name, value)) {
                row["value"] = value.into();
            }
            all.push(row);
        }
    }
    serde_json::Value::Array(all).to_string()
}

/// Sets the function that an engine opened with these settings calls with its log lines; NULL for none. Without it, and without
/// `log.queue=true`, the library is silent.
///
/// `opaque` stays the caller's and must outlive the engine. [ONE], never blocks. Codes: _INVALID_ARG, _REENTRANT.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_conf_set_log(
    c: *mut kafkalog_conf_t,
    callback: kafkalog_log_fn,
    opaque: *mut c_void,
) -> kafkalog_code_t {
    // SAFETY: NULL or alive, says the header.
    unsafe {
        guard(c, null_mut(), |conf| {
            conf.write()?.log = callback.map(|func| HostLog::new(func, opaque));
            Ok(())
        })
    }
}

/// Ends settings; NULL is fine. What was opened with them goes on.
///
/// [ONE], never blocks.
#[no_mangle]
pub unsafe extern "C" fn kafkalog_conf_destroy(c: *mut kafkalog_conf_t) {
    // SAFETY: NULL or alive, and given back once, says the header.
    unsafe { guard::destroy(c, drop) };
}
