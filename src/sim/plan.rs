//! What one seed stands for: how many nodes, how they are set up, who works on them and what goes wrong.

use super::network::Weather;
use crate::types::{Acks, NodeId};
use std::time::Duration;

/// Everything that is drawn before the first event.
#[derive(Clone, Debug)]
pub struct Plan {
    pub nodes: Vec<NodeId>,
    pub topics: Vec<TopicPlan>,
    /// All topics have `flush.messages=1`.
    pub flushes: bool,
    /// Of every node, by Kafka's names.
    pub settings: Vec<(&'static str, String)>,
    pub producers: Vec<ProducerPlan>,
    pub readers: usize,
    pub weather: Weather,
    pub troubles: Troubles,
    /// Things go wrong from the first moment on, and not only once everything is set up.
    pub is_rough_from_the_start: bool,
    /// How long things go wrong.
    pub act: Duration,
}

#[derive(Clone, Debug)]
pub struct TopicPlan {
    pub name: String,
    pub partitions: u32,
    pub replication: u32,
    pub min_insync: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct ProducerPlan {
    pub acks: Acks,
    pub is_idempotent: bool,
    /// Mean time between two sends.
    pub pause: Duration,
}

/// How much of each kind of trouble there is: weights, and the mean time between two troubles of any kind.
#[derive(Clone, Debug)]
pub struct Troubles {
    pub every: Duration,
    pub kill: u32,
    pub power_cut: u32,
    pub blackout: u32,
    pub pause: u32,
    pub cut: u32,
    pub isolation: u32,
    pub reset: u32,
    pub disk_error: u32,
    pub disk_death: u32,
    pub wall_jump: u32,
    /// A leader is deposed for a moment, and does not hear of it.
    pub flip: u32,
    pub election: u32,
    pub reassignment: u32,
    pub growth: u32,
    pub min_insync: u32,
    pub leave: u32,
}

/// What may be chosen from outside; the rest is the seed's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wish {
    /// How many nodes there are; else three, or now and then five.
    pub nodes: Option<u32>,
}

impl Plan {
    #[must_use]
    pub fn draw(rng: &mut fastrand::Rng, wish: Wish) -> Plan {
        let count = wish.nodes.unwrap_or_else(|| if rng.u8(..8) == 0 { 5 } else { 3 });
        let flushes = rng.bool();
        let topics = (0..rng.u32(1..=2)).map(|number| draw_topic(number, count, rng)).collect();
        let producers = (0..rng.usize(2..=4)).map(|_| draw_producer(rng)).collect();
        Plan {
            nodes: (1..=count).map(NodeId).collect(),
            topics,
            flushes,
            settings: draw_settings(flushes, rng),
            producers,
            readers: rng.usize(1..=2),
            weather: Weather::any(rng),
            troubles: Troubles::draw(rng),
            is_rough_from_the_start: rng.u8(..8) == 0,
            act: Duration::from_millis(rng.u64(2_000..8_000)),
        }
    }
}

fn draw_topic(number: u32, nodes: u32, rng: &mut fastrand::Rng) -> TopicPlan {
    let replication = nodes.min(3);
    TopicPlan {
        name: format!("t{number}"),
        partitions: rng.u32(1..=2),
        replication,
        min_insync: [1, 2, 2, 2, replication][rng.usize(..5)].min(replication),
    }
}

fn draw_producer(rng: &mut fastrand::Rng) -> ProducerPlan {
    let acks = [Acks::All, Acks::All, Acks::All, Acks::Leader, Acks::None][rng.usize(..5)];
    let is_idempotent = acks == Acks::All && rng.bool();
    ProducerPlan { acks, is_idempotent, pause: Duration::from_millis([1, 5, 20, 100][rng.usize(..4)]) }
}

fn draw_settings(flushes: bool, rng: &mut fastrand::Rng) -> Vec<(&'static str, String)> {
    let heartbeat = rng.u32(50..200);
    let mut settings = vec![
        ("log.segment.bytes", rng.u32(2_048..32_768).to_string()),
        ("log.index.interval.bytes", rng.u32(0..2_000).to_string()),
        ("log.flush.interval.ms", [5, 50, 1_000, 100_000][rng.usize(..4)].to_string()),
        ("replica.high.watermark.checkpoint.interval.ms", [100, 5_000][rng.usize(..2)].to_string()),
        ("log.flush.offset.checkpoint.interval.ms", [100, 60_000][rng.usize(..2)].to_string()),
        ("replica.lag.time.max.ms", rng.u32(300..2_000).to_string()),
        ("replica.fetch.wait.max.ms", rng.u32(20..300).to_string()),
        ("replica.fetch.backoff.ms", rng.u32(5..100).to_string()),
        ("replica.fetch.max.bytes", [200, 2_000, 1_000_000][rng.usize(..3)].to_string()),
        ("num.replica.fetchers", rng.u32(1..=2).to_string()),
        ("broker.heartbeat.interval.ms", heartbeat.to_string()),
        ("broker.session.timeout.ms", rng.u32((3 * heartbeat).max(300)..1_200).to_string()),
        ("controller.quorum.election.timeout.ms", rng.u32(200..600).to_string()),
        ("controller.quorum.fetch.timeout.ms", rng.u32(200..600).to_string()),
        ("controller.quorum.request.timeout.ms", rng.u32(100..500).to_string()),
        ("request.timeout.ms", rng.u32(300..1_500).to_string()),
        ("auto.leader.rebalance.enable", rng.bool().to_string()),
        ("leader.imbalance.check.interval.seconds", "2".to_owned()),
    ];
    if flushes {
        settings.push(("log.flush.interval.messages", "1".to_owned()));
    }
    settings
}

impl Troubles {
    /// Some kinds not at all, some often.
    fn draw(rng: &mut fastrand::Rng) -> Troubles {
        let every = Duration::from_millis([50, 200, 200, 500, 1_500][rng.usize(..5)]);
        let mut weight = || [0, 0, 1, 3, 10][rng.usize(..5)];
        Troubles {
            every,
            kill: weight(),
            power_cut: weight(),
            blackout: weight().min(2),
            pause: weight(),
            cut: weight(),
            isolation: weight(),
            reset: weight(),
            disk_error: weight(),
            disk_death: weight(),
            wall_jump: weight() / 3,
            flip: weight(),
            election: weight(),
            reassignment: weight(),
            growth: weight() / 3,
            min_insync: weight() / 3,
            leave: weight() / 3,
        }
    }
}
