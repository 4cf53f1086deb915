//! The controller: joins the quorum and the decisions. One node's is active, the others answer NOT_CONTROLLER and follow the log.
//!
//! While proposals are in flight the active controller decides on a speculative image that has them already (KRaft's in-memory
//! snapshot registry). It is dropped with the leadership; the committed image never knew.

use super::change::Change;
use super::decide::{ControllerConfig, Decider, Outcome};
use super::image::Image;
use super::membership::Membership;
use super::metadata::MetadataRecord;
use super::quorum::{ProposalId, Quorum, QuorumOutput};
use super::raft_message::{Persist, RaftMessage, Restored};
use super::request::{ControllerEvent, ControllerRequest, ControllerResponse, Heartbeat, NodeSeat, Reply};
use super::sessions::Sessions;
use super::timing::QuorumConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::types::NodeId;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

mod committed;

/// Requests that may wait for their records to be committed.
pub(crate) const PENDING_MAX: usize = 10_000;
/// Nodes that get the metadata and do not vote; who comes later is registered, and never caught up.
const LEARNERS_MAX: usize = 1_000;

/// What the node has to do, in this order.
#[derive(Debug)]
pub(crate) enum ControllerOutput {
    Persist(Persist),
    Send {
        to: NodeId,
        message: RaftMessage,
    },
    Reply {
        to: NodeId,
        request_id: u64,
        response: ControllerResponse,
    },
    /// The image stands at `offset` now.
    ImageChanged {
        offset: u64,
        changes: Vec<Change>,
    },
    LeaderChanged {
        leader: Option<NodeId>,
        term: u64,
    },
    MembershipChanged(Membership),
    /// For the operator's log.
    Event(ControllerEvent),
    /// This node's quorum is over: its log could not be written, or makes no sense.
    Stopped(Error),
}

struct Pending {
    proposal: ProposalId,
    /// Who asked; `None` for what the controller does by itself.
    asked: Option<(NodeId, u64)>,
    reply: Reply,
    events: Vec<ControllerEvent>,
}

/// What only the active controller has.
struct Active {
    image: Image,
    sessions: Sessions,
    rebalance_at: Option<Instant>,
    sweep_at: Instant,
}

pub(crate) struct Controller {
    config: ControllerConfig,
    snapshot_entries: u64,
    pub(super) quorum: Quorum,
    image: Image,
    active: Option<Active>,
    pending: VecDeque<Pending>,
    outputs: VecDeque<ControllerOutput>,
    unlinked: BTreeSet<NodeId>, // registered, and their connection has ended
    rng: fastrand::Rng,
}

impl Controller {
    /// Opens with what the node found on its disk.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR, CORRUPT_MESSAGE or UNSUPPORTED_VERSION: what was found does not fit together or cannot be read.
    pub fn open(
        me: NodeId,
        config: ControllerConfig,
        quorum_config: QuorumConfig,
        restored: &Restored,
        seed: u64,
        now: Instant,
    ) -> Result<Controller> {
        let image = match &restored.snapshot {
            Some(snapshot) => Image::from_records(snapshot.index, &super::decode_records(&snapshot.records)?)?,
            None => Image::default(),
        };
        let snapshot_entries = quorum_config.snapshot_entries;
        let quorum = Quorum::open(me, quorum_config, restored, seed, now)?;
        let rng = fastrand::Rng::with_seed(seed.rotate_left(32));
        let (active, pending, outputs, unlinked) = (None, VecDeque::new(), VecDeque::new(), BTreeSet::new());
        let mut controller =
            Controller { config, snapshot_entries, quorum, image, active, pending, outputs, unlinked, rng };
        controller.drain(now);
        Ok(controller)
    }

    pub fn handle_message(&mut self, from: NodeId, message: &RaftMessage, now: Instant) {
        self.quorum.handle_message(from, message);
        self.drain(now);
    }

    /// What [`Persist`] asked for is durable, up to this number.
    pub fn handle_persisted(&mut self, number: u64, now: Instant) {
        self.quorum.handle_persisted(number);
        self.drain(now);
    }

    /// It could not be made durable.
    pub fn handle_storage_error(&mut self, error: Error, now: Instant) {
        self.quorum.handle_storage_error(error);
        self.drain(now);
    }

    /// A request of a node (this one's own come the same way). The answer comes as an output, once what it says is committed.
    pub fn handle_request(&mut self, from: NodeId, request_id: u64, request: &ControllerRequest, now: Instant) {
        let asked = (from, request_id);
        if let Err(error) = self.decide(request, asked, now) {
            self.answer(asked, Err(error), self.image.offset());
        }
        self.drain(now);
    }

    /// The connection with another node has begun or ended. One that ends shortens the node's session.
    pub fn handle_link(&mut self, node: NodeId, up: bool, now: Instant) {
        if up {
            self.unlinked.remove(&node);
        } else if self.image.node(node).is_some() {
            self.unlinked.insert(node);
            self.active.iter_mut().for_each(|active| active.sessions.handle_link_lost(node, now));
        }
    }

    /// For so long this node could not hear others, and does not say of them that they were silent.
    pub fn handle_deaf(&mut self, time: Duration) {
        self.active.iter_mut().for_each(|active| active.sessions.handle_deaf(time));
    }

    /// Time has passed: ticks, sessions, sweeps.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.quorum.handle_timeout(now);
        self.drain(now);
        self.handle_due(now);
        self.drain(now);
    }

    /// When to call [`handle_timeout`](Controller::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let active = self.active.as_ref();
        let session = active.and_then(|active| active.sessions.poll_timeout());
        let rebalance = active.and_then(|active| active.rebalance_at);
        let sweep = active.map(|active| active.sweep_at);
        [self.quorum.poll_timeout(), session, rebalance, sweep].into_iter().flatten().min()
    }

    pub fn poll_output(&mut self) -> Option<ControllerOutput> {
        self.outputs.pop_front()
    }

    /// The committed image.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The quorum's newest term.
    pub fn term(&self) -> u64 {
        self.quorum.term()
    }

    /// Whether this node decides: it leads, and has applied everything that was decided before its term.
    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    pub fn leader(&self) -> Option<NodeId> {
        self.quorum.leader()
    }

    pub fn membership(&self) -> &Membership {
        self.quorum.membership()
    }

    fn decide(&mut self, request: &ControllerRequest, asked: (NodeId, u64), now: Instant) -> Result<()> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Error::new(ErrorCode::REQUEST_TIMED_OUT, format!("{PENDING_MAX} requests wait already")));
        }
        if let ControllerRequest::ChangeVoters { node, seat } = request {
            return self.change_voters(*node, *seat, asked);
        }
        if let ControllerRequest::DescribeQuorum = request {
            let state = self.describe_quorum().ok_or_else(not_controller)?;
            self.answer(asked, Ok(Reply::Quorum(state)), self.image.offset());
            return Ok(());
        }
        let outcome = self.with_decider(now, |decider| decider.decide(request)).ok_or_else(not_controller)??;
        match request {
            ControllerRequest::Heartbeat(heartbeat) => {
                self.handle_heartbeat(heartbeat, outcome, asked, now)?;
                self.let_learn(heartbeat.node);
                Ok(())
            }
            ControllerRequest::RegisterNode(register) => {
                self.propose(outcome, Some(asked))?;
                self.let_learn(register.node);
                Ok(())
            }
            _ => self.propose(outcome, Some(asked)),
        }
    }

    /// Whoever is registered gets the metadata, as Kafka's observers do without asking.
    fn let_learn(&mut self, node: NodeId) {
        let Membership { voters, learners } = self.quorum.membership();
        if voters.contains(&node) || learners.contains(&node) || learners.len() >= LEARNERS_MAX {
            return;
        }
        // Another change may be under way: its next heartbeat asks again.
        let _ = self.quorum.propose_seat(node, NodeSeat::Learner);
    }

    fn with_decider<T>(&mut self, now: Instant, decide: impl FnOnce(&Decider<'_>) -> T) -> Option<T> {
        let lot = self.rng.u64(..);
        let active = self.active.as_ref()?;
        let offset_next = self.quorum.index_next();
        let Active { image, sessions, .. } = active;
        Some(decide(&Decider { image, config: &self.config, sessions, now, offset_next, lot }))
    }

    fn handle_heartbeat(
        &mut self,
        heartbeat: &Heartbeat,
        outcome: Outcome,
        asked: (NodeId, u64),
        now: Instant,
    ) -> Result<()> {
        let Heartbeat { node, node_epoch, metadata_offset, wants_shutdown, .. } = *heartbeat;
        // What this heartbeat changes; and if another controller has changed that, what there is by now: perhaps nothing comes after it.
        let leaves_at = self.quorum.index_next() - u64::from(outcome.records.is_empty());
        let stays_fenced = matches!(outcome.reply, Reply::Heartbeat { is_fenced: true, .. });
        if let Some(active) = self.active.as_mut().filter(|_| !stays_fenced) {
            active.sessions.handle_heartbeat(node, node_epoch, metadata_offset, now);
            if wants_shutdown {
                active.sessions.handle_leaving(node, leaves_at);
            }
        }
        if outcome.records.is_empty() {
            // A heartbeat that changes nothing is soft state: it waits for nobody.
            self.answer(asked, Ok(outcome.reply), self.image.offset());
            return Ok(());
        }
        self.propose(outcome, Some(asked))
    }

    fn change_voters(&mut self, node: NodeId, seat: NodeSeat, asked: (NodeId, u64)) -> Result<()> {
        if self.active.is_none() {
            return Err(not_controller());
        }
        if seat != NodeSeat::Voter && self.quorum.leader() == Some(node) {
            // A leader hands over before it goes; whoever asked asks the next one.
            if let Some(next) = self.quorum.membership().voters.iter().copied().find(|voter| *voter != node) {
                self.quorum.transfer_leadership(next);
                return Err(Error::new(
                    ErrorCode::NOT_CONTROLLER,
                    format!("the controller hands over to node {next} first"),
                ));
            }
        }
        let proposal = self.quorum.propose_seat(node, seat)?;
        self.pending.push_back(Pending { proposal, asked: Some(asked), reply: Reply::Done, events: Vec::new() });
        Ok(())
    }

    /// Its answer waits; one without records waits for what it was decided upon.
    fn propose(&mut self, outcome: Outcome, asked: Option<(NodeId, u64)>) -> Result<()> {
        let Outcome { records, reply, events } = outcome;
        if records.is_empty() {
            match (self.pending.back(), asked) {
                (Some(last), Some(_)) => {
                    let proposal = last.proposal;
                    self.pending.push_back(Pending { proposal, asked, reply, events });
                }
                (None, Some(asked)) => self.answer(asked, Ok(reply), self.image.offset()),
                (_, None) => {}
            }
            return Ok(());
        }
        let proposal = self.quorum.propose(&records)?;
        self.pending.push_back(Pending { proposal, asked, reply, events });
        if let Some(active) = &mut self.active {
            // The quorum may be one node and have committed it by now; the speculative image comes first all the same.
            if let Err(error) = active.image.apply_entry(proposal.index, &records) {
                self.quorum.handle_storage_error(error.within("a decision that is not possible"));
            }
        }
        Ok(())
    }

    fn handle_due(&mut self, now: Instant) {
        let expired = self.active.as_ref().map(|active| active.sessions.expired(now)).unwrap_or_default();
        for node in expired {
            let Some(outcome) = self.with_decider(now, |decider| decider.fence_node(node)) else { return };
            if self.propose(outcome, None).is_ok() {
                self.active.iter_mut().for_each(|active| active.sessions.forget(node));
            }
        }
        if self.active.as_ref().is_some_and(|active| active.rebalance_at.is_some_and(|at| now >= at)) {
            let next = self.config.leader_imbalance_check_interval.map(|every| now + every);
            self.active.iter_mut().for_each(|active| active.rebalance_at = next);
            self.sweep(now, |decider| decider.rebalance_leaders());
        }
        if self.active.as_ref().is_some_and(|active| now >= active.sweep_at) {
            let next = now + self.config.unclean_leader_election_interval;
            self.active.iter_mut().for_each(|active| active.sweep_at = next);
            self.sweep(now, |decider| decider.elect_leaderless());
        }
    }

    fn sweep(&mut self, now: Instant, decide: impl FnOnce(&Decider<'_>) -> Outcome) {
        if let Some(outcome) = self.with_decider(now, decide) {
            // A refusal means that the quorum is busy or gone; the next sweep finds the same.
            self.propose(outcome, None).unwrap_or(());
        }
    }
}

fn not_controller() -> Error {
    Error::new(ErrorCode::NOT_CONTROLLER, "this node is not the active controller")
}
