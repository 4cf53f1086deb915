//! Becoming a member: the metadata log, the parts, the strings between them, the first frames.

use super::super::cluster::{
    FetchReplier, FetchSender, FetchSessions, FetchSettings, Fetchers, IsrProposals, NodeMembership,
    NodeMembershipSettings,
};
use super::super::metadata::{
    has_appointments, MetadataLog, MetadataPeers, MetadataPlace, MetadataRunner, MetadataSettings, StaticSettings,
};
use super::super::replica::Links;
use super::super::{Alarm, Node, World};
use super::describe::Listeners;
use super::hearing::Hearing;
use super::links::{Link, Loopback, MemberLinks};
use super::stop::MayLeave;
use super::Member;
use crate::client::{Calls, Client, ClientParts, ClientSettings, ClusterView};
use crate::config::{ClusterConfig, ControllerMode, EngineConfig};
use crate::controller::{ControllerConfig, Image, QuorumConfig};
use crate::error::{Error, ErrorCode, Result};
use crate::time::Instant;
use crate::transport::{Inbox, Transport};
use crate::types::NodeId;
use parking_lot::{Mutex, RwLock};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// Elections take so many of the quorum's ticks, up to twice as many.
const ELECTION_TICKS: u32 = 10;

impl Node {
    /// Opens a data directory as a member of the cluster that the settings name, and begins to take part: `transport` is started.
    /// What the node does from then on, it does when frames arrive and when it is ticked.
    ///
    /// # Errors
    /// As [`open`](Node::open); INVALID_CONFIG for settings without a node id or a cluster; what the transport says; KAFKA_STORAGE_ERROR when the
    /// metadata log is damaged.
    pub fn open_in_cluster(
        dir: &Path,
        config: EngineConfig,
        world: World,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<Node>> {
        let links = Arc::new(MemberLinks::default());
        let node = Node::open_with(dir, config, world, Some(Arc::clone(&links) as Arc<dyn Links>))?;
        let node = Arc::new(node);
        let member = Member::open(&node, transport)?;
        let _ = links.0.set(Arc::downgrade(&member)); // the first and only time
        let _ = node.member.set(Arc::clone(&member)); // so is this
        member.begin()?;
        Ok(node)
    }

    /// This node's part in its cluster; `None` where it is alone.
    pub(crate) fn member(&self) -> Option<&Arc<Member>> {
        self.member.get()
    }
}

/// Wakes whoever runs the node.
struct NodeAlarm(Weak<Node>);

impl Alarm for NodeAlarm {
    fn wake_by(&self, when: Instant) {
        if let Some(node) = self.0.upgrade() {
            node.house.wake_by(when);
        }
    }
}

impl Member {
    fn open(node: &Arc<Node>, transport: Arc<dyn Transport>) -> Result<Arc<Member>> {
        let house = &node.house;
        let (me, config) = (house.node_id, node.config().cluster.clone());
        let Some(cluster) = config.cluster_id else {
            return Err(Error::new(ErrorCode::INVALID_CONFIG, "cluster.id is needed by a member of a cluster"));
        };
        let (incarnation, seed) = {
            let mut randomness = house.randomness.lock();
            (randomness.u64(1..), randomness.u64(..))
        };
        let now = house.clock.monotonic();
        let is_static = config.mode == ControllerMode::Static;
        let voters: Vec<NodeId> = if is_static {
            Vec::new() // nobody votes, and nobody is registered with
        } else {
            config.voters.iter().map(|(voter, _)| *voter).collect()
        };
        let place = MetadataPlace {
            disk: Arc::clone(&house.disk),
            clock: Arc::clone(&house.clock),
            data_dir: house.dir.clone(),
            segment_bytes: MetadataPlace::SEGMENT_BYTES,
        };
        check_mode(node, &place, is_static)?;
        if voters.contains(&me) {
            MetadataLog::bootstrap(&place, &voters)?;
        }
        // The member holds its parts, and they hold it weakly: so it is made around itself.
        let mut runner = None;
        let member = Arc::new_cyclic(|weak: &Weak<Member>| {
            let link = Link(Weak::clone(weak));
            let peers = Arc::new(link.clone()) as Arc<dyn MetadataPeers>;
            let alarm = Arc::new(NodeAlarm(Arc::downgrade(node))) as Arc<dyn Alarm>;
            let controller = controller_config(node.config());
            runner = Some(if is_static {
                let settings = StaticSettings {
                    me,
                    incarnation,
                    life: house.clock.realtime().0.unsigned_abs(),
                    address: config.address().unwrap_or_default().to_owned(),
                    nodes: config.voters.clone(),
                    controller,
                };
                MetadataRunner::open_static(Arc::clone(&house.disk), &house.dir, settings, peers, Arc::clone(&alarm))
            } else {
                let settings = MetadataSettings { me, controller, quorum: quorum_config(&config), seed };
                MetadataRunner::open(place, settings, peers, Arc::clone(&alarm), now).map(|runner| (runner, false))
            });
            let transport = Arc::new(Loopback { me, inner: transport, link: link.clone() }) as Arc<dyn Transport>;
            let first = NonZeroU64::new(incarnation >> 16).unwrap_or(NonZeroU64::MIN);
            let calls = Arc::new(Calls::numbered_from(first));
            let view = ClusterView::new();
            let wake = Arc::clone(&alarm);
            let client = Client::new(ClientParts {
                transport: Arc::clone(&transport),
                calls: Arc::clone(&calls),
                view: Arc::clone(&view),
                clock: Arc::clone(&house.clock),
                wake_by: Arc::new(move |when| wake.wake_by(when)),
                settings: ClientSettings {
                    client_id: format!("node-{me}"),
                    bootstrap: Vec::new(),
                    request_timeout: config.request_timeout,
                    retry_backoff: config.fetch_backoff,
                    retry_backoff_max: config.fetch_backoff * 10,
                    metadata_max_age: Duration::from_secs(300),
                },
            });
            Member {
                me,
                cluster,
                incarnation,
                node: Arc::downgrade(node),
                clock: Arc::clone(&house.clock),
                fetchers: Fetchers::new(
                    fetch_settings(&config),
                    Arc::new(link.clone()) as Arc<dyn FetchSender>,
                    Arc::clone(&alarm),
                ),
                sessions: FetchSessions::new(
                    Arc::new(link.clone()) as Arc<dyn FetchReplier>,
                    Arc::clone(&alarm),
                    seed.rotate_left(17),
                ),
                membership: Mutex::new(NodeMembership::new(membership_settings(
                    me,
                    incarnation,
                    node,
                    &config,
                    &voters,
                ))),
                proposals: Mutex::new(IsrProposals::new(
                    me,
                    // A leader's ISR is its own.
                    if is_static { vec![me] } else { voters },
                    config.fetch_backoff,
                    config.quorum_request_timeout,
                )),
                clients: super::clients::of(&link, &alarm),
                image: RwLock::new(Arc::new(Image::default())),
                node_epoch: AtomicU64::new(0),
                hearing: Hearing::of(config.session_timeout),
                leaders_due: Mutex::new(now),
                is_complete: AtomicBool::new(false),
                obeys_again_at: Mutex::new(None),
                is_stopped: AtomicBool::new(false),
                may_leave: MayLeave::default(),
                listeners: Listeners::default(),
                link,
                transport,
                calls,
                client,
                view,
                runner: OnceLock::new(),
                config,
            }
        });
        let (runner, knows_all) = runner.expect("was just opened")?;
        member.is_complete.store(knows_all, Ordering::Release);
        let _ = member.runner.set(runner); // nobody else has it yet
        Ok(member)
    }

    fn begin(self: &Arc<Self>) -> Result<()> {
        let link = Arc::new(self.link.clone());
        for (voter, address) in self.config.voters.iter().filter(|(voter, _)| *voter != self.me) {
            self.transport.set_peer(*voter, Some(address))?;
        }
        self.transport.start(self.me, Inbox::new(link.clone()))?;
        self.runner().subscribe(link);
        if self.is_static() {
            self.begin_static();
        }
        self.run_errands();
        Ok(())
    }
}

/// A directory has one authority for good: another one would not know its topics, and take them for deleted.
fn check_mode(node: &Node, place: &MetadataPlace, is_static: bool) -> Result<()> {
    let house = &node.house;
    let is_appointed = has_appointments(&*house.disk, &house.dir)?;
    let refuse = |text: &str| Err(Error::new(ErrorCode::INVALID_CONFIG, format!("{}: {text}", house.dir.display())));
    if is_appointed && !is_static {
        return refuse("its leaders were appointed; open it with controller.mode=static");
    }
    let has_quorum = house.disk.exists(&place.dir()).map_err(|e| Error::io("look for", &place.dir(), e))?;
    if is_static && !is_appointed && (has_quorum || node.has_cluster_topics()) {
        return refuse(
            "it belongs to a cluster with a quorum; controller.mode=static begins with a directory of its own",
        );
    }
    Ok(())
}

fn controller_config(config: &EngineConfig) -> ControllerConfig {
    let cluster = &config.cluster;
    ControllerConfig {
        session_timeout: cluster.session_timeout,
        leader_imbalance_check_interval: cluster.rebalances_leaders.then_some(cluster.rebalance_interval),
        replication_factor: cluster.replication_default.into(),
        partitions: config.partitions_default,
        min_insync_replicas: config.topic_defaults.min_insync_replicas,
        unclean_leader_election: cluster.unclean_leader_election,
        ..ControllerConfig::default()
    }
}

fn quorum_config(config: &ClusterConfig) -> QuorumConfig {
    // Raft has one number for both: a voter that hears nothing for so long stands, and stands again.
    let timeout = config.quorum_election_timeout.max(config.quorum_fetch_timeout);
    QuorumConfig { tick: timeout / ELECTION_TICKS, election_ticks: ELECTION_TICKS as usize, ..QuorumConfig::default() }
}

fn fetch_settings(config: &ClusterConfig) -> FetchSettings {
    FetchSettings {
        fetchers: config.fetchers,
        response_bytes_max: config.fetch_response_bytes_max,
        wait_max: config.fetch_wait_max,
        backoff: config.fetch_backoff,
        request_timeout: config.session_timeout,
        catch_up_bytes_per_second: config.catch_up_bytes_per_second,
    }
}

fn membership_settings(
    me: NodeId,
    incarnation: u64,
    node: &Node,
    config: &ClusterConfig,
    voters: &[NodeId],
) -> NodeMembershipSettings {
    NodeMembershipSettings {
        node: me,
        incarnation,
        address: config.address().unwrap_or_default().to_owned(),
        rack: config.rack.clone(),
        holds_data: config.holds_data,
        previous_epoch: node.house.previous_epoch,
        voters: voters.to_vec(),
        heartbeat_interval: config.heartbeat_interval,
        session_timeout: config.session_timeout,
        backoff: config.fetch_backoff,
    }
}
