//! What the three processes have shown, short.

use super::super::cluster::{Compared, PASSES};
use super::super::input::Input;
use super::super::LEVELS;
use super::Killed;
use crate::failure::Outcome;
use crate::print;
use kafkalog::Offset;
use serde_json::{json, Value};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

pub struct Summary<'a> {
    pub input: &'a Input,
    pub dir: &'a Path,
    pub partitions: u32,
    pub passes: &'a [Killed],
    pub compared: &'a Compared,
}

impl Summary<'_> {
    pub fn print(&self, json: bool, high_watermarks: &[Offset]) -> Outcome {
        if json {
            return Ok(print::json(&self.json(high_watermarks))?);
        }
        let compared = self.compared;
        let mut out = print::stdout();
        writeln!(
            out,
            "\n{:<12}{:>10}{:>12}{:>10}{:>10}{:>10}{:>12}{:>14}",
            "", "sent", "acked", "failed", "found", "lost", "there twice", "failover"
        )?;
        for killed in self.passes {
            let (pass, found) = (&killed.pass, &compared.levels[killed.pass.level].found);
            let failover = killed.elected.map_or("unseen".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()));
            writeln!(
                out,
                "{:<12}{:>10}{:>12}{:>10}{:>10}{:>10}{:>12}{failover:>14}",
                LEVELS[pass.level].name,
                print::count(pass.sent),
                print::count(pass.acked_count()),
                print::count(pass.failed),
                print::count(found.records),
                print::count(found.lost),
                print::count(found.duplicated)
            )?;
        }
        let sum = high_watermarks.iter().map(|offset| offset.0).sum();
        writeln!(
            out,
            "The files of all three nodes were read: {} of {} partitions are the same on all three, byte by byte, below the high watermark \
             ({}, {}).",
            compared.identical,
            self.partitions,
            print::counted(sum, "record"),
            print::bytes(compared.bytes)
        )?;
        let last = &compared.levels[PASSES - 1].found;
        let verdict =
            if compared.is_as_promised(self.partitions) { "Everything is as promised." } else { "NOT as promised." };
        writeln!(
            out,
            "{verdict} acks=all: {} acknowledged and missing on any node, {} out of order. With acks=1 and 0 a dead leader takes with it what \
             no follower had fetched. A record that was sent again because nobody knew what had become of it may be there twice: {}.",
            print::count(last.lost),
            print::count(last.out_of_order),
            print::count(compared.levels.iter().map(|level| level.found.duplicated).sum())
        )?;
        if let Some(first) = self.compared.repeated.first() {
            let places: Vec<String> =
                first.places.iter().map(|(partition, offset)| format!("{partition}@{offset}")).collect();
            let (name, number) = (LEVELS[first.level].name, first.number);
            writeln!(
                out,
                "The first of these is record {number} of {name}, at {} (partition@offset).",
                places.join(" and ")
            )?;
        }
        writeln!(out, "The files stay in {}", self.dir.display())?;
        Ok(out.flush()?)
    }

    fn json(&self, high_watermarks: &[Offset]) -> Value {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let passes: Vec<Value> = self
            .passes
            .iter()
            .map(|killed| {
                let (pass, found) = (&killed.pass, &self.compared.levels[killed.pass.level].found);
                json!({
                    "name": LEVELS[pass.level].name, "records": pass.sent, "acked": pass.acked_count(), "failed": pass.failed,
                    "found": found.records, "lost": found.lost, "changed": found.changed, "duplicated": found.duplicated,
                    "out_of_order": found.out_of_order, "seconds": pass.elapsed.as_secs_f64(),
                    "killed_node": killed.victim.0, "new_leader": killed.leader.0,
                    "elected_seconds": seconds(killed.elected), "outage_seconds": seconds(pass.outage),
                    "caught_up_seconds": killed.caught_up.as_secs_f64(),
                })
            })
            .collect();
        let repeated: Vec<Value> = self
            .compared
            .repeated
            .iter()
            .map(|one| {
                let places: Vec<Value> = one
                    .places
                    .iter()
                    .map(|(partition, offset)| json!({ "partition": partition, "offset": offset }))
                    .collect();
                json!({ "name": LEVELS[one.level].name, "number": one.number, "places": places })
            })
            .collect();
        json!({
            "as_promised": self.compared.is_as_promised(self.partitions),
            "dir": self.dir.display().to_string(),
            "input": {
                "name": self.input.name(), "lines": self.input.line_count(), "bytes": self.input.bytes(),
                "rounds": self.input.rounds(),
            },
            "partitions": self.partitions,
            "passes": passes,
            "identical_partitions": self.compared.identical,
            "high_watermarks": high_watermarks.iter().map(|offset| offset.0).collect::<Vec<_>>(),
            "bytes": self.compared.bytes,
            "first_repeated": repeated,
        })
    }
}
