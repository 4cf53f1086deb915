//! Bugs that are built in on purpose, so that the tools that look for such bugs can be shown to see them. Never for use.
//!
//! A feature `bug-...` builds its bug in. Where a build has several (`planted-bugs` has them all), the variable `KAFKALOG_PLANTED` names the
//! one that is wanted, so that one build serves every proof; without the variable all of them are there. A build without such a feature has
//! neither the bugs nor the question.

use std::sync::OnceLock;

/// Is this bug built in, and wanted? A constant `false` in every build that is for use.
macro_rules! planted {
    ($bug:literal) => {
        cfg!(feature = $bug) && $crate::planted::is_wanted($bug)
    };
}
pub(crate) use planted;

#[cfg_attr(not(feature = "planted-bugs"), allow(dead_code))]
pub(crate) fn is_wanted(bug: &str) -> bool {
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    WANTED.get_or_init(|| std::env::var("KAFKALOG_PLANTED").ok()).as_deref().is_none_or(|wanted| wanted == bug)
}
