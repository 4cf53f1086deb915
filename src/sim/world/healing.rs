//! The second act: nothing goes wrong any more, and everything has to come right within a time.

use super::{Checked, World};
use crate::sim::findings::found;
use crate::sim::life::LogOf;
use crate::sim::network::Weather;
use crate::sim::plan::ProducerPlan;
use crate::sim::workload::Producer;
use crate::types::{Acks, NodeId, TopicPartition};
use std::time::Duration;

/// From the end of all faults until everything is right again. Sessions, elections and the lag of replicas all fit several times.
const HEALING_MAX: Duration = Duration::from_secs(30);
/// How often one looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl World {
    pub(super) fn heal(&mut self) -> Checked {
        self.trace.note(self.now, format_args!("nothing goes wrong any more"));
        self.is_healing = true;
        self.network.set_weather(Weather::calm());
        self.network.mend_all();
        for node in self.plan.nodes.clone() {
            self.machines[&node].disk.clear_faults();
            self.machine(node).paused_until = None;
            // A disk that failed takes its partitions offline until somebody restarts the node.
            if self.machine(node).count_faults() || self.machines[&node].has_doubtful_cache {
                self.kill(node, true)?;
            }
            if self.machines[&node].life.is_none() {
                self.machine(node).is_coming = false;
                self.plan_start(node);
            }
            self.after(node)?;
        }
        let end = self.now + HEALING_MAX;
        self.wait_until(end, World::why_not_led)?;
        self.send_probes();
        self.wait_until(end, World::why_not_whole)?;
        self.check_end()
    }

    fn wait_until(&mut self, end: crate::time::Instant, why_not: fn(&World) -> Option<String>) -> Checked {
        while let Some(why) = why_not(self) {
            if self.now >= end {
                return found!(NoProgress, "{} s after the last fault: {why}", HEALING_MAX.as_secs());
            }
            self.run_until(self.now + LOOK_EVERY)?;
        }
        Ok(())
    }

    /// The partitions that were promised, and those that are there without.
    fn wanted(&self) -> Vec<TopicPartition> {
        let mut wanted = self.workload.admin.promised();
        wanted.extend(self.checker.partitions());
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    pub(super) fn why_not_led(&self) -> Option<String> {
        if let Some((node, _)) = self.machines.iter().find(|(_, machine)| machine.life.is_none()) {
            return Some(format!("{node} does not run"));
        }
        for topic in &self.plan.topics {
            let first = TopicPartition::new(topic.name.as_str(), 0);
            if self.checker.decision(&first).is_none() {
                return Some(format!("{} was not created", topic.name));
            }
        }
        for partition in self.wanted() {
            let Some(decision) = self.checker.decision(&partition) else {
                return Some(format!("{partition} was confirmed, and nobody knows it"));
            };
            let Some(leader) = decision.leader else { return Some(format!("{partition} has no leader: {decision:?}")) };
            for (node, machine) in &self.machines {
                let known = machine.life.as_ref().and_then(|life| life.member.leader(&partition));
                if known != Some(leader) {
                    return Some(format!("{node} takes {known:?} for the leader of {partition}, it is {leader}"));
                }
            }
        }
        None
    }

    /// A last record goes through every partition.
    fn send_probes(&mut self) {
        let first = u32::try_from(self.workload.producers.len()).expect("a few");
        for (id, partition) in (first..).zip(self.wanted()) {
            let plan = ProducerPlan { acks: Acks::All, is_idempotent: true, pause: Duration::from_millis(10) };
            let mut probe = Producer::new(id, plan, partition);
            probe.next_batch(&mut self.rng, super::machine::wall_time(self.now));
            self.workload.producers.push(probe);
            self.plan_in_ms(0..5, super::Event::Produce(id as usize));
        }
    }

    fn why_not_whole(&self) -> Option<String> {
        if let Some(producer) = self.workload.producers.iter().find(|producer| producer.attempt.is_some()) {
            return Some(format!("p{} knows nothing of its last batch for {}", producer.id, producer.partition));
        }
        if let Some(why) = self.why_not_led() {
            return Some(why);
        }
        self.wanted().iter().find_map(|partition| {
            let decision = self.checker.decision(partition)?;
            let mut isr = decision.isr.clone();
            let mut replicas = decision.replicas.clone();
            isr.sort_unstable();
            replicas.sort_unstable();
            if isr != replicas {
                return Some(format!("{partition}: in sync are {isr:?} of {replicas:?}"));
            }
            replicas.iter().find_map(|node| self.why_behind(*node, partition))
        })
    }

    fn why_behind(&self, node: NodeId, partition: &TopicPartition) -> Option<String> {
        let end = self.checker.committed_end(partition);
        let life = self.machines[&node].life.as_ref()?;
        let replica = life.member.replicas().into_iter().find(|replica| replica.partition == *partition);
        let Some(replica) = replica else { return Some(format!("{partition} is not open at {node}")) };
        let offsets = replica.offsets;
        if offsets.log_end == end && offsets.high_watermark == end {
            return None;
        }
        Some(format!("{partition} at {node}: committed is {end}, it has {offsets:?}"))
    }

    fn check_end(&mut self) -> Checked {
        self.checker.check_all_acked()?;
        for partition in self.wanted() {
            let Some(decision) = self.checker.decision(&partition).cloned() else { continue };
            for node in decision.replicas {
                let life = self.machines[&node].life.as_ref().expect("everybody runs");
                let log = LogOf { member: &*life.member, partition: &partition };
                self.checker.check_whole(node, &partition, &log)?;
            }
        }
        let checks = self.checker.checks();
        self.trace.note(self.now, format_args!("in the end all is well: {checks:?}"));
        Ok(())
    }
}
