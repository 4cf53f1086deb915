//! What must not happen, and did.

use std::fmt;

/// The promise that was broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)] // each says what it is
pub enum Broken {
    /// A committed record is not where it was.
    Lost,
    /// Two replicas differ below the high watermark.
    Diverged,
    /// Something was acknowledged that is not committed.
    AckedTooEarly,
    /// Two leaders in one epoch.
    TwoLeaders,
    /// A leader epoch went back.
    EpochBack,
    /// A high watermark went back in its epoch, or stands behind the log's end.
    WatermarkBack,
    /// A record was served that is not committed, or not as it is now.
    ReadUncommitted,
    /// A record is in the log whose producer was told that it is not.
    FailedPresent,
    /// A record is in the log twice.
    Duplicate,
    /// Records of one producer changed places, or a sequence was refused that was right.
    Reordered,
    /// What a sync had covered did not survive a power cut, or was never covered.
    NotDurable,
    /// A log that does not open, or batches that are no batches.
    Corrupt,
    /// After all faults had gone nothing moved on.
    NoProgress,
    /// Something panicked.
    Panicked,
    /// A call failed in a way that it must not.
    BadAnswer,
}

/// One broken promise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    pub broken: Broken,
    /// Where, and what was found instead.
    pub text: String,
}

impl Finding {
    #[must_use]
    pub fn new(broken: Broken, text: impl Into<String>) -> Finding {
        Finding { broken, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.broken {
            Broken::Lost => "lost a committed record",
            Broken::Diverged => "replicas differ",
            Broken::AckedTooEarly => "acknowledged what is not committed",
            Broken::TwoLeaders => "two leaders in one epoch",
            Broken::EpochBack => "a leader epoch went back",
            Broken::WatermarkBack => "a high watermark went back",
            Broken::ReadUncommitted => "served what is not committed",
            Broken::FailedPresent => "a refused record is in the log",
            Broken::Duplicate => "a record is there twice",
            Broken::Reordered => "records changed places",
            Broken::NotDurable => "flushed, and not durable",
            Broken::Corrupt => "corrupt",
            Broken::NoProgress => "no progress after healing",
            Broken::Panicked => "panicked",
            Broken::BadAnswer => "a call failed that must not",
        };
        write!(f, "{what}: {}", self.text)
    }
}

/// What every step of a world answers.
pub type Checked<T = ()> = std::result::Result<T, Finding>;

/// `Err` with a finding of this kind and text.
macro_rules! found {
    ($broken:ident, $($text:tt)+) => {
        Err($crate::sim::findings::Finding::new($crate::sim::findings::Broken::$broken, format!($($text)+)))
    };
}
pub(in crate::sim) use found;
