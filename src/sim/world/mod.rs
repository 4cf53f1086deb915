//! A whole cluster in one thread: real nodes on virtual clocks, on disks that forget, in a network that loses.
//!
//! ```text
//!   the next event, by time --> clock of its node --> the node does its work --> what must be true? what comes next?
//!   frames (network), ticks, clients, troubles
//! ```
//! Two acts: things go wrong while safety is watched; then they stop going wrong, and progress is demanded. Everything follows from
//! the seed: who looks on, and how fast the machine is, changes nothing.

mod clients;
mod healing;
mod machine;
#[cfg(test)]
mod tests;
mod troubles;

use super::checker::{Checker, Checks, Sighting};
use super::findings::{found, Checked};
use super::life::{Birth, LogOf, Member, Open};
use super::network::SimNetwork;
use super::plan::Plan;
use super::trace::Trace;
use super::workload::Workload;
use crate::time::Instant;
use crate::types::{NodeId, TopicPartition};
use machine::Machine;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A world that needs more events than this goes in circles.
const EVENTS_MAX: u64 = 3_000_000;
/// How often, and how many times, one looks whether the cluster is set up.
const SET_UP_LOOK: Duration = Duration::from_millis(100);
const SET_UP_LOOKS: u32 = 60;
/// So many events at one moment are too many.
const EVENTS_AT_ONCE_MAX: u64 = 50_000;

pub struct World {
    rng: fastrand::Rng,
    now: Instant,
    plan: Plan,
    /// By time, then by the order in which they were planned.
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
    network: SimNetwork,
    trace: Trace,
    machines: BTreeMap<NodeId, Machine>,
    workload: Workload,
    checker: Checker,
    opener: Box<dyn Open>,
    is_healing: bool,
    events_done: u64,
    events_at_once: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    /// Valid while the machine's number for it is still this.
    Tick(NodeId, u64),
    Start(NodeId),
    Resume(NodeId),
    Produce(usize),
    /// A producer that did not wait for its flush does now.
    Flush(usize),
    Read(usize),
    Administrate,
    Trouble,
    Mend(NodeId, NodeId),
    /// This node is to lead that partition.
    Prefer(TopicPartition, NodeId),
    Elect(TopicPartition),
    /// A node that leaves in order looks whether it may.
    Leave(NodeId),
}

impl World {
    pub fn new(seed: u64, plan: Plan, opener: Box<dyn Open>, trace: Trace) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let network = SimNetwork::new(rng.u64(..), plan.weather.clone(), trace.clone());
        let machines = plan.nodes.iter().map(|node| (*node, Machine::new(&mut rng))).collect();
        let workload = Workload::new(&plan, &mut rng);
        World {
            rng,
            now: Instant::default(),
            checker: Checker::new(plan.flushes),
            plan,
            events: BTreeMap::new(),
            serial: 0,
            network,
            trace,
            machines,
            workload,
            opener,
            is_healing: false,
            events_done: 0,
            events_at_once: 0,
        }
    }

    /// Both acts.
    pub fn run(&mut self) -> Checked<Checks> {
        for node in self.plan.nodes.clone() {
            self.plan_in_ms(0..50, Event::Start(node));
        }
        self.plan_in_ms(1..2, Event::Administrate);
        (0..self.workload.producers.len()).for_each(|index| self.plan_in_ms(100..500, Event::Produce(index)));
        (0..self.workload.readers.len()).for_each(|index| self.plan_in_ms(100..500, Event::Read(index)));
        if !self.plan.is_rough_from_the_start {
            self.set_up()?;
        }
        self.plan_in_ms(0..500, Event::Trouble);
        self.run_until(self.now + self.plan.act)?;
        self.heal()?;
        Ok(self.checker.checks())
    }

    /// Until the topics are there and led, or for long enough.
    fn set_up(&mut self) -> Checked {
        for _ in 0..SET_UP_LOOKS {
            self.run_until(self.now + SET_UP_LOOK)?;
            if self.why_not_led().is_none() {
                break;
            }
        }
        Ok(())
    }

    fn run_until(&mut self, end: Instant) -> Checked {
        while self.next_at().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.set_now(end);
        Ok(())
    }

    fn next_at(&self) -> Option<Instant> {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let frame = self.network.next().map(|(at, _)| at);
        event.into_iter().chain(frame).min()
    }

    /// One event.
    fn step(&mut self) -> Checked {
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        let frame = self.network.next();
        match (event, frame) {
            (event, Some((at, to))) if event.is_none_or(|event| at <= event) => {
                self.count_event(at)?;
                self.deliver(to)
            }
            (Some(at), _) => {
                self.count_event(at)?;
                let (_, event) = self.events.pop_first().expect("looked at just now");
                self.handle(event)
            }
            (None, _) => Ok(()),
        }
    }

    fn count_event(&mut self, at: Instant) -> Checked {
        self.events_done += 1;
        self.events_at_once = if at > self.now { 0 } else { self.events_at_once + 1 };
        self.set_now(at.max(self.now));
        if self.events_done > EVENTS_MAX || self.events_at_once > EVENTS_AT_ONCE_MAX {
            let (all, at_once) = (self.events_done, self.events_at_once);
            return found!(NoProgress, "goes in circles: {all} events, {at_once} of them at the same moment");
        }
        Ok(())
    }

    fn set_now(&mut self, now: Instant) {
        self.now = now;
        self.network.set_now(now);
    }

    fn deliver(&mut self, to: NodeId) -> Checked {
        if let Some(until) = self.machines[&to].paused_until.filter(|until| *until > self.now) {
            self.network.hold_back(to, until);
            return Ok(());
        }
        let Some(arrival) = self.network.take() else { return Ok(()) };
        self.machines[&to].show_time(self.now);
        arrival.hand_over();
        self.after(to)
    }

    fn handle(&mut self, event: Event) -> Checked {
        match event {
            Event::Tick(node, number) => self.tick(node, number),
            Event::Start(node) => self.start(node),
            Event::Resume(node) => {
                self.trace.note(self.now, format_args!("{node} goes on"));
                self.machine(node).paused_until = None;
                self.after(node)
            }
            Event::Produce(index) => self.produce(index),
            Event::Flush(index) => self.flush(index),
            Event::Read(index) => self.read(index),
            Event::Administrate => self.administrate(),
            Event::Trouble => self.trouble(),
            Event::Mend(from, to) => {
                self.trace.note(self.now, format_args!("{from} reaches {to} again"));
                self.network.mend(from, to);
                Ok(())
            }
            Event::Prefer(partition, first) => self.prefer(&partition, first),
            Event::Elect(partition) => self.elect(&partition),
            Event::Leave(node) => self.leave(node),
        }
    }

    fn plan_at(&mut self, at: Instant, event: Event) {
        self.serial += 1;
        self.events.insert((at.max(self.now), self.serial), event);
    }

    /// At some moment of this span, in milliseconds from now.
    fn plan_in_ms(&mut self, span: std::ops::Range<u64>, event: Event) {
        let micros = self.rng.u64(span.start * 1_000..span.end * 1_000);
        self.plan_at(self.now + Duration::from_micros(micros), event);
    }

    fn machine(&mut self, node: NodeId) -> &mut Machine {
        self.machines.get_mut(&node).expect("every node has a machine")
    }

    /// The nodes that run and do not stand still.
    fn alive(&self) -> Vec<NodeId> {
        self.machines.iter().filter(|(_, machine)| machine.is_running()).map(|(node, _)| *node).collect()
    }

    fn tick(&mut self, node: NodeId, number: u64) -> Checked {
        let machine = &self.machines[&node];
        if machine.tick_number != number || machine.life.is_none() {
            return Ok(());
        }
        if let Some(until) = machine.paused_until {
            self.plan_at(until, Event::Tick(node, number));
            return Ok(());
        }
        self.trace.note(self.now, format_args!("{node} ticks"));
        let due = self.visit(node, |member, now| member.tick(now));
        if let Some(due) = due {
            let life = self.machine(node).life.as_mut().expect("it was visited");
            life.due = due;
            life.planned = None;
        }
        self.after(node)
    }

    /// Calls a node that runs, with its clock at the present; [`after`](World::after) has to follow.
    fn visit<R>(&self, node: NodeId, call: impl FnOnce(&dyn Member, Instant) -> R) -> Option<R> {
        let machine = self.machines.get(&node).filter(|machine| machine.is_running())?;
        let life = machine.life.as_ref()?;
        let member = Arc::clone(&life.member);
        machine.show_time(self.now);
        let now = crate::time::Clock::monotonic(&*life.clock);
        Some(call(&*member, now))
    }

    /// A node has done something: is it still alive, is what it shows true, and when does it want to go on?
    fn after(&mut self, node: NodeId) -> Checked {
        let machine = &self.machines[&node];
        let Some(life) = &machine.life else { return Ok(()) };
        for (call, kind) in machine.disk.take_failed_calls() {
            self.trace.note(self.now, format_args!("{node}: a call of its disk has failed: {call:?}, {kind:?}"));
        }
        if !machine.disk.is_alive() {
            self.trace.note(self.now, format_args!("{node} died in a call of its disk"));
            let power_too = self.rng.bool();
            return self.kill(node, power_too);
        }
        while let Some(notice) = life.member.poll_notice() {
            self.trace.note(self.now, format_args!("{node} says: {notice}"));
        }
        let disk = self.machines[&node].disk.clone();
        disk.suspend_faults(true);
        let looked = self.look_at(node);
        disk.suspend_faults(false);
        looked?;
        self.settle_acks(node)?;
        if let Some(at) = self.machine(node).next_tick() {
            let number = self.machine(node).tick_number;
            self.plan_at(at, Event::Tick(node, number));
        }
        Ok(())
    }

    fn look_at(&mut self, node: NodeId) -> Checked {
        let machine = self.machines.get_mut(&node).expect("every node has a machine");
        let Some(life) = &mut machine.life else { return Ok(()) };
        let member = Arc::clone(&life.member);
        if let Some((mark, decisions)) = member.decisions(life.image_offset) {
            let offset = mark.offset;
            life.image_offset = Some(offset);
            self.trace.note(self.now, format_args!("{node} has the metadata up to {offset}"));
            for (partition, decision) in &decisions {
                if self.checker.decision(partition) != Some(decision) {
                    self.trace.note(self.now, format_args!("{partition}: {decision}, metadata {offset}"));
                }
                self.checker.handle_decision(&mark, partition, decision)?;
                self.checker.handle_heard(node, partition, decision);
            }
        }
        let replicas = member.replicas();
        for replica in &replicas {
            let is_as_before = life.kept.get(&replica.partition) == Some(replica);
            if !is_as_before {
                self.trace.note(self.now, format_args!("{node} has {replica}"));
            }
            let log = LogOf { member: &*member, partition: &replica.partition };
            self.checker.handle_sighting(&Sighting {
                node,
                life: life.number,
                partition: &replica.partition,
                leader_epoch: replica.leader_epoch,
                leads: replica.leads,
                is_offline: replica.is_offline,
                offsets: replica.offsets,
                log: &log,
            })?;
            if !is_as_before {
                life.kept.insert(replica.partition.clone(), replica.clone());
            }
        }
        if life.kept.len() > replicas.len() {
            life.kept.retain(|partition, _| {
                let is_there = replicas.iter().any(|replica| replica.partition == *partition);
                if !is_there {
                    self.trace.note(self.now, format_args!("{node} has {partition} no more"));
                    self.checker.handle_gone(node, partition);
                }
                is_there
            });
        }
        Ok(())
    }
}
