//! The bytes of metadata records: what entries of the metadata log and snapshots of the image carry.
//!
//! ```text
//! list    count u32, then that many records
//! record  type u8 | version u8 | fields
//!   1 NodeRegistered        node u32, incarnation u64, epoch u64, address text, rack text?, holds data u8, standing u8
//!   2 NodeStandingChanged   node u32, epoch u64, standing u8
//!   3 NodeRemoved           node u32, epoch u64
//!   4 TopicCreated          name text, id 16, settings: count u32, (name text, value text) each
//!   5 TopicSettingsChanged  id 16, settings
//!   6 TopicRemoved          id 16
//!   7 PartitionChanged      topic id 16, partition u32, replicas, adding, removing, isr, elr: nodes each,
//!                           last known leader u32?, leader u32?, leader epoch u32, partition epoch u32, recovery u8
//! text    length u32, UTF-8        nodes   count u32, u32 each        x?   0, or 1 and x
//! ```
//! Big-endian. A type or version that this program does not know is UNSUPPORTED_VERSION, anything else that does not fit
//! CORRUPT_MESSAGE.

use super::fields::{Reader, Writer};
use super::metadata::{LeaderRecovery, MetadataRecord, NodeRegistration, NodeStanding, PartitionState, TopicSetting};
use crate::error::{Error, ErrorCode, Result};
use crate::types::LeaderEpoch;

/// Most records of one list (an entry of the log, a snapshot).
pub(crate) const RECORDS_MAX: usize = 1_000_000;
/// Most settings of one topic.
const SETTINGS_MAX: usize = 1_000;
/// The newest version of every record type.
const VERSION: u8 = 0;

const NODE_REGISTERED: u8 = 1;
const NODE_STANDING_CHANGED: u8 = 2;
const NODE_REMOVED: u8 = 3;
const TOPIC_CREATED: u8 = 4;
const TOPIC_SETTINGS_CHANGED: u8 = 5;
const TOPIC_REMOVED: u8 = 6;
const PARTITION_CHANGED: u8 = 7;

/// The bytes of a list of records.
pub(crate) fn encode_records(records: &[MetadataRecord]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.length(records.len());
    records.iter().for_each(|record| put_record(&mut writer, record));
    writer.0
}

/// The records of these bytes, all of them.
///
/// # Errors
/// UNSUPPORTED_VERSION or CORRUPT_MESSAGE.
pub(crate) fn decode_records(bytes: &[u8]) -> Result<Vec<MetadataRecord>> {
    let mut reader = Reader::new(bytes, "metadata records");
    let count = reader.count(RECORDS_MAX, 2)?;
    let records = (0..count).map(|_| get_record(&mut reader)).collect::<Result<Vec<_>>>()?;
    reader.end()?;
    Ok(records)
}

fn put_record(w: &mut Writer, record: &MetadataRecord) {
    match record {
        MetadataRecord::NodeRegistered { registration, standing } => {
            put_type(w, NODE_REGISTERED);
            w.node(registration.node);
            w.u64(registration.incarnation);
            w.u64(registration.epoch);
            w.text(&registration.address);
            w.option(registration.rack.as_deref(), Writer::text);
            w.bool(registration.holds_data);
            put_standing(w, *standing);
        }
        MetadataRecord::NodeStandingChanged { node, epoch, standing } => {
            put_type(w, NODE_STANDING_CHANGED);
            w.node(*node);
            w.u64(*epoch);
            put_standing(w, *standing);
        }
        MetadataRecord::NodeRemoved { node, epoch } => {
            put_type(w, NODE_REMOVED);
            w.node(*node);
            w.u64(*epoch);
        }
        MetadataRecord::TopicCreated { name, id, settings } => {
            put_type(w, TOPIC_CREATED);
            w.text(name);
            w.raw(id);
            put_settings(w, settings);
        }
        MetadataRecord::TopicSettingsChanged { id, settings } => {
            put_type(w, TOPIC_SETTINGS_CHANGED);
            w.raw(id);
            put_settings(w, settings);
        }
        MetadataRecord::TopicRemoved { id } => {
            put_type(w, TOPIC_REMOVED);
            w.raw(id);
        }
        MetadataRecord::PartitionChanged { topic, partition, state } => {
            put_type(w, PARTITION_CHANGED);
            w.raw(topic);
            w.u32(*partition);
            put_state(w, state);
        }
    }
}

fn get_record(r: &mut Reader<'_>) -> Result<MetadataRecord> {
    let kind = r.u8()?;
    let version = r.u8()?;
    if !(NODE_REGISTERED..=PARTITION_CHANGED).contains(&kind) || version > VERSION {
        let message =
            format!("metadata record of type {kind} version {version}; this program knows types up to {PARTITION_CHANGED} in version {VERSION}");
        return Err(Error::new(ErrorCode::UNSUPPORTED_VERSION, message));
    }
    Ok(match kind {
        NODE_REGISTERED => {
            let registration = NodeRegistration {
                node: r.node()?,
                incarnation: r.u64()?,
                epoch: r.u64()?,
                address: r.text()?.to_owned(),
                rack: r.option(|r| r.text().map(str::to_owned))?,
                holds_data: r.bool()?,
            };
            MetadataRecord::NodeRegistered { registration, standing: get_standing(r)? }
        }
        NODE_STANDING_CHANGED => {
            MetadataRecord::NodeStandingChanged { node: r.node()?, epoch: r.u64()?, standing: get_standing(r)? }
        }
        NODE_REMOVED => MetadataRecord::NodeRemoved { node: r.node()?, epoch: r.u64()? },
        TOPIC_CREATED => {
            MetadataRecord::TopicCreated { name: r.text()?.into(), id: r.id()?, settings: get_settings(r)? }
        }
        TOPIC_SETTINGS_CHANGED => MetadataRecord::TopicSettingsChanged { id: r.id()?, settings: get_settings(r)? },
        TOPIC_REMOVED => MetadataRecord::TopicRemoved { id: r.id()? },
        _ => MetadataRecord::PartitionChanged { topic: r.id()?, partition: r.u32()?, state: get_state(r)? },
    })
}

fn put_type(w: &mut Writer, kind: u8) {
    w.u8(kind);
    w.u8(VERSION);
}

fn put_standing(w: &mut Writer, standing: NodeStanding) {
    w.u8(match standing {
        NodeStanding::Fenced => 0,
        NodeStanding::Unfenced => 1,
        NodeStanding::InControlledShutdown => 2,
    });
}

fn get_standing(r: &mut Reader<'_>) -> Result<NodeStanding> {
    match r.u8()? {
        0 => Ok(NodeStanding::Fenced),
        1 => Ok(NodeStanding::Unfenced),
        2 => Ok(NodeStanding::InControlledShutdown),
        other => Err(r.corrupt(format_args!("{other} is no standing"))),
    }
}

fn put_settings(w: &mut Writer, settings: &[TopicSetting]) {
    w.length(settings.len());
    for (name, value) in settings {
        w.text(name);
        w.text(value);
    }
}

fn get_settings(r: &mut Reader<'_>) -> Result<Vec<TopicSetting>> {
    let count = r.count(SETTINGS_MAX, 8)?;
    (0..count).map(|_| Ok((r.text()?.to_owned(), r.text()?.to_owned()))).collect()
}

fn put_state(w: &mut Writer, state: &PartitionState) {
    for nodes in [&state.replicas, &state.adding, &state.removing, &state.isr, &state.elr] {
        w.nodes(nodes);
    }
    w.option(state.last_known_leader, Writer::node);
    w.option(state.leader, Writer::node);
    w.u32(state.leader_epoch.0);
    w.u32(state.partition_epoch);
    w.bool(state.recovery == LeaderRecovery::Recovering);
}

fn get_state(r: &mut Reader<'_>) -> Result<PartitionState> {
    Ok(PartitionState {
        replicas: r.nodes()?,
        adding: r.nodes()?,
        removing: r.nodes()?,
        isr: r.nodes()?,
        elr: r.nodes()?,
        last_known_leader: r.option(Reader::node)?,
        leader: r.option(Reader::node)?,
        leader_epoch: LeaderEpoch(r.u32()?),
        partition_epoch: r.u32()?,
        recovery: if r.bool()? { LeaderRecovery::Recovering } else { LeaderRecovery::Recovered },
    })
}
