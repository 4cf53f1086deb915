//! A toy: the first node leads everything for ever, each of its lives is a reign; the others copy it. All are always in sync, and
//! nothing is committed that one of them has not flushed. Nothing ever has to be truncated.

use crate::config::LogConfig;
use crate::controller::ControllerRequest;
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::record::SealedBatch;
use crate::replication::AckVerdict;
use crate::sim::checker::{Decision, ImageMark};
use crate::sim::life::{Answer, Appended, Birth, Member, Open, Replica, DIR};
use crate::sim::SimTransport;
use crate::storage::{Fetch, Log, OpenFiles, Opening, UpTo};
use crate::time::{Clock, Instant};
use crate::transport::{Frame, Inbox, Receive, Transport};
use crate::types::{Acks, LeaderEpoch, NodeId, Offset, TopicPartition};
use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    AcksOnAppend,
    SkipsFlush,
    SharesEpoch,
    Forgets,
    Panics,
}

pub struct Toys {
    pub bug: Option<Bug>,
}

const LEADER: NodeId = NodeId(1);
const TICK: Duration = Duration::from_millis(30);
const EPOCH_FILE: &str = "/data/epoch";

impl Open for Toys {
    fn open(&self, birth: Birth) -> Result<Arc<dyn Member>> {
        Toy::open(birth, self.bug).map(|toy| toy as Arc<dyn Member>)
    }
}

struct Toy {
    me: NodeId,
    others: Vec<NodeId>,
    bug: Option<Bug>,
    transport: SimTransport,
    clock: Arc<crate::sim::SimClock>,
    epoch: LeaderEpoch,
    logs: BTreeMap<TopicPartition, Log>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the others have, as they said in this life.
    ends: BTreeMap<(NodeId, TopicPartition), Offset>,
    leader_epoch: LeaderEpoch,
    due: Instant,
}

/// Every topic of every plan, made before the world begins.
fn partitions() -> Vec<TopicPartition> {
    ["t0", "t1"].iter().flat_map(|topic| (0..2).map(|number| TopicPartition::new(*topic, number))).collect()
}

fn failed(error: std::io::Error) -> Error {
    Error::io("toy", Path::new(DIR), error)
}

impl Toy {
    fn open(birth: Birth, bug: Option<Bug>) -> Result<Arc<Toy>> {
        let disk: Arc<dyn Disk> = Arc::new(birth.disk.clone());
        disk.create_dir(Path::new(DIR)).map_err(failed)?;
        disk.sync_dir(Path::new("/")).map_err(failed)?;
        let epoch = next_epoch(&*disk)?;
        let mut logs = BTreeMap::new();
        for partition in partitions() {
            let opening = Opening {
                disk: disk.clone(),
                clock: birth.clock.clone(),
                dir: format!("{DIR}/{partition}").into(),
                partition: partition.clone(),
                config: LogConfig { segment_bytes: 8_192, ..LogConfig::default() },
                recovery_point: Offset(0),
                log_start: Offset(0),
                high_watermark: Offset(0),
                clean: false,
                in_doubt: false,
                topic_id: None,
                files: Arc::new(OpenFiles::new(16)),
            };
            logs.insert(partition, Log::open(opening)?);
        }
        let others = birth.voters.iter().copied().filter(|node| *node != birth.node).collect();
        let toy = Arc::new(Toy {
            me: birth.node,
            others,
            bug,
            transport: birth.transport,
            clock: birth.clock,
            epoch,
            logs,
            state: Mutex::default(),
        });
        toy.others.iter().try_for_each(|other| toy.transport.set_peer(*other, Some("sim")))?;
        toy.transport.start(toy.me, Inbox::new(Arc::new(Ear(Arc::downgrade(&toy)))))?;
        Ok(toy)
    }

    fn leads(&self) -> bool {
        self.me == LEADER
    }

    /// Sends each of the others what it has not got, one batch of each partition at least.
    fn push(&self) {
        for (number, (partition, log)) in (0_u8..).zip(&self.logs) {
            for other in &self.others {
                let known = self.state.lock().ends.get(&(*other, partition.clone())).copied();
                let mut frame = BytesMut::new();
                frame.put_u8(number);
                frame.put_u32(self.epoch.0);
                frame.put_u64(log.high_watermark().0);
                if let Some(from) = known.filter(|from| *from < log.flushed()) {
                    let fetch =
                        Fetch { from, bytes_max: 4_000, up_to: UpTo::Offset(log.flushed()), min_one_message: true };
                    if let Ok(fetched) = log.read(fetch) {
                        frame.extend_from_slice(&fetched.batches);
                    }
                }
                // Whoever is not reached gets it later.
                let _ = self.transport.send(*other, Frame::from(frame.freeze()));
            }
        }
    }

    fn commit(&self, partition: &TopicPartition) {
        let log = &self.logs[partition];
        if log.failure().is_some() {
            return;
        }
        let state = self.state.lock();
        let ends = self.others.iter().map(|other| state.ends.get(&(*other, partition.clone())).copied());
        let least = ends.min().flatten().unwrap_or_default().min(log.flushed());
        log.advance_high_watermark(if self.bug == Some(Bug::AcksOnAppend) { log.log_end() } else { least });
    }

    fn handle_push(&self, number: u8, epoch: LeaderEpoch, high_watermark: Offset, batches: &[u8]) -> Result<()> {
        {
            let mut state = self.state.lock();
            if epoch < state.leader_epoch {
                return Ok(());
            }
            state.leader_epoch = epoch;
        }
        let log = self.logs.values().nth(usize::from(number)).expect("a partition of all toys");
        let is_next = crate::record::batches(batches).flatten().next();
        if is_next.is_some_and(|(_, view)| view.header().base_offset == log.log_end()) {
            log.append_verbatim(batches)?;
        }
        if self.bug != Some(Bug::SkipsFlush) {
            log.flush_up_to(log.log_end())?;
        }
        log.advance_high_watermark(high_watermark.min(log.log_end()));
        let mut answer = BytesMut::new();
        answer.put_u8(number);
        answer.put_u64(log.log_end().0);
        let _ = self.transport.send(LEADER, Frame::from(answer.freeze())); // it asks again
        Ok(())
    }

    fn log(&self, partition: &TopicPartition) -> Result<&Log> {
        let unknown = || Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no {partition}"));
        self.logs.get(partition).ok_or_else(unknown)
    }
}

/// Counts the lives, durably.
fn next_epoch(disk: &dyn Disk) -> Result<LeaderEpoch> {
    let path = Path::new(EPOCH_FILE);
    let mut file = disk.open(path);
    if file.is_err() {
        file = disk.create(path, 0);
    }
    let file = file.map_err(failed)?;
    let mut bytes = [0; 4];
    if file.len().map_err(failed)? >= 4 {
        file.read_at(0, &mut bytes).map_err(failed)?;
    }
    let epoch = u32::from_be_bytes(bytes) + 1;
    file.write_at(0, &epoch.to_be_bytes()).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    disk.sync_dir(Path::new(DIR)).map_err(failed)?;
    Ok(LeaderEpoch(epoch))
}

struct Ear(std::sync::Weak<Toy>);

impl Receive for Ear {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        let Some(toy) = self.0.upgrade() else { return };
        let number = |range: std::ops::Range<usize>| {
            frame[range].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        if toy.leads() {
            let (partition, log) = toy.logs.iter().nth(usize::from(frame[0])).expect("a partition of all toys");
            let end = Offset(number(1..9)).min(log.log_end());
            toy.state.lock().ends.insert((from, partition.clone()), end);
            toy.commit(partition);
        } else {
            let epoch = LeaderEpoch(u32::try_from(number(1..5)).expect("four bytes"));
            // A disk that fails: the leader hears nothing of it.
            let _ = toy.handle_push(frame[0], epoch, Offset(number(5..13)), &frame[13..]);
        }
    }

    fn peer_state(&self, _peer: NodeId, _up: bool) {}
}

impl Member for Toy {
    fn tick(&self, now: Instant) -> Option<Instant> {
        let due = self.state.lock().due;
        if now >= due {
            self.state.lock().due = now + TICK;
            if self.leads() {
                self.push();
            }
            assert!(self.bug != Some(Bug::Panics) || self.logs.values().all(|log| log.log_end().0 < 20), "planted");
        }
        Some(self.state.lock().due)
    }

    fn replicas(&self) -> Vec<Replica> {
        let shares = self.bug == Some(Bug::SharesEpoch) && self.me.0 <= 2;
        let leader_epoch = if self.leads() || shares { self.epoch } else { self.state.lock().leader_epoch };
        let replica = |(partition, log): (&TopicPartition, &Log)| Replica {
            partition: partition.clone(),
            leads: self.leads() || shares,
            leader_epoch,
            is_offline: log.failure().is_some(),
            offsets: log.offsets(),
        };
        self.logs.iter().map(replica).collect()
    }

    fn leader(&self, partition: &TopicPartition) -> Option<NodeId> {
        self.logs.contains_key(partition).then_some(LEADER)
    }

    fn incarnation(&self) -> u64 {
        0
    }

    fn decisions(&self, newer_than: Option<u64>) -> Option<(ImageMark, Vec<(TopicPartition, Decision)>)> {
        let all: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let decision = Decision {
            leader: Some(LEADER),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            replicas: all.clone(),
            isr: all,
            elr: Vec::new(),
            last_known_leader: None,
        };
        let decisions = || self.logs.keys().map(|name| (name.clone(), decision.clone())).collect();
        newer_than.is_none().then(|| (ImageMark { offset: 1, ..ImageMark::default() }, decisions()))
    }

    fn append(&self, partition: &TopicPartition, batch: &mut SealedBatch, _acks: Acks) -> Result<Appended> {
        if !self.leads() {
            return Err(Error::new(ErrorCode::NOT_LEADER_OR_FOLLOWER, "a toy that copies"));
        }
        let appended = self.log(partition)?.append(batch, self.epoch, self.clock.realtime())?;
        let (base, end) = (appended.base_offset, appended.last_offset.next());
        Ok(Appended { base, end, leader_epoch: self.epoch, is_duplicate: appended.duplicate })
    }

    fn flush_for_ack(&self, partition: &TopicPartition, end: Offset) -> Result<()> {
        self.log(partition)?.flush_up_to(end)?;
        self.commit(partition);
        if self.bug != Some(Bug::Forgets) {
            self.push();
        }
        Ok(())
    }

    fn judge_ack(&self, partition: &TopicPartition, admitted: LeaderEpoch, end: Offset) -> Result<AckVerdict> {
        assert_eq!(admitted, self.epoch);
        let is_done = self.log(partition)?.high_watermark() >= end && self.bug != Some(Bug::Forgets);
        Ok(if is_done { AckVerdict::Done } else { AckVerdict::Wait })
    }

    fn read(&self, partition: &TopicPartition, fetch: Fetch) -> Result<Bytes> {
        self.log(partition)?.read(fetch).map(|fetched| fetched.batches)
    }

    fn ask(&self, _request: ControllerRequest, _now: Instant, answer: Answer) {
        answer(Err(Error::new(ErrorCode::INVALID_REQUEST, "toys do not change")));
    }

    fn leave(&self, _now: Instant) -> bool {
        true
    }

    fn close(&self) -> Result<bool> {
        self.logs.values().try_for_each(Log::close)?;
        Ok(true)
    }

    fn poll_notice(&self) -> Option<String> {
        None
    }
}
