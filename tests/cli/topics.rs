use crate::Dir;

#[test]
fn a_topic_is_created_listed_described_altered_and_deleted() {
    let dir = Dir::new();
    let created =
        dir.run("topics", &["--create", "--topic", "orders", "--partitions", "2", "--config", "retention.ms=5000"]);
    assert_eq!(created.ok(), "Created topic orders.\n");
    dir.create("bills", 1, &[]);
    assert_eq!(dir.run("topics", &["--list"]).ok(), "bills\norders\n");

    let described = dir.run("topics", &["--describe", "--topic", "orders"]).ok();
    let mut lines = described.lines();
    let head = lines.next().unwrap();
    assert!(head.starts_with("Topic: orders\tTopicId: "), "{head}");
    assert!(head.ends_with("\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: retention.ms=5000"), "{head}");
    assert!(lines.next().unwrap().starts_with("\tTopic: orders\tPartition: 0\tLeader: "));
    assert!(lines.next().unwrap().contains("\tPartition: 1\tLeader: 0\tReplicas: 0\tIsr: 0"));

    dir.run("topics", &["--alter", "--topic", "orders", "--partitions", "3"]).ok();
    let described = dir.json("topics", &["--describe", "--topic", "orders"]);
    assert_eq!(described["topics"][0]["partition_count"], 3);
    assert_eq!(described["topics"][0]["configs"]["retention.ms"], "5000");
    assert_eq!(described["topics"][0]["topic_id"].as_str().unwrap().len(), 22);

    dir.run("topics", &["--delete", "--topic", "orders"]).ok();
    assert_eq!(dir.run("topics", &["--list"]).ok(), "bills\n");
}

#[test]
fn what_is_there_already_is_left_alone_when_asked_so() {
    let dir = Dir::new();
    dir.create("orders", 2, &[]);
    let again = ["--create", "--topic", "orders", "--partitions", "5"];
    assert!(dir.run("topics", &again).fails(1).contains("TOPIC_ALREADY_EXISTS (36)"));
    dir.run("topics", &[&again[..], &["--if-not-exists"]].concat()).ok();
    assert_eq!(dir.json("topics", &["--describe"])["topics"][0]["partition_count"], 2);
    dir.run("topics", &["--delete", "--topic", "nobody", "--if-exists"]).ok();
}

#[test]
fn partitions_grow_and_never_shrink() {
    let dir = Dir::new();
    dir.create("orders", 3, &[]);
    let error = dir.run("topics", &["--alter", "--topic", "orders", "--partitions", "2"]).fails(2);
    assert!(error.contains("INVALID_PARTITIONS (37)"), "{error}");
}

#[test]
fn settings_of_a_topic_are_altered_described_and_survive_reopening() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    let entity = ["--entity-type", "topics", "--entity-name", "orders"];
    let alter = [&["--alter", "--add-config", "retention.ms=7,cleanup.policy=[delete]"], &entity[..]].concat();
    assert_eq!(dir.run("configs", &alter).ok(), "Completed updating config for topic orders.\n");
    let described = dir.run("configs", &[&["--describe"], &entity[..]].concat()).ok();
    assert!(described.contains("  retention.ms=7 source=DYNAMIC_TOPIC_CONFIG\n"), "{described}");
    dir.run("configs", &[&["--alter", "--delete-config", "retention.ms"], &entity[..]].concat()).ok();
    let described = dir.run("configs", &[&["--describe", "--all"], &entity[..]].concat()).ok();
    assert!(described.contains("  retention.ms=604800000 source=DEFAULT_CONFIG\n"), "{described}");
    assert!(described.contains("  flush.ms=1000 source=DEFAULT_CONFIG\n"), "{described}");
}

#[test]
fn one_wrong_setting_among_several_changes_nothing() {
    let dir = Dir::new();
    dir.create("orders", 1, &[]);
    let alter = ["--alter", "--entity-name", "orders", "--add-config", "retention.ms=7,retention.byte=1"];
    let error = dir.run("configs", &alter).fails(2);
    assert!(error.contains("did you mean retention.bytes?"), "{error}");
    assert_eq!(dir.json("configs", &["--describe"])["topics"][0]["configs"], serde_json::json!([]));
}

#[test]
fn every_setting_is_explained_without_a_directory() {
    let mut command = crate::program();
    command.args(["configs", "--explain", "all", "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&crate::run(command, "").ok()).unwrap();
    let rows = explained["settings"].as_array().unwrap();
    let flush = rows.iter().find(|row| row["name"] == "flush.ms").unwrap();
    assert_eq!((flush["default"].as_str(), flush["scope"].as_str()), (Some("1000"), Some("topic")));
    let mut command = crate::program();
    command.args(["configs", "--explain", "producer"]);
    assert!(crate::run(command, "").ok().contains("producer linger.ms (long; default 5; legal 0..="));
}
