//! Runs one node's controller: takes calls from any thread, writes, and tells the world, in that order.
//!
//! One lock around the core. Whoever finds it taken leaves his call in the inbox (`inbox.rs`), and the holder, who may be waiting for the
//! disk, does it next; so no reader of a connection ever waits for a sync that is not its own, and who brings a sign of life for none at
//! all. What is to be told is told after the lock is released, by one thread at a time, in order.

use super::core::{Call, Core};
use super::inbox::{Bringer, Inbox, INBOX_MAX};
use super::log::MetadataLog;
use super::place::MetadataPlace;
use super::reports::{MetadataPeers, MetadataSubscriber, Report, Waiter};
use super::static_core::{StaticCore, StaticSettings};
use crate::controller::{
    Appointment, Controller, ControllerConfig, ControllerRequest, ControllerResponse, Image, Membership, QuorumConfig,
    QuorumProgress, RaftMessage,
};
use crate::disk::Disk;
use crate::error::{Error, ErrorCode, Result};
use crate::node::Alarm;
use crate::time::Instant;
use crate::types::NodeId;
use parking_lot::{Mutex, RwLock};
use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// So often a tick looks whether somebody is still at work.
const BUSY_INTERVAL: Duration = Duration::from_millis(10);

/// What this node knows of the quorum, for everybody to look at.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Committed.
    pub image: Arc<Image>,
    pub leader: Option<NodeId>,
    pub term: u64,
    /// This node decides.
    pub is_active: bool,
    pub membership: Membership,
    /// When to call [`tick`](MetadataRunner::tick) next; `None` once it is over.
    pub timeout: Option<Instant>,
}

/// What opening needs besides the log.
#[derive(Clone, Debug)]
pub(crate) struct MetadataSettings {
    pub me: NodeId,
    pub controller: ControllerConfig,
    pub quorum: QuorumConfig,
    /// Decides election time-outs and placements.
    pub seed: u64,
}

/// Who decides.
enum AnyCore {
    /// The voters, by majority.
    Quorum(Box<Core>),
    /// This node's host.
    Static(Box<StaticCore>),
}

/// One node's part in the metadata. Every call from any thread.
pub(crate) struct MetadataRunner {
    core: Mutex<AnyCore>,
    inbox: Inbox,
    standing: RwLock<Standing>,
    reports: Mutex<VecDeque<Report>>,
    /// Held by whoever tells; nobody waits for it.
    subscribers: Mutex<Vec<Arc<dyn MetadataSubscriber>>>,
    peers: Arc<dyn MetadataPeers>,
    /// Of whoever ticks.
    alarm: Arc<dyn Alarm>,
}

impl fmt::Debug for MetadataRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataRunner").field("leader", &self.standing.read().leader).finish_non_exhaustive()
    }
}

impl MetadataRunner {
    /// Opens the log and the controller on it. Nothing is sent before the first [`tick`](MetadataRunner::tick) or message.
    ///
    /// # Errors
    /// As [`MetadataLog::open`], and KAFKA_STORAGE_ERROR when what was found does not fit together: entries that were committed are
    /// missing, or a term that was voted in.
    pub fn open(
        place: MetadataPlace,
        settings: MetadataSettings,
        peers: Arc<dyn MetadataPeers>,
        alarm: Arc<dyn Alarm>,
        now: Instant,
    ) -> Result<MetadataRunner> {
        let (log, restored) = MetadataLog::open(place)?;
        let MetadataSettings { me, controller, quorum, seed } = settings;
        let controller = Controller::open(me, controller, quorum, &restored, seed, now)?;
        let mut core = Core::new(me, controller, log);
        let mut reports = Vec::new();
        core.carry_out(now, &mut reports);
        let image = Arc::new(core.controller.image().clone());
        Ok(MetadataRunner::of(AnyCore::Quorum(Box::new(core)), image, reports, (peers, alarm)))
    }

    /// Opens what the host of this node has said so far; there is no quorum. Says also whether anything was there: then whatever the
    /// image does not have is gone.
    ///
    /// # Errors
    /// CORRUPT_MESSAGE, UNSUPPORTED_VERSION, KAFKA_STORAGE_ERROR: what was said before cannot be read, or this life not be noted.
    pub fn open_static(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        settings: StaticSettings,
        peers: Arc<dyn MetadataPeers>,
        alarm: Arc<dyn Alarm>,
    ) -> Result<(MetadataRunner, bool)> {
        let core = StaticCore::open(disk, data_dir, settings)?;
        let (was_there, image) = (core.was_there(), Arc::new(core.image().clone()));
        Ok((MetadataRunner::of(AnyCore::Static(Box::new(core)), image, Vec::new(), (peers, alarm)), was_there))
    }

    fn of(
        core: AnyCore,
        image: Arc<Image>,
        reports: Vec<Report>,
        (peers, alarm): (Arc<dyn MetadataPeers>, Arc<dyn Alarm>),
    ) -> MetadataRunner {
        MetadataRunner {
            standing: RwLock::new(core.standing(image)),
            core: Mutex::new(core),
            inbox: Inbox::default(),
            reports: Mutex::new(reports.into()),
            subscribers: Mutex::default(),
            peers,
            alarm,
        }
    }

    /// A message of another node's quorum.
    pub fn handle_message(&self, from: NodeId, message: RaftMessage, by: Bringer, now: Instant) {
        // A full inbox loses it, which the network might have done as well.
        let _ = self.inbox.post(Call::Message { from, message }, now);
        self.work_after(by, now);
    }

    /// A request of another node; the answer goes out by [`MetadataPeers::reply`]. Of the id, 63 bits are kept.
    pub fn handle_request(&self, from: NodeId, request_id: u64, request: ControllerRequest, by: Bringer, now: Instant) {
        let by = by.with(&request);
        if let Err(call) = self.inbox.post(Call::Request { from, request_id, request }, now) {
            self.refuse(*call);
        }
        self.work_after(by, now);
    }

    /// A request of this node: `waiter` gets the answer, with no lock held, on the thread that brings it; maybe before this returns.
    /// It is dropped unheard if the runner is.
    pub fn ask(&self, request: ControllerRequest, waiter: Waiter, now: Instant) {
        let by = Bringer::Stays.with(&request);
        if let Err(call) = self.inbox.post(Call::Ask { request, waiter }, now) {
            self.refuse(*call);
        }
        self.work_after(by, now);
    }

    /// The host of this node appoints; as [`ask`](MetadataRunner::ask) otherwise. STATE where there is a quorum.
    pub fn appoint(&self, appointment: Appointment, waiter: Waiter, now: Instant) {
        if let Err(call) = self.inbox.post(Call::Appoint { appointment, waiter }, now) {
            self.refuse(*call);
        }
        self.work();
    }

    /// The connection with another node has begun or ended.
    pub fn handle_link(&self, node: NodeId, up: bool, now: Instant) {
        // A full inbox loses it; then the session takes its time.
        let _ = self.inbox.post(Call::Link { node, up }, now);
        self.work();
    }

    /// Time has passed; for `deaf` of it, since the last tick, nobody could be heard here. Says when to call again; `None` once it is over.
    pub fn tick(&self, now: Instant, deaf: Duration) -> Option<Instant> {
        self.inbox.post_tick(now, deaf);
        self.work();
        let timeout = self.standing.read().timeout?;
        // Whoever is at work may be waiting for the disk, and what is due is due until he is back.
        Some(if self.inbox.has_tick() { timeout.max(now + BUSY_INTERVAL) } else { timeout })
    }

    /// Follows the metadata from now on, beginning with the image as it stands.
    pub fn subscribe(&self, subscriber: Arc<dyn MetadataSubscriber>) {
        {
            // Held, so that no image comes between.
            let _core = self.core.lock();
            let image = self.standing.read().image.clone();
            self.reports.lock().push_back(Report::Welcome { subscriber, image });
        }
        self.work();
    }

    /// Shows all subscribers the whole image once more, as if everything in it were new.
    pub fn repeat_image(&self) {
        {
            // Held, so that no image comes between.
            let _core = self.core.lock();
            let image = self.standing.read().image.clone();
            let changes = image.changes_since(&Image::default());
            self.reports.lock().push_back(Report::Image { image, changes });
        }
        self.work();
    }

    /// What this node knows now.
    pub fn standing(&self) -> Standing {
        self.standing.read().clone()
    }

    /// How far the metadata are known.
    pub fn image_offset(&self) -> u64 {
        self.standing.read().image.offset()
    }

    /// How far everybody's copy is, by number; empty where this node does not lead.
    pub fn quorum_replicas(&self) -> Vec<QuorumProgress> {
        let replicas = match &*self.core.lock() {
            AnyCore::Quorum(core) => core.controller.quorum_replicas(),
            AnyCore::Static(_) => Vec::new(),
        };
        // Whoever found the core taken has left his call.
        self.work();
        replicas
    }

    /// Leaves the quorum in order. Requests that come later are answered NOT_CONTROLLER.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR: the next start has more to look at; nothing that was acknowledged is lost by that.
    pub fn close(&self, now: Instant) -> Result<()> {
        let closed = {
            let mut reports = Vec::new();
            let mut core = self.core.lock();
            let closed = core.close(now, &mut reports);
            self.publish(&core, reports);
            closed
        };
        self.work();
        closed
    }

    fn refuse(&self, call: Call) {
        let error = Error::new(ErrorCode::REQUEST_TIMED_OUT, format!("{INBOX_MAX} calls of the quorum wait already"));
        let Standing { image, leader, .. } = self.standing();
        let response = ControllerResponse { result: Err(error), leader, metadata_offset: image.offset() };
        match call {
            Call::Ask { waiter, .. } | Call::Appoint { waiter, .. } => {
                self.reports.lock().push_back(Report::Answer { waiter, response })
            }
            Call::Request { from: to, request_id, .. } => {
                self.reports.lock().push_back(Report::Reply { to, request_id, response });
            }
            Call::Message { .. } | Call::Link { .. } | Call::Tick { .. } => {}
        }
    }

    fn work_after(&self, by: Bringer, now: Instant) {
        match by {
            Bringer::Stays => self.work(),
            Bringer::Leaves => self.alarm.wake_by(now),
        }
    }

    /// Does what waits in the inbox, unless somebody is at it; then tells.
    fn work(&self) {
        loop {
            // Whoever has the core looks into the inbox once more after he has let it go.
            let Some(mut core) = self.core.try_lock() else { break };
            let mut reports = Vec::new();
            while let Some((call, now)) = self.inbox.next() {
                core.handle(call, now, &mut reports);
            }
            self.publish(&core, reports);
            drop(core);
            if self.inbox.is_empty() {
                break;
            }
        }
        self.tell();
    }

    /// Under the core's lock, so that images and reports keep their order.
    fn publish(&self, core: &AnyCore, reports: Vec<Report>) {
        let newest = reports.iter().rev().find_map(|report| match report {
            Report::Image { image, .. } => Some(image.clone()),
            _ => None,
        });
        let mut standing = self.standing.write();
        let image = newest.unwrap_or_else(|| standing.image.clone());
        *standing = core.standing(image);
        drop(standing);
        self.reports.lock().extend(reports);
    }

    fn tell(&self) {
        loop {
            // Somebody tells already, on this thread further up or on another: he will find what we have to say.
            let Some(mut subscribers) = self.subscribers.try_lock() else { return };
            while let Some(report) = self.next_report() {
                report.deliver(&*self.peers, &mut subscribers);
            }
            drop(subscribers);
            if self.reports.lock().is_empty() {
                return;
            }
        }
    }

    fn next_report(&self) -> Option<Report> {
        self.reports.lock().pop_front()
    }
}

impl AnyCore {
    fn handle(&mut self, call: Call, now: Instant, reports: &mut Vec<Report>) {
        match self {
            AnyCore::Quorum(core) => core.handle(call, now, reports),
            AnyCore::Static(core) => core.handle(call, now, reports),
        }
    }

    fn close(&mut self, now: Instant, reports: &mut Vec<Report>) -> Result<()> {
        match self {
            AnyCore::Quorum(core) => core.close(now, reports),
            AnyCore::Static(core) => {
                core.close();
                Ok(())
            }
        }
    }

    fn standing(&self, image: Arc<Image>) -> Standing {
        match self {
            AnyCore::Quorum(core) => core.standing(image),
            AnyCore::Static(core) => core.standing(image),
        }
    }
}
