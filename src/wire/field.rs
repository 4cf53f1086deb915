//! Values and their bytes. Encoding and decoding of a type come from one list of its fields, so they cannot differ.

use super::fields::{Reader, Writer};
use super::limits::{
    BATCHES_MAX, ERROR_TEXT_BYTES_MAX, MEMORY_PER_BYTE_MAX, NODES_MAX, PARTITIONS_MAX, SETTINGS_MAX, TEXT_BYTES_MAX,
    TOPICS_MAX,
};
use crate::config::IsolationLevel;
use crate::error::{Error, ErrorCode, Result};
use crate::transport::ClusterId;
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, Rung, Timestamp, TopicPartition};
use bytes::Bytes;
use std::sync::Arc;

/// A value with its bytes.
pub(super) trait Field: Sized {
    /// The fewest bytes that one takes.
    const BYTES_MIN: usize;
    fn put(&self, w: &mut Writer);
    fn get(r: &mut Reader) -> Result<Self>;
}

/// A value that lists may hold.
pub(super) trait Listed: Field {
    /// At most so many.
    const COUNT_MAX: usize;
    /// What they are called when there are too many.
    const NAME: &'static str;
}

impl<T: Listed> Field for Vec<T> {
    const BYTES_MIN: usize = 4;

    fn put(&self, w: &mut Writer) {
        w.count(self.len(), T::COUNT_MAX, T::NAME);
        self.iter().for_each(|item| item.put(w));
    }

    fn get(r: &mut Reader) -> Result<Vec<T>> {
        const { assert!(size_of::<T>() <= MEMORY_PER_BYTE_MAX * T::BYTES_MIN) };
        let count = r.count(T::COUNT_MAX, T::BYTES_MIN)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(T::get(r)?);
        }
        Ok(items)
    }
}

impl<T: Field> Field for Option<T> {
    const BYTES_MIN: usize = 1;

    fn put(&self, w: &mut Writer) {
        self.is_some().put(w);
        if let Some(value) = self {
            value.put(w);
        }
    }

    fn get(r: &mut Reader) -> Result<Option<T>> {
        if bool::get(r)? {
            T::get(r).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// 0 and the value, or 1 and why there is none.
impl<T: Field, E: Field> Field for std::result::Result<T, E> {
    const BYTES_MIN: usize = 1 + if T::BYTES_MIN < E::BYTES_MIN { T::BYTES_MIN } else { E::BYTES_MIN };

    fn put(&self, w: &mut Writer) {
        self.is_err().put(w);
        match self {
            Ok(value) => value.put(w),
            Err(error) => error.put(w),
        }
    }

    fn get(r: &mut Reader) -> Result<std::result::Result<T, E>> {
        if bool::get(r)? {
            E::get(r).map(Err)
        } else {
            T::get(r).map(Ok)
        }
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    const BYTES_MIN: usize = A::BYTES_MIN + B::BYTES_MIN;

    fn put(&self, w: &mut Writer) {
        self.0.put(w);
        self.1.put(w);
    }

    fn get(r: &mut Reader) -> Result<(A, B)> {
        Ok((A::get(r)?, B::get(r)?))
    }
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Field for $number {
            const BYTES_MIN: usize = size_of::<$number>();
            fn put(&self, w: &mut Writer) {
                w.raw(&self.to_be_bytes());
            }
            fn get(r: &mut Reader) -> Result<$number> {
                r.array().map(<$number>::from_be_bytes)
            }
        }
    )*};
}
numbers! { u8 u32 u64 i32 i64 }

impl Field for bool {
    const BYTES_MIN: usize = 1;

    fn put(&self, w: &mut Writer) {
        u8::from(*self).put(w);
    }

    fn get(r: &mut Reader) -> Result<bool> {
        match u8::get(r)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(r.corrupt(format_args!("{other} is neither yes nor no"))),
        }
    }
}

/// An id.
impl Field for [u8; 16] {
    const BYTES_MIN: usize = 16;

    fn put(&self, w: &mut Writer) {
        w.raw(self);
    }

    fn get(r: &mut Reader) -> Result<[u8; 16]> {
        r.array()
    }
}

macro_rules! texts {
    ($($text:ty)*) => {$(
        impl Field for $text {
            const BYTES_MIN: usize = 4;
            fn put(&self, w: &mut Writer) {
                w.bytes(self.as_bytes(), TEXT_BYTES_MAX, "bytes of a text");
            }
            fn get(r: &mut Reader) -> Result<$text> {
                r.text(TEXT_BYTES_MAX, |text| text.into())
            }
        }
    )*};
}
texts! { String Arc<str> }

/// Encoded record batches.
impl Field for Bytes {
    const BYTES_MIN: usize = 4;

    fn put(&self, w: &mut Writer) {
        w.records(self);
    }

    fn get(r: &mut Reader) -> Result<Bytes> {
        r.records()
    }
}

/// The bytes of a struct: of these fields, in this order. A field that is left out does not compile.
macro_rules! layout {
    ($($type:ty { $($field:tt: $kind:ty),* $(,)? })*) => {$(
        impl $crate::wire::field::Field for $type {
            const BYTES_MIN: usize = 0 $(+ <$kind as $crate::wire::field::Field>::BYTES_MIN)*;
            fn put(&self, w: &mut $crate::wire::fields::Writer) {
                $(<$kind as $crate::wire::field::Field>::put(&self.$field, w);)*
            }
            fn get(r: &mut $crate::wire::fields::Reader) -> $crate::error::Result<Self> {
                Ok(Self { $($field: <$kind as $crate::wire::field::Field>::get(r)?),* })
            }
        }
    )*};
}

/// The bytes of an enum: one byte for the variant, then its fields.
macro_rules! variants {
    ($($type:ident, $what:literal { $(
        $tag:literal $variant:ident $(($value:ident: $inner:ty))? $({ $($field:ident: $kind:ty),* $(,)? })?,
    )* })*) => {$(
        impl $crate::wire::field::Field for $type {
            const BYTES_MIN: usize = 1;
            fn put(&self, w: &mut $crate::wire::fields::Writer) {
                match self {$(
                    $type::$variant { $(0: $value)? $($($field),*)? } => {
                        <u8 as $crate::wire::field::Field>::put(&$tag, w);
                        $(<$inner as $crate::wire::field::Field>::put($value, w);)?
                        $($(<$kind as $crate::wire::field::Field>::put($field, w);)*)?
                    }
                )*}
            }
            fn get(r: &mut $crate::wire::fields::Reader) -> $crate::error::Result<Self> {
                Ok(match <u8 as $crate::wire::field::Field>::get(r)? {
                    $($tag => $type::$variant {
                        $(0: <$inner as $crate::wire::field::Field>::get(r)?)?
                        $($($field: <$kind as $crate::wire::field::Field>::get(r)?),*)?
                    },)*
                    other => return Err(r.corrupt(format_args!(concat!("{} is no ", $what), other))),
                })
            }
        }
    )*};
}

/// Which values lists hold, and how many.
macro_rules! listed {
    ($($type:ty: $count_max:expr, $name:literal;)*) => {$(
        impl $crate::wire::field::Listed for $type {
            const COUNT_MAX: usize = $count_max;
            const NAME: &'static str = $name;
        }
    )*};
}
pub(super) use {layout, listed, variants};

layout! {
    Offset { 0: u64 }
    LeaderEpoch { 0: u32 }
    NodeId { 0: u32 }
    Timestamp { 0: i64 }
    ErrorCode { 0: i32 }
    ClusterId { 0: [u8; 16] }
    TopicPartition { topic: Arc<str>, partition: u32 }
}

variants! {
    Acks, "acks" { 0 None, 1 Leader, 2 All, }
    Rung, "rung" { 0 Buffered, 1 Written, 2 Flushed, 3 Replicated, }
    IsolationLevel, "isolation level" { 0 ReadUncommitted, 1 ReadCommitted, }
}

listed! {
    NodeId: NODES_MAX, "nodes";
    Bytes: BATCHES_MAX, "batches";
    Arc<str>: TOPICS_MAX, "topics";
    (String, String): SETTINGS_MAX, "settings";
    (String, Option<String>): SETTINGS_MAX, "settings";
    (Arc<str>, u32): PARTITIONS_MAX, "partitions";
    Vec<NodeId>: PARTITIONS_MAX, "partitions";
    (u32, Vec<NodeId>): PARTITIONS_MAX, "partitions";
}

/// Code, whether the handle is finished, and the sentence, cut when it is too long.
impl Field for Error {
    const BYTES_MIN: usize = 4 + 1 + 4;

    fn put(&self, w: &mut Writer) {
        self.code().put(w);
        self.is_fatal().put(w);
        let text = self.message();
        let end = (0..=text.len().min(ERROR_TEXT_BYTES_MAX)).rfind(|end| text.is_char_boundary(*end));
        w.bytes(&text.as_bytes()[..end.unwrap_or(0)], ERROR_TEXT_BYTES_MAX, "bytes of an error");
    }

    fn get(r: &mut Reader) -> Result<Error> {
        let (code, is_fatal) = (ErrorCode::get(r)?, bool::get(r)?);
        let error = |text: &str| if is_fatal { Error::fatal(code, text) } else { Error::new(code, text) };
        r.text(ERROR_TEXT_BYTES_MAX, error)
    }
}
