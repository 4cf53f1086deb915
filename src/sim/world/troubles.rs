//! What goes wrong, as the seed decides.

use super::{Checked, Event, World};
use crate::sim::disk::{FaultKind, FaultyCalls, Repeat};
use crate::sim::workload::Wanted;
use crate::sim::Call;
use crate::types::NodeId;
use std::time::Duration;

/// How wrong a wall clock may be. Records from another hour are refused (`message.timestamp.after.max.ms`).
const WALL_OFF_MS_MAX: i64 = 30 * 60 * 1_000;

/// One kind of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    Kill,
    PowerCut,
    Blackout,
    Pause,
    Cut,
    Isolation,
    Reset,
    DiskError,
    DiskDeath,
    WallJump,
    Flip,
    Ask(Wanted),
    Leave,
}

impl World {
    /// Something goes wrong, and the next thing is planned.
    pub(super) fn trouble(&mut self) -> Checked {
        if self.is_healing {
            return Ok(());
        }
        let every = u64::try_from(self.plan.troubles.every.as_millis()).expect("short");
        self.plan_in_ms(0..2 * every, Event::Trouble);
        let Some(trouble) = self.draw_trouble() else { return Ok(()) };
        let nodes = self.plan.nodes.clone();
        let any = nodes[self.rng.usize(..nodes.len())];
        match trouble {
            Trouble::Kill => self.kill_if_alive(any, false),
            // A machine that is down already may lose its power, too.
            Trouble::PowerCut => self.kill(any, true),
            Trouble::Blackout => {
                self.trace.note(self.now, format_args!("everything goes dark"));
                self.kill_all()
            }
            Trouble::Pause => self.pause(any),
            Trouble::Cut => self.cut(any),
            Trouble::Isolation => self.isolate(any),
            Trouble::Reset => {
                let other = nodes[self.rng.usize(..nodes.len())];
                self.trace.note(self.now, format_args!("the connection of {any} and {other} breaks"));
                self.network.reset(any, other);
                Ok(())
            }
            Trouble::DiskError => self.break_disk(any),
            Trouble::DiskDeath => {
                self.arm(any, FaultyCalls::Any, 400, FaultKind::Die);
                Ok(())
            }
            Trouble::WallJump => {
                let off_ms = self.rng.i64(-WALL_OFF_MS_MAX..WALL_OFF_MS_MAX);
                self.trace.note(self.now, format_args!("the wall clock of {any} is set {off_ms} ms off"));
                self.machines[&any].show_time(self.now);
                self.machines[&any].set_wall(self.now, off_ms);
                Ok(())
            }
            Trouble::Flip => self.flip(),
            Trouble::Ask(wanted) => self.ask_for(wanted),
            Trouble::Leave => self.begin_leaving(any),
        }
    }

    fn draw_trouble(&mut self) -> Option<Trouble> {
        let plan = &self.plan.troubles;
        let weights = [
            (plan.kill, Trouble::Kill),
            (plan.power_cut, Trouble::PowerCut),
            (plan.blackout, Trouble::Blackout),
            (plan.pause, Trouble::Pause),
            (plan.cut, Trouble::Cut),
            (plan.isolation, Trouble::Isolation),
            (plan.reset, Trouble::Reset),
            (plan.disk_error, Trouble::DiskError),
            (plan.disk_death, Trouble::DiskDeath),
            (plan.wall_jump, Trouble::WallJump),
            (plan.flip, Trouble::Flip),
            (plan.election, Trouble::Ask(Wanted::Election)),
            (plan.reassignment, Trouble::Ask(Wanted::Reassignment)),
            (plan.growth, Trouble::Ask(Wanted::Growth)),
            (plan.min_insync, Trouble::Ask(Wanted::MinInsync)),
            (plan.leave, Trouble::Leave),
        ];
        let sum: u32 = weights.iter().map(|(weight, _)| weight).sum();
        let mut lot = if sum == 0 { return None } else { self.rng.u32(..sum) };
        for (weight, trouble) in weights {
            if lot < weight {
                return Some(trouble);
            }
            lot -= weight;
        }
        None
    }

    fn kill_if_alive(&mut self, node: NodeId, power_too: bool) -> Checked {
        if self.machines[&node].life.is_some() {
            return self.kill(node, power_too);
        }
        Ok(())
    }

    /// A process that gets no processor for a while: a full machine, a debugger, a sleeping phone.
    fn pause(&mut self, node: NodeId) -> Checked {
        if !self.machines[&node].is_running() {
            return Ok(());
        }
        let longest = [50, 500, 3_000][self.rng.usize(..3)];
        let until = self.now + Duration::from_millis(self.rng.u64(1..longest));
        self.trace.note(self.now, format_args!("{node} stands still"));
        self.plan_at(until, Event::Resume(node));
        self.machine(node).paused_until = Some(until);
        Ok(())
    }

    /// Another leader for a moment, and back: the old one may be standing still or cut off meanwhile, and comes back to a reign of its
    /// own with what it had.
    fn flip(&mut self) -> Checked {
        let partitions = self.checker.partitions();
        if partitions.is_empty() {
            return Ok(());
        }
        let partition = partitions[self.rng.usize(..partitions.len())].clone();
        let Some(decision) = self.checker.decision(&partition) else { return Ok(()) };
        let Some(leader) = decision.leader else { return Ok(()) };
        let others: Vec<NodeId> = decision.isr.iter().copied().filter(|node| *node != leader).collect();
        if others.is_empty() {
            return Ok(());
        }
        let other = others[self.rng.usize(..others.len())];
        self.plan_in_ms(20..300, Event::Prefer(partition.clone(), leader));
        self.prefer(&partition, other)?;
        match self.rng.u8(..3) {
            0 => self.pause(leader),
            1 => {
                self.cut_pair(leader, other, false, false);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// One way or both, noticed or not, for a while.
    fn cut(&mut self, one: NodeId) -> Checked {
        let nodes = &self.plan.nodes;
        let other = nodes[self.rng.usize(..nodes.len())];
        let (breaks, both) = (self.rng.bool(), self.rng.bool());
        self.cut_pair(one, other, both, breaks);
        Ok(())
    }

    /// A node that reaches nobody, or whom nobody reaches, or both.
    fn isolate(&mut self, node: NodeId) -> Checked {
        let (breaks, way) = (self.rng.bool(), self.rng.u8(..3));
        for other in self.plan.nodes.clone() {
            let (from, to) = if way == 1 { (other, node) } else { (node, other) };
            self.cut_pair(from, to, way == 2, breaks);
        }
        Ok(())
    }

    fn cut_pair(&mut self, from: NodeId, to: NodeId, both: bool, breaks: bool) {
        if from == to {
            return;
        }
        let longest = [100, 1_000, 5_000][self.rng.usize(..3)];
        let pairs = [(from, to), (to, from)];
        for (from, to) in pairs.into_iter().take(1 + usize::from(both)) {
            self.trace.note(self.now, format_args!("{from} does not reach {to}"));
            self.network.cut(from, to, breaks);
            self.plan_in_ms(10..longest, Event::Mend(from, to));
        }
    }

    fn break_disk(&mut self, node: NodeId) -> Checked {
        let (calls, latest) = match self.rng.u8(..4) {
            0 => (FaultyCalls::Only(Call::Sync), 20),
            1 => (FaultyCalls::Only(Call::Write), 50),
            2 => (FaultyCalls::Changes, 100),
            _ => (FaultyCalls::Any, 400),
        };
        let kind = [FaultKind::Eio, FaultKind::Enospc, FaultKind::ShortThenError][self.rng.usize(..3)];
        self.arm(node, calls, latest, kind);
        Ok(())
    }

    fn arm(&mut self, node: NodeId, calls: FaultyCalls, latest: u64, kind: FaultKind) {
        let nth = self.rng.u64(1..latest);
        self.trace.note(self.now, format_args!("{node}: call {nth} of {calls:?} will fail, {kind:?}"));
        self.machines[&node].disk.fail_nth(calls, nth, kind, Repeat::Once);
    }

    fn begin_leaving(&mut self, node: NodeId) -> Checked {
        let Some(life) = self.machine(node).life.as_mut() else { return Ok(()) };
        if std::mem::replace(&mut life.is_leaving, true) {
            return Ok(());
        }
        self.trace.note(self.now, format_args!("{node} wants to leave"));
        self.leave(node)
    }
}
