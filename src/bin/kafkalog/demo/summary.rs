//! The end of the demo: short, and honest.

use super::cluster::{self, Report};
use super::crash::Crash;
use super::input::Input;
use super::send::Pass;
use super::verify::{AllFound, Found};
use super::{Level, KILLED_LEVELS, LEVELS};
use crate::failure::Outcome;
use crate::print;
use kafkalog::inspect::DataDirView;
use serde_json::{json, Value};
use std::io::Write;
use std::path::Path;

pub struct Summary<'a> {
    pub input: &'a Input,
    pub dir: &'a Path,
    pub passes: &'a [Pass],
    pub found: &'a AllFound,
    pub crash: &'a Crash,
    pub partitions: u32,
    pub replicated: &'a Report,
}

impl Summary<'_> {
    /// acks=0 may lose records when the process is killed; nothing else may be lost, changed, doubled or out of order.
    pub fn is_as_promised(&self) -> bool {
        let survived = |(level, found): (usize, &Found)| {
            Found { lost: if level == 0 { 0 } else { found.lost }, ..*found }.is_whole()
        };
        let foreign = self.found.foreign == 0;
        let replicated = self.replicated.compared.is_as_promised(self.partitions);
        let one_node = self.found.levels.iter().all(Found::is_whole);
        foreign && one_node && self.crash.found.iter().enumerate().all(survived) && replicated
    }

    pub fn print(&self, json: bool) -> Outcome {
        let bytes_on_disk: u64 = DataDirView::read(self.dir)?.partitions.iter().map(|p| p.size_bytes()).sum();
        if json {
            return Ok(print::json(&self.json(bytes_on_disk))?);
        }
        let mut out = print::stdout();
        writeln!(out, "\n{:<20}{:>12}{:>12}{:>12}{:>12}", "", "records", "acked", "found", "lost")?;
        for pass in self.passes {
            let found = &self.found.levels[pass.level];
            self.row(&mut out, LEVELS[pass.level].name, Some(pass.sent), pass.acked(), found)?;
        }
        for (level, Level { name, .. }) in LEVELS[..KILLED_LEVELS].iter().enumerate() {
            let name = format!("{name}, killed");
            self.row(&mut out, &name, None, self.crash.acked[level], &self.crash.found[level])?;
        }
        for pass in &self.replicated.passes {
            let name = format!("{}, 3 nodes", LEVELS[pass.level].name);
            let found = &self.replicated.compared.levels[pass.level].found;
            self.row(&mut out, &name, Some(pass.sent), pass.acked_count(), found)?;
        }
        let read: u64 = self.found.levels.iter().map(|found| found.records).sum();
        writeln!(
            out,
            "Read back {} in {:.3} s: {} records/s, every byte compared with the input.",
            print::counted(read, "record"),
            self.found.elapsed.as_secs_f64(),
            print::count((read as f64 / self.found.elapsed.as_secs_f64().max(1e-9)) as u64)
        )?;
        writeln!(
            out,
            "Recovered from the kill in {:.1} ms: {} scanned, {} of torn tails cut off.",
            self.crash.recovery.as_secs_f64() * 1e3,
            print::bytes(self.crash.scanned_bytes),
            print::bytes(self.crash.truncated_bytes)
        )?;
        let fsyncs: u64 = self.passes.iter().map(|pass| pass.fsyncs).sum();
        let values: u64 = self.passes.iter().map(|pass| pass.value_bytes).sum();
        writeln!(
            out,
            "{} of values in {} passes, {fsyncs} fsyncs while sending, {} of logs in all.",
            print::bytes(values),
            self.passes.len(),
            print::bytes(bytes_on_disk)
        )?;
        let outages: Vec<String> = self
            .replicated
            .passes
            .iter()
            .filter_map(|pass| {
                pass.outage.map(|outage| format!("{} {:.1} s", LEVELS[pass.level].name, outage.as_secs_f64()))
            })
            .collect();
        writeln!(
            out,
            "Three nodes: {} of {} partitions are the same on all three, byte by byte ({}); after the leader was cut off, its partition \
             acknowledged again after: {}.",
            self.replicated.compared.identical,
            self.partitions,
            print::bytes(self.replicated.compared.bytes),
            outages.join(", ")
        )?;
        let verdict = if self.is_as_promised() { "Everything is as promised." } else { "NOT as promised." };
        writeln!(
            out,
            "{verdict} A killed process loses nothing that was acknowledged with acks=1 or all. A power cut may take what is \
             not flushed yet (flush.ms=1000), but nothing acknowledged under flush.messages=1 (\"flushed\" above). A dead leader \
             takes nothing with it that acks=all has acknowledged; with acks=1 and 0 whatever its followers had not fetched. A record \
             that was sent again because nobody knew what had become of it may be there twice."
        )?;
        writeln!(out, "The files stay in {}; look with: kafkalog cache --dir {0}", self.dir.display())?;
        Ok(out.flush()?)
    }

    fn row(&self, out: &mut impl Write, name: &str, sent: Option<u64>, acked: u64, found: &Found) -> Outcome {
        let sent = sent.map_or("endless".to_owned(), print::count);
        write!(
            out,
            "{name:<20}{sent:>12}{:>12}{:>12}{:>12}",
            print::count(acked),
            print::count(found.records),
            print::count(found.lost)
        )?;
        if found.changed + found.duplicated + found.out_of_order > 0 {
            write!(
                out,
                "  {} changed, {} twice, {} out of order",
                found.changed, found.duplicated, found.out_of_order
            )?;
        }
        Ok(writeln!(out)?)
    }

    fn json(&self, bytes_on_disk: u64) -> Value {
        let found_json = |found: &Found| {
            json!({
                "found": found.records,
                "lost": found.lost,
                "changed": found.changed,
                "duplicated": found.duplicated,
                "out_of_order": found.out_of_order,
            })
        };
        let passes: Vec<Value> = self
            .passes
            .iter()
            .map(|pass| {
                let mut object = found_json(&self.found.levels[pass.level]);
                let seconds = pass.elapsed.as_secs_f64();
                object["name"] = LEVELS[pass.level].name.into();
                object["records"] = pass.sent.into();
                object["acked"] = pass.acked().into();
                object["failed"] = pass.failed.into();
                object["seconds"] = seconds.into();
                object["records_per_second"] = (pass.sent as f64 / seconds.max(1e-9)).into();
                object["value_bytes"] = pass.value_bytes.into();
                object["fsyncs"] = pass.fsyncs.into();
                object["first_acknowledgements"] = pass.shown.iter().map(metadata_json).collect();
                object
            })
            .collect();
        let killed: Vec<Value> = LEVELS[..KILLED_LEVELS]
            .iter()
            .enumerate()
            .map(|(level, Level { name, .. })| {
                let mut object = found_json(&self.crash.found[level]);
                object["name"] = (*name).into();
                object["acked"] = self.crash.acked[level].into();
                object
            })
            .collect();
        json!({
            "as_promised": self.is_as_promised(),
            "dir": self.dir.display().to_string(),
            "input": { "name": self.input.name(), "lines": self.input.line_count(), "bytes": self.input.bytes(), "rounds": self.input.rounds() },
            "passes": passes,
            "read_seconds": self.found.elapsed.as_secs_f64(),
            "killed": killed,
            "recovery": {
                "seconds": self.crash.recovery.as_secs_f64(),
                "scanned_bytes": self.crash.scanned_bytes,
                "truncated_bytes": self.crash.truncated_bytes,
            },
            "log_bytes": bytes_on_disk,
            "replicated": self.replicated_json(),
        })
    }

    fn replicated_json(&self) -> Value {
        let Report { passes, compared, dirs } = self.replicated;
        let passes: Vec<Value> = passes
            .iter()
            .map(|pass| {
                let cluster::Replicated { found } = compared.levels[pass.level];
                json!({
                    "name": LEVELS[pass.level].name, "records": pass.sent, "acked": pass.acked_count(), "failed": pass.failed,
                    "found": found.records, "lost": found.lost, "changed": found.changed, "duplicated": found.duplicated,
                    "out_of_order": found.out_of_order, "outage_seconds": pass.outage.map(|outage| outage.as_secs_f64()),
                })
            })
            .collect();
        let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
        json!({ "passes": passes, "identical_partitions": compared.identical, "bytes": compared.bytes, "dirs": dirs })
    }
}

fn metadata_json(placed: &kafkalog::RecordMetadata) -> Value {
    json!({
        "topic": &*placed.topic,
        "partition": placed.partition,
        "offset": placed.offset.map(|offset| offset.0),
        "timestamp": placed.timestamp.0,
        "serialized_key_bytes": placed.serialized_key_bytes,
        "serialized_value_bytes": placed.serialized_value_bytes,
        "rung": format!("{:?}", placed.rung).to_lowercase(),
    })
}
