//! One machine: a disk and a wall clock that stay, and processes that come and go; how they start and how they die.

use super::{Birth, Checked, Event, Member, World};
use crate::node::Alarm;
use crate::sim::clock::Pace;
use crate::sim::findings::found;
use crate::sim::life::Replica;
use crate::sim::{SimClock, SimDisk};
use crate::time::{Clock, Instant};
use crate::types::{NodeId, Timestamp, TopicPartition};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// 2025-01-01T00:00:00Z.
const WALL_ORIGIN: i64 = 1_735_689_600_000;
/// Clocks are off by no more than this.
const DRIFT_PPM_MAX: i32 = 300;

pub(super) struct Machine {
    pub disk: SimDisk,
    /// Dates the files; its wall is that of every process here.
    wall: Arc<SimClock>,
    wall_pace: Pace,
    pub life: Option<Life>,
    pub lives: u64,
    pub paused_until: Option<Instant>,
    /// Of the only tick that is still valid.
    pub tick_number: u64,
    /// A disk call has failed since the last power cut: what the kernel still shows may not be on the platters.
    pub has_doubtful_cache: bool,
    faults_fired: u64,
    /// The next start is planned.
    pub is_coming: bool,
}

pub(super) struct Life {
    pub number: u64,
    pub member: Arc<dyn Member>,
    pub clock: Arc<SimClock>,
    pace: Pace,
    bell: Arc<Bell>,
    /// On its own clock.
    pub due: Option<Instant>,
    /// The tick that is planned.
    pub planned: Option<Instant>,
    pub image_offset: Option<u64>,
    pub kept: BTreeMap<TopicPartition, Replica>,
    pub is_leaving: bool,
}

/// True time on the wall.
pub(super) fn wall_time(now: Instant) -> Timestamp {
    Timestamp(WALL_ORIGIN + i64::try_from(now.0 / 1_000_000).expect("a world does not last for ever"))
}

/// Remembers the earliest moment that somebody asked to be woken at.
struct Bell(AtomicU64);

impl Alarm for Bell {
    fn wake_by(&self, when: Instant) {
        self.0.fetch_min(when.0, Ordering::SeqCst);
    }
}

impl Bell {
    fn take(&self) -> Option<Instant> {
        Some(Instant(self.0.swap(u64::MAX, Ordering::SeqCst))).filter(|when| when.0 < u64::MAX)
    }
}

impl Machine {
    pub fn new(rng: &mut fastrand::Rng) -> Machine {
        let wall = Arc::new(SimClock::new(Timestamp(WALL_ORIGIN + rng.i64(-5_000..5_000))));
        let disk = SimDisk::with_clock(rng.u64(..), Arc::clone(&wall));
        let drift_ppm = rng.i32(-DRIFT_PPM_MAX..=DRIFT_PPM_MAX);
        Machine {
            disk,
            wall,
            wall_pace: Pace::new(Instant(0), Instant(0), drift_ppm),
            life: None,
            lives: 0,
            paused_until: None,
            tick_number: 0,
            has_doubtful_cache: false,
            faults_fired: 0,
            is_coming: true,
        }
    }

    pub fn is_running(&self) -> bool {
        self.life.is_some() && self.paused_until.is_none()
    }

    /// All clocks of the machine show what they show at this true moment.
    pub fn show_time(&self, now: Instant) {
        self.wall.run_to(self.wall_pace.shows(now));
        if let Some(life) = &self.life {
            life.clock.run_to(life.pace.shows(now));
        }
    }

    /// The wall clock is set, by an administrator or a time server: to so many milliseconds before or after true time.
    pub fn set_wall(&self, now: Instant, off_ms: i64) {
        self.wall.set_realtime(Timestamp(wall_time(now).0 + off_ms));
        if let Some(life) = &self.life {
            life.clock.set_realtime(self.wall.realtime());
        }
    }

    /// When the life has to be ticked next, if that has changed: then a tick of the new number is to be planned.
    pub fn next_tick(&mut self) -> Option<Instant> {
        let life = self.life.as_mut()?;
        life.due = life.due.into_iter().chain(life.bell.take()).min();
        if life.due == life.planned {
            return None;
        }
        life.planned = life.due;
        self.tick_number += 1;
        life.due.map(|due| life.pace.when(due))
    }

    /// Notes what disk faults have done.
    pub fn count_faults(&mut self) -> bool {
        let fired = self.disk.faults_fired();
        let has_fired = fired > self.faults_fired;
        self.faults_fired = fired;
        self.has_doubtful_cache |= has_fired;
        has_fired
    }
}

impl World {
    /// Opens the node, if it is not open.
    pub(super) fn start(&mut self, node: NodeId) -> Checked {
        let seed = self.rng.u64(..);
        let drift_ppm = self.rng.i32(-DRIFT_PPM_MAX..=DRIFT_PPM_MAX);
        let shown = Instant(self.rng.u64(1..2_000_000_000));
        let (now, voters, settings) = (self.now, self.plan.nodes.clone(), self.plan.settings.clone());
        let machine = self.machines.get_mut(&node).expect("every node has a machine");
        machine.is_coming = false;
        if machine.life.is_some() {
            return Ok(());
        }
        machine.lives += 1;
        self.checker.handle_start(node);
        machine.show_time(now);
        let clock = Arc::new(SimClock::new(machine.wall.realtime()));
        let pace = Pace::new(now, shown, drift_ppm);
        clock.run_to(shown);
        clock.set_realtime(machine.wall.realtime());
        let bell = Arc::new(Bell(AtomicU64::new(u64::MAX)));
        self.trace.note(now, format_args!("{node} starts, life {}", machine.lives));
        let birth = Birth {
            node,
            voters,
            disk: machine.disk.clone(),
            clock: Arc::clone(&clock),
            transport: self.network.transport(node, machine.disk.clone()),
            seed,
            settings,
            alarm: bell.clone(),
        };
        match self.opener.open(birth) {
            Ok(member) => {
                self.checker.handle_birth(node, member.incarnation());
                let (number, due) = (machine.lives, Some(shown));
                let (planned, image_offset, kept) = (None, None, BTreeMap::new());
                let life =
                    Life { number, member, clock, pace, bell, due, planned, image_offset, kept, is_leaving: false };
                machine.life = Some(life);
                self.after(node)
            }
            Err(error) => self.handle_stillbirth(node, &error),
        }
    }

    /// A node that does not open may be blamed on its disk, and on nothing else.
    fn handle_stillbirth(&mut self, node: NodeId, error: &crate::error::Error) -> Checked {
        self.trace.note(self.now, format_args!("{node} does not open: {error}"));
        let is_dead = !self.machine(node).disk.is_alive();
        if !self.machine(node).count_faults() && !is_dead {
            return found!(Corrupt, "node {node} does not open: {error}");
        }
        self.kill(node, true)
    }

    /// The process dies, by its own fault or another's; without power the page cache goes with it.
    pub(super) fn kill(&mut self, node: NodeId, power_too: bool) -> Checked {
        self.checker.handle_kill(node);
        self.end_life(node, power_too)
    }

    fn end_life(&mut self, node: NodeId, power_too: bool) -> Checked {
        let seed = self.rng.u64(..);
        let machine = self.machines.get_mut(&node).expect("every node has a machine");
        machine.count_faults();
        // What could not be written is shown as if it were there, until the machine goes down. No log can know.
        let power_too = power_too || machine.has_doubtful_cache;
        self.trace.note(self.now, format_args!("{node} {}", if power_too { "has no power" } else { "is killed" }));
        let life = machine.life.take();
        for (partition, decision) in
            life.iter().filter_map(|life| life.member.decisions(None)).flat_map(|image| image.1)
        {
            self.checker.handle_heard(node, &partition, &decision);
        }
        for replica in life.iter().flat_map(|life| life.member.replicas()) {
            self.checker.handle_last_look(node, &replica.partition, replica.offsets);
        }
        machine.paused_until = None;
        machine.tick_number += 1;
        machine.disk.clear_faults();
        machine.disk = if power_too { machine.disk.crash(seed) } else { machine.disk.restart() };
        machine.has_doubtful_cache &= !power_too;
        self.network.kill(node, power_too);
        drop(life);
        self.forget_waiting(node);
        if power_too {
            let files = self.machines[&node].disk.snapshot();
            for (partition, kept) in self.checker.handle_power_cut(node, |partition| log_bytes(&files, partition))? {
                self.trace.note(self.now, format_args!("{node} keeps {partition} up to {kept}"));
            }
        }
        self.plan_start(node);
        Ok(())
    }

    pub(super) fn plan_start(&mut self, node: NodeId) {
        if !std::mem::replace(&mut self.machine(node).is_coming, true) {
            let latest = if self.is_healing { 20 } else { [50, 500, 4_000][self.rng.usize(..3)] };
            self.plan_in_ms(1..latest, Event::Start(node));
        }
    }

    /// Every power cut there is, at once.
    pub(super) fn kill_all(&mut self) -> Checked {
        for node in self.plan.nodes.clone() {
            self.kill(node, true)?;
        }
        Ok(())
    }

    /// Asks whether the node may leave, and lets it go.
    pub(super) fn leave(&mut self, node: NodeId) -> Checked {
        if self.machines[&node].life.as_ref().is_none_or(|life| !life.is_leaving) {
            return Ok(());
        }
        let Some(is_ready) = self.visit(node, |member, now| member.leave(now)) else {
            self.plan_in_ms(20..100, Event::Leave(node));
            return Ok(());
        };
        if !is_ready {
            self.plan_in_ms(20..100, Event::Leave(node));
            return self.after(node);
        }
        self.after(node)?;
        let Some(closed) = self.visit(node, |member, _| member.close()) else { return Ok(()) };
        self.trace.note(self.now, format_args!("{node} is closed: {closed:?}"));
        if let Err(error) = &closed {
            if !self.machine(node).count_faults() {
                return found!(BadAnswer, "node {node} does not close: {error}");
            }
        }
        if matches!(closed, Ok(true)) {
            self.checker.handle_closed(node);
            return self.end_life(node, false);
        }
        self.kill(node, false)
    }
}

/// What is left of a partition's log: its segments in order, as far as they follow each other.
fn log_bytes(files: &BTreeMap<String, Vec<u8>>, partition: &TopicPartition) -> Vec<u8> {
    let dir = format!("{}/{partition}/", crate::sim::life::DIR);
    let inside = files.range(dir.clone()..).take_while(|(path, _)| path.starts_with(&dir));
    inside.filter(|(path, _)| path.ends_with(".log")).flat_map(|(_, bytes)| bytes.iter().copied()).collect()
}
