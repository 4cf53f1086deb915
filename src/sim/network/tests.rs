//! What the network promises its nodes, and that it does its worst.

use super::*;
use crate::error::ErrorCode;
use crate::transport::{Frame, Receive, Transport};

#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    Up(u32),
    Down(u32),
    Frame(u32, Vec<u8>),
}

#[derive(Default)]
struct Ear(Mutex<Vec<Heard>>);

impl Receive for Ear {
    fn deliver(&self, from: NodeId, frame: Bytes) {
        self.0.lock().push(Heard::Frame(from.0, frame.to_vec()));
    }
    fn peer_state(&self, peer: NodeId, up: bool) {
        self.0.lock().push(if up { Heard::Up(peer.0) } else { Heard::Down(peer.0) });
    }
}

struct Place {
    network: SimNetwork,
    now: Instant,
    disks: Vec<SimDisk>,
    ears: Vec<Arc<Ear>>,
    ends: Vec<SimTransport>,
}

const ONE: NodeId = NodeId(0);
const TWO: NodeId = NodeId(1);

impl Place {
    /// Nodes that know each other and are connected.
    fn new(seed: u64, nodes: u32, weather: Weather) -> Place {
        let network = SimNetwork::new(seed, weather, Trace::new(None));
        let disks = (0..nodes).map(|n| SimDisk::new(u64::from(n))).collect();
        let mut place = Place { network, now: Instant(0), disks, ears: Vec::new(), ends: Vec::new() };
        (0..nodes).for_each(|n| place.start(n as usize));
        place.run(Duration::from_secs(1));
        place
    }

    fn start(&mut self, at: usize) {
        let node = NodeId(u32::try_from(at).expect("few"));
        let (end, ear) = (self.network.transport(node, self.disks[at].clone()), Arc::new(Ear::default()));
        (0..self.disks.len()).filter(|other| *other != at).for_each(|other| {
            end.set_peer(NodeId(u32::try_from(other).expect("few")), Some("sim")).expect("is another node");
        });
        end.start(node, Inbox::new(ear.clone())).expect("starts");
        if at < self.ends.len() {
            (self.ends[at], self.ears[at]) = (end, ear);
        } else {
            self.ends.push(end);
            self.ears.push(ear);
        }
    }

    fn kill(&mut self, at: usize) {
        self.disks[at] = self.disks[at].restart();
        self.network.kill(NodeId(u32::try_from(at).expect("few")), false);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.network.next().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.network.set_now(self.now);
            if let Some(arrival) = self.network.take() {
                arrival.hand_over();
            }
        }
        self.now = end;
        self.network.set_now(end);
    }

    fn send(&self, from: usize, to: NodeId, bytes: &[u8]) -> crate::error::Result<()> {
        self.ends[from].send(to, Frame::from(Bytes::copy_from_slice(bytes)))
    }

    fn heard(&self, at: usize) -> Vec<Heard> {
        std::mem::take(&mut *self.ears[at].0.lock())
    }
}

fn frames(heard: Vec<Heard>) -> Vec<u8> {
    heard.into_iter().filter_map(|one| if let Heard::Frame(_, bytes) = one { Some(bytes[0]) } else { None }).collect()
}

fn wild() -> Weather {
    Weather {
        loss: 200,
        repetition: 200,
        straggling: 100,
        straggler_delay: Duration::from_secs(1),
        delay: Duration::from_millis(1)..Duration::from_millis(40),
        reorders: true,
        outlives: false,
    }
}

#[test]
fn in_calm_weather_both_ends_hear_of_each_other_and_every_frame_arrives_once_and_in_order() {
    let mut place = Place::new(1, 2, Weather::calm());
    assert_eq!((place.heard(0), place.heard(1)), (vec![Heard::Up(1)], vec![Heard::Up(0)]));
    (0..200).for_each(|n| place.send(0, TWO, &[n]).expect("is taken"));
    place.run(Duration::from_secs(1));
    assert_eq!(frames(place.heard(1)), (0..200).collect::<Vec<_>>());
    assert_eq!(place.heard(0), []);
    let stats = &place.ends[0].peer_stats()[0];
    assert_eq!((stats.peer, stats.is_up, stats.frames_sent, stats.queued_frames), (TWO, true, 200, 0));
}

#[test]
fn wild_weather_loses_repeats_and_reorders_and_the_same_seed_does_the_same() {
    let run = |seed| {
        let mut place = Place::new(seed, 2, wild());
        (0..250).for_each(|n| place.send(0, TWO, &[n]).expect("is taken"));
        place.run(Duration::from_secs(5));
        frames(place.heard(1))
    };
    let heard = run(7);
    let once = |n: &u8| heard.iter().filter(|other| *other == n).count();
    assert!((0..250).any(|n| once(&n) == 0), "lost");
    assert!((0..250).any(|n| once(&n) == 2), "repeated");
    assert!(heard.windows(2).any(|pair| pair[0] > pair[1]), "overtaken");
    assert_eq!(heard, run(7));
    assert_ne!(heard, run(8));
}

#[test]
fn a_cut_works_one_way_until_it_is_mended() {
    let mut place = Place::new(1, 3, Weather::calm());
    place.network.cut(ONE, TWO, false);
    let talk = |place: &mut Place| {
        (0..3).for_each(|at| {
            place.heard(at);
        });
        place.send(0, TWO, &[1]).expect("the sender does not know");
        place.send(1, ONE, &[2]).expect("the other way");
        place.send(0, NodeId(2), &[3]).expect("somebody else");
        place.run(Duration::from_secs(1));
        (0..3).map(|at| frames(place.heard(at))).collect::<Vec<_>>()
    };
    assert_eq!(talk(&mut place), [vec![2], vec![], vec![3]]);
    place.network.mend(ONE, TWO);
    assert_eq!(talk(&mut place), [vec![2], vec![1], vec![3]]);
}

#[test]
fn a_cut_that_breaks_the_connection_is_noticed_by_both_and_mended_by_a_new_one() {
    let mut place = Place::new(1, 2, Weather::calm());
    place.network.cut(TWO, ONE, true);
    place.run(Duration::from_secs(3));
    assert_eq!(place.heard(0), [Heard::Up(1), Heard::Down(1)]);
    assert_eq!(place.heard(1), [Heard::Up(0), Heard::Down(0)]);
    assert_eq!(place.send(0, TWO, &[1]).expect_err("no connection").code(), ErrorCode::NETWORK_EXCEPTION);
    place.network.mend(TWO, ONE);
    place.run(Duration::from_secs(1));
    assert_eq!((place.heard(0), place.heard(1)), (vec![Heard::Up(1)], vec![Heard::Up(0)]));
    place.send(0, TWO, &[1]).expect("connected");
}

#[test]
fn what_was_sent_to_a_life_that_ended_does_not_reach_the_next_one() {
    let mut place = Place::new(1, 2, Weather::calm());
    place.send(0, TWO, &[1]).expect("is taken");
    place.kill(1);
    assert_eq!(place.send(1, ONE, &[9]).expect_err("dead").code(), ErrorCode::DESTROY);
    place.start(1);
    place.run(Duration::from_secs(1));
    assert_eq!(place.heard(1), [Heard::Up(0)]);
    assert_eq!(place.heard(0), [Heard::Up(1), Heard::Down(1), Heard::Up(1)]);
    place.send(0, TWO, &[2]).expect("is taken");
    place.run(Duration::from_secs(1));
    assert_eq!(frames(place.heard(1)), [2]);
}

#[test]
fn a_process_that_died_in_a_call_of_its_disk_sends_nothing_more() {
    use crate::disk::Disk;
    use crate::sim::{FaultKind, FaultyCalls, Repeat};
    let place = Place::new(1, 2, Weather::calm());
    place.disks[0].fail_nth(FaultyCalls::Any, 1, FaultKind::Die, Repeat::Once);
    assert!(place.disks[0].is_alive());
    place.disks[0].exists(std::path::Path::new("/")).expect_err("dies");
    assert!(!place.disks[0].is_alive());
    assert_eq!(place.send(0, TWO, &[1]).expect_err("dead").code(), ErrorCode::DESTROY);
}

#[test]
fn a_node_that_stands_still_gets_everything_afterwards_in_order() {
    let mut place = Place::new(1, 2, Weather::calm());
    place.heard(1);
    (0..20).for_each(|n| place.send(0, TWO, &[n]).expect("is taken"));
    let until = place.now + Duration::from_millis(300);
    place.network.hold_back(TWO, until);
    place.run(Duration::from_millis(299));
    assert_eq!(place.heard(1), []);
    place.run(Duration::from_millis(1));
    assert_eq!(frames(place.heard(1)), (0..20).collect::<Vec<_>>());
}

#[test]
fn ups_and_downs_alternate_and_frames_lie_between_them_whatever_happens() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut place = Place::new(seed, 3, Weather { outlives: false, ..Weather::any(&mut rng) });
        for _ in 0..60 {
            let (one, other) = (rng.usize(..3), rng.u32(..3));
            match rng.u32(..12) {
                0 => {
                    place.kill(one);
                    check_alternation(&place.heard(one), seed);
                    place.start(one);
                }
                1 => place.network.cut(NodeId(u32::try_from(one).expect("few")), NodeId(other), rng.bool()),
                2 => place.network.mend_all(),
                3 => place.network.reset(NodeId(u32::try_from(one).expect("few")), NodeId(other)),
                _ => drop(place.send(one, NodeId(other), &[1])),
            }
            place.run(Duration::from_millis(rng.u64(..100)));
        }
        place.network.mend_all();
        place.run(Duration::from_secs(5));
        for at in 0..3 {
            check_alternation(&place.heard(at), seed);
            assert!(place.ends[at].peer_stats().iter().filter(|peer| peer.is_up).count() == 2, "seed {seed}");
        }
    }
}

fn check_alternation(heard: &[Heard], seed: u64) {
    let mut up = BTreeSet::new();
    for one in heard {
        match one {
            Heard::Up(peer) => assert!(up.insert(*peer), "seed {seed}: {peer} comes twice"),
            Heard::Down(peer) => assert!(up.remove(peer), "seed {seed}: {peer} goes twice"),
            Heard::Frame(peer, _) => assert!(up.contains(peer), "seed {seed}: a frame of {peer} out of turn"),
        }
    }
}

#[test]
fn a_full_queue_takes_no_more() {
    let place = Place::new(1, 2, Weather::calm());
    let refused = (0..=flight::FRAMES_MAX).map(|_| place.send(0, TWO, &[1])).find_map(Result::err);
    assert_eq!(refused.expect("so many do not fit").code(), ErrorCode::QUEUE_FULL);
}
