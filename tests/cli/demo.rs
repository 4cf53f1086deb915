use crate::{program, run, Dir};
use serde_json::Value;

#[test]
fn the_demo_finds_everything_that_was_promised() {
    let dir = Dir::new();
    let input = dir.file("input", "one two\nthree\n\none four\n");
    let report = dir.json("demo", &["--input", input.to_str().unwrap(), "--rounds", "50", "--partitions", "3"]);
    assert_eq!(report["as_promised"], true, "{report}");
    assert_eq!(report["input"]["lines"], 4);
    for pass in report["passes"].as_array().unwrap() {
        assert_eq!(
            (pass["records"].as_u64(), pass["acked"].as_u64(), pass["found"].as_u64()),
            (Some(200), Some(200), Some(200))
        );
        assert_eq!(pass["first_acknowledgements"].as_array().unwrap().len(), 3);
    }
    assert!(report["passes"][3]["fsyncs"].as_u64().unwrap() > 0, "flush.messages=1 is not free");
    assert_eq!(report["passes"][0]["first_acknowledgements"][0]["offset"], Value::Null, "acks=0 knows no offset");
    for level in [1, 2] {
        assert!(report["killed"][level]["acked"].as_u64().unwrap() > 0);
        assert_eq!(report["killed"][level]["lost"], 0);
    }
    // The files are there for other verbs to look at.
    assert_eq!(dir.run("topics", &["--list"]).ok(), "demo\ndemo-flushed\ndemo-killed\n");
    dir.run("check", &[]).ok();
    assert!(dir.run("demo", &[]).fails(3).contains("the topic demo is there already"));
}

#[test]
fn the_demo_tells_people_a_short_story_and_draws_no_bar_into_a_pipe() {
    let dir = Dir::new();
    let ran = dir.run("demo", &["--rounds", "1"]);
    assert_eq!(ran.err, "");
    let out = ran.ok();
    assert!(
        out.contains("lines (") && out.contains(" from the license, 1 round: topic demo of 4 partitions in "),
        "{out}"
    );
    for level in ["acks=0 ", "acks=1 ", "acks=all ", "flushed "] {
        assert!(out.lines().filter(|line| line.starts_with(level.trim_end())).count() >= 2, "{level}: {out}");
    }
    assert!(out.contains("kill -9 ") && out.contains("Recovered from the kill in "), "{out}");
    assert!(out.contains("Everything is as promised."), "{out}");
}

#[test]
fn the_demo_reads_its_input_from_standard_input_too() {
    let dir = Dir::new();
    let text: String = (0..300).map(|i| format!("word{} {i}\n", i % 7)).collect();
    let out = dir.run_with_input("demo", &["--input", "-", "--rounds", "1", "--json"], &text).ok();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((report["passes"][2]["found"].as_u64(), report["as_promised"].as_bool()), (Some(300), Some(true)));
}

#[test]
fn without_a_directory_the_demo_makes_one_and_says_where() {
    let dir = Dir::new();
    std::fs::create_dir(dir.path()).unwrap();
    let mut command = program();
    command.args(["demo", "--rounds", "1", "--json"]).env("TMPDIR", dir.path());
    let report: Value = serde_json::from_str(&run(command, "").ok()).unwrap();
    let place = report["dir"].as_str().unwrap();
    assert!(place.starts_with(dir.path().to_str().unwrap()) && std::path::Path::new(place).is_dir(), "{place}");
}

#[test]
fn three_processes_lose_their_leader_by_sigkill_and_every_acknowledged_record_is_in_all_their_files() {
    let dir = Dir::new();
    let text: String = (0..40).map(|i| format!("word{i} of a line\n")).collect(); // keys for every partition
    let input = dir.file("input", &text);
    let words = ["--processes", "--input", input.to_str().unwrap(), "--rounds", "10", "--partitions", "2"];
    let report = dir.json("demo", &words);
    assert_eq!((&report["as_promised"], &report["identical_partitions"]), (&true.into(), &2.into()), "{report}");
    let passes = report["passes"].as_array().unwrap();
    assert_eq!(passes.len(), 3);
    for pass in passes {
        assert_ne!(pass["killed_node"], pass["new_leader"], "{pass}");
        assert_eq!((&pass["records"], &pass["changed"]), (&400.into(), &0.into()), "{pass}");
        assert!(pass["elected_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{pass}");
    }
    let all = &passes[2];
    assert_eq!(
        (&all["name"], &all["acked"], &all["lost"], &all["failed"]),
        (&"acks=all".into(), &400.into(), &0.into(), &0.into())
    );
    assert!(all["outage_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{all}");
    // They are one after the other in the files, and those of nobody else.
    let found: u64 = passes.iter().map(|pass| pass["found"].as_u64().unwrap()).sum();
    let high: u64 = report["high_watermarks"].as_array().unwrap().iter().map(|end| end.as_u64().unwrap()).sum();
    assert_eq!(found, high, "{report}");
    assert!(dir.run("demo", &words).fails(3).contains("it is there already"));
}
