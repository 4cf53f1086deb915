//! What the file of leader epochs should say, read from the batches, which carry theirs.

use super::leader_epochs::{LeaderEpochs, LEADER_EPOCH_FILE};
use super::segment::Segment;
use super::segments::Segments;
use crate::error::{Error, ErrorCode, Result};
use crate::record::BatchHeader;
use crate::types::{Offset, Position};
use std::path::Path;

/// Whether the oldest batch carries an epoch, and the file begins behind it, so that it must have lost some. An empty log has none to lose.
pub(super) fn lacks_the_first(epochs: &LeaderEpochs, segments: &Segments, log_start: Offset) -> bool {
    let first = segments.first();
    let known_from = epochs.entries().first().map(|(_, start)| *start);
    if known_from.is_some_and(|start| start <= first.base.max(log_start)) {
        return false;
    }
    // What makes no sense here is judged by whoever scans it.
    matches!(first.header_at(Position(0)), Ok(Some(header))
        if header.leader_epoch.is_some() && known_from.is_none_or(|start| start > header.base_offset.max(log_start)))
}

/// For the report.
pub(super) fn why_replayed(dir: &Path, unreadable: Option<&Error>) -> String {
    match unreadable {
        Some(unreadable) => unreadable.message().to_owned(),
        None => format!("{} did not say which epoch the log begins with", dir.join(LEADER_EPOCH_FILE).display()),
    }
}

/// Notes the epochs of all batches, as far as their headers can be walked; in the active segment of those before `until`.
pub(super) fn replay(segments: &Segments, until: Position, epochs: &mut LeaderEpochs) -> Result<()> {
    segments.iter().try_for_each(|segment| replay_one(segment, Some(until).filter(|_| !segment.is_sealed()), epochs))
}

fn replay_one(segment: &Segment, until: Option<Position>, epochs: &mut LeaderEpochs) -> Result<()> {
    let (mut at, mut end) = (Position(0), segment.base);
    while until.is_none_or(|until| at < until) {
        let header = match segment.header_at(at) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(()),
            // A torn tail; whoever scans the segment judges it.
            Err(e) if e.code() == ErrorCode::CORRUPT_MESSAGE => return Ok(()),
            Err(e) => return Err(e),
        };
        note(epochs, &header, end);
        end = header.end_offset();
        at = segment.after(at, &header)?;
    }
    Ok(())
}

/// What the table knows already is not noted again: the batch may lie in the middle of its epoch, and behind it others began. Where
/// the two disagree the batch is right, and what the table says of the places behind the batch before, at `end`, came from batches
/// that are gone; so too where it lets an epoch begin within the batch. No leader writes behind a later one's batches: a batch that says so
/// changes nothing.
pub(super) fn note(epochs: &mut LeaderEpochs, header: &BatchHeader, end: Offset) {
    let Some(epoch) = header.leader_epoch else { return };
    let ends = [header.base_offset, header.last_offset()];
    let is_known = |epochs: &LeaderEpochs| ends.iter().all(|at| epochs.epoch_for_offset(*at) == Some(epoch));
    if is_known(epochs) {
        return;
    }
    epochs.truncate_from_end(end);
    if !is_known(epochs) && epochs.latest().is_none_or(|latest| latest < epoch) {
        epochs.assign_in_memory(epoch, header.base_offset);
    }
}
