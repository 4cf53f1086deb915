//! The table: one row a setting. Names, types, ranges and defaults are Kafka 4.0's unless the row says otherwise.

use super::address::Port;
use super::value::Kind;
use Scope::{Client, Consumer, Engine, Producer, Topic};

/// Where a setting belongs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scope {
    /// One open directory (Kafka's broker settings).
    Engine,
    /// One topic; the default of every topic is set at the engine by the row's synonyms.
    Topic,
    Producer,
    Consumer,
    /// A program that hosts no data and is connected with a cluster.
    Client,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Scope; 5] = [Engine, Topic, Producer, Consumer, Client];

    /// The name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Engine => "engine",
            Topic => "topic",
            Producer => "producer",
            Consumer => "consumer",
            Client => "client",
        }
    }
}

/// One setting: a row of the table.
#[derive(Debug)]
pub struct Setting {
    pub(super) scope: Scope,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) sentence: &'static str,
    /// Engine settings that give the default of this topic setting, the strongest first, each with the factor that turns
    /// its unit into this row's.
    pub(super) synonyms: &'static [(&'static str, i64)],
    /// Whether its value is never shown.
    pub(super) is_secret: bool,
}

/// What is shown in the place of a secret (Kafka's word).
pub(super) const HIDDEN: &str = "[hidden]";

impl Setting {
    /// Where it belongs.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Kafka's name, or ours where Kafka has none.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `int`, `long`, `boolean` or `string`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.kind.type_name()
    }

    /// The legal values, as errors print them: `0..=2147483647`, `true or false`.
    #[must_use]
    pub fn legal(&self) -> String {
        self.kind.to_string()
    }

    /// The default as text.
    #[must_use]
    pub fn default_value(&self) -> &'static str {
        self.default
    }

    /// What it does, in a sentence or two.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.sentence
    }

    /// Whether its value is never shown: what asks for it is answered `[hidden]`.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// For a topic setting: the engine settings that give its default, the strongest first.
    pub fn synonyms(&self) -> impl Iterator<Item = &'static str> {
        self.synonyms.iter().map(|(name, _)| *name)
    }
}

/// Every setting there is, in the order of the printed tables.
#[must_use]
pub fn settings() -> &'static [Setting] {
    ROWS
}

const fn row(scope: Scope, name: &'static str, kind: Kind, default: &'static str, sentence: &'static str) -> Setting {
    Setting { scope, name, kind, default, sentence, synonyms: &[], is_secret: false }
}

impl Setting {
    const fn at_engine(mut self, synonyms: &'static [(&'static str, i64)]) -> Setting {
        self.synonyms = synonyms;
        self
    }

    const fn secret(mut self) -> Setting {
        self.is_secret = true;
        self
    }
}

/// What one frame between two nodes has room for.
const FRAME_BATCHES_MAX: i64 = 64 * 1024 * 1024;
const I32: i64 = i32::MAX as i64;
const I64: i64 = i64::MAX;
const HOUR: i64 = 3_600_000;
const BOOL: Kind = Kind::Bool;
const TEXT: Kind = Kind::Text;
const PEM: Kind = Kind::OneOf(&["PEM"]);

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max, or: None }
}

/// A range with one number outside of it that means something of its own (mostly -1 for "none").
const fn int_or(or: i64, min: i64, max: i64) -> Kind {
    Kind::Int { min, max, or: Some(or) }
}

#[rustfmt::skip] // one setting, one row
pub(super) static ROWS: &[Setting] = &[
    // The directory.
    row(Engine, "log.dirs", TEXT, "", "The data directory. One only; what the engine is opened with goes before it."),
    row(Engine, "node.id", int_or(-1, 0, I32), "-1", "The number of this node; -1 takes the one that the directory has, 0 in a new one."),
    row(Engine, "num.partitions", int(1, I32), "1", "Partitions of a topic that is created without saying how many."),
    row(Engine, "auto.create.topics.enable", BOOL, "true", "Whether a send to an unknown topic creates it."),
    row(Engine, "log.retention.check.interval.ms", int(1, I64), "300000", "How often retention looks for segments to delete."),
    row(Engine, "log.flush.offset.checkpoint.interval.ms", int(0, I32), "60000", "How often recovery points are written down; recovery after a crash reads what lies behind them."),
    row(Engine, "log.flush.start.offset.checkpoint.interval.ms", int(0, I32), "60000", "How often log start offsets are written down."),
    row(Engine, "replica.high.watermark.checkpoint.interval.ms", int(0, I64), "5000", "How often high watermarks are written down."),
    row(Engine, "producer.id.expiration.ms", int(1, I32), "86400000", "How long the sequence numbers of a silent producer id are remembered."),
    row(Engine, "shutdown.timeout.ms", int(0, I32), "30000", "How long closing may take before it gives up and says what is left. Ours; Kafka has no such limit."),
    row(Engine, "log.queue", BOOL, "false", "Whether log lines arrive as events of the main queue. Ours."),
    row(Engine, "statistics.interval.ms", int(0, 86_400_000), "0", "How often statistics arrive as an event of the main queue; 0 is never. librdkafka's."),
    row(Engine, "dir.max.bytes", int_or(-1, 65_536, I64), "-1", "A hard cap for everything in the directory, indexes and temporary files included; -1 is none. Ours."),
    row(Engine, "dir.reserve.bytes", int(0, I64), "1048576", "Bytes below dir.max.bytes that appends leave alone, so that recovery works in a full directory. Ours."),
    row(Engine, "open.partitions.max", int(1, I32), "1024", "Partitions that stay open when nobody uses them; the one unused for longest is closed first. Ours."),
    row(Engine, "open.files.max", int(16, I32), "512", "Files of sealed segments that stay open when nobody reads them. Ours."),
    row(Engine, "fetch.pinned.max.bytes", int(65_536, I64), "67108864", "Memory that fetched batches may hold until they are released; beyond, fetching waits. Ours."),
    row(Engine, "batch.inflate.max.bytes", int(1_024, I32), "134217728", "What one compressed batch may unfold to; beyond, it is an error. Ours."),

    // The cluster.
    row(Engine, "controller.mode", Kind::OneOf(&["quorum", "static"]), "quorum", "Who decides which node leads: the voters by majority, or the program, which appoints every leader itself. Ours."),
    row(Engine, "cluster.id", Kind::ClusterId, "", "The cluster that this node belongs to; empty takes the one of the directory. Nodes of other clusters are not let in. A file of Kafka's has it; for us it is a setting too."),
    row(Engine, "cluster.secret", TEXT, "", "What all members of the cluster know and nobody else; with one, both ends of a connection prove that they know it. Never shown. Ours.").secret(),
    row(Engine, "ssl.keystore.location", TEXT, "", "For tls://: the PEM file with the certificate that this node shows, then those of the authorities between it and one that the others believe; also its private key, unless ssl.key.location has it. Read once, at the opening."),
    row(Engine, "ssl.key.location", TEXT, "", "The PEM file with the private key (PKCS#8, PKCS#1 or SEC1, without a password) where it lies apart from the certificate. librdkafka's; Kafka has it in the keystore."),
    row(Engine, "ssl.truststore.location", TEXT, "", "For tls://: the PEM file with the authorities one of which must have signed the certificate of whoever is at the other end."),
    row(Engine, "ssl.keystore.type", PEM, "PEM", "The form of ssl.keystore.location. Kafka's default is JKS."),
    row(Engine, "ssl.truststore.type", PEM, "PEM", "The form of ssl.truststore.location. Kafka's default is JKS."),
    row(Engine, "ssl.client.auth", Kind::OneOf(&["required"]), "required", "Whether others must show a certificate too: always. Kafka's default is none."),
    row(Engine, "ssl.endpoint.identification.algorithm", Kind::OneOf(&["https", "none"]), "https", "Whether a node's certificate must name the host of the address under which that node is known, at both ends of a connection; none believes every certificate of the authorities for every node. In Kafka none is an empty text."),
    row(Engine, "controller.quorum.voters", Kind::Voters, "", "Number and address of every node that votes, itself included if it does; empty for a node that is alone. With controller.mode=static: the other nodes."),
    row(Engine, "listeners", Kind::Url(Port::ZeroIsAFreeOne), "", "Where this node listens for others and for clients. One address only; Kafka takes several and has no unix:// and inproc://."),
    row(Engine, "advertised.listeners", Kind::Url(Port::Real), "", "The address that others are told; empty is that of listeners."),
    row(Engine, "node.holds.data", BOOL, "true", "Whether partitions may be placed on this node; false is a node that only votes. Ours; Kafka has process.roles."),
    row(Engine, "broker.rack", TEXT, "", "Where this node stands; the replicas of a partition are spread over racks."),
    row(Engine, "default.replication.factor", int(1, i16::MAX as i64), "1", "Replicas of a topic that is created without saying how many."),
    row(Engine, "replica.lag.time.max.ms", int(1, I64), "10000", "A follower that was not at the leader's end for so long leaves the in-sync replicas, and acks=all waits for it until then. Kafka's default is 30000; ours stalls writers for less long."),
    row(Engine, "replica.fetch.max.bytes", int(0, FRAME_BATCHES_MAX), "1048576", "Most bytes of one partition that a follower fetches at once; the first batch always comes whole."),
    row(Engine, "replica.fetch.response.max.bytes", int(0, FRAME_BATCHES_MAX), "10485760", "Most bytes that a follower fetches at once; the first batch always comes whole."),
    row(Engine, "replica.fetch.wait.max.ms", int(1, I32), "500", "How long a leader keeps a follower's fetch when there is nothing new."),
    row(Engine, "replica.fetch.backoff.ms", int(0, I32), "100", "The pause of a follower after a fetch that failed. Kafka's default is 1000; ours finds a new leader sooner."),
    row(Engine, "num.replica.fetchers", int(1, 64), "1", "Conversations that a follower has with one leader, its partitions spread over them."),
    row(Engine, "follower.replication.throttled.rate", int(1, I64), "9223372036854775807", "Bytes per second that a follower which is not in sync may fetch; Long.MAX is no limit. Kafka allows 0, which would never catch up."),
    row(Engine, "broker.heartbeat.interval.ms", int(1, I32), "300", "How often a node tells the controller that it is there. Kafka's default is 2000; ours goes with broker.session.timeout.ms."),
    row(Engine, "broker.session.timeout.ms", int(1, I32), "1500", "A node that was silent for so long is fenced, and others lead its partitions; one whose connection with the controller has ended, after a third of that. A round trip between nodes has to take less than half of it. Kafka's default is 9000; ours fails over in less than two seconds on a local network."),
    row(Engine, "controller.quorum.election.timeout.ms", int(1, I32), "600", "How long an election of the controller may go without a winner, up to twice as long by lot, until the next one. Kafka's default is 1000."),
    row(Engine, "controller.quorum.fetch.timeout.ms", int(1, I32), "600", "A voter that hears nothing of the controller for so long, up to twice as long by lot, stands for election; the larger of this and controller.quorum.election.timeout.ms counts for both. Kafka's default is 2000; ours has a new controller within broker.session.timeout.ms."),
    row(Engine, "controller.quorum.request.timeout.ms", int(1, I32), "1000", "How long a request to the controller may go without an answer until it is asked again. Kafka's default is 2000."),
    row(Engine, "auto.leader.rebalance.enable", BOOL, "true", "Whether partitions go back to their preferred leaders by themselves."),
    row(Engine, "leader.imbalance.check.interval.seconds", int(1, I32), "300", "How often the controller looks for partitions that are not with their preferred leader."),
    row(Engine, "request.timeout.ms", int(0, I32), "30000", "How long a request to another node may take."),

    // Topics.
    row(Topic, "segment.bytes", int(1_024, I32), "1073741824", "Size at which a segment is closed and the next one begun. Kafka 4.0 allows no less than 1 MiB; small devices and tests need less.")
        .at_engine(&[("log.segment.bytes", 1)]),
    row(Topic, "segment.ms", int(1, I64), "604800000", "Age at which a segment is closed although it is not full.")
        .at_engine(&[("log.roll.ms", 1), ("log.roll.hours", HOUR)]),
    row(Topic, "segment.jitter.ms", int(0, I64), "0", "At most this much, by lot, is taken off segment.ms, so that not all segments close at once.")
        .at_engine(&[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)]),
    row(Topic, "segment.index.bytes", int(12, I32), "10485760", "Size that each index of the active segment is allocated with; a full index closes the segment. Kafka allows 4, which holds no entry.")
        .at_engine(&[("log.index.size.max.bytes", 1)]),
    row(Topic, "index.interval.bytes", int(0, I32), "4096", "An index entry is added after about this many bytes of log.")
        .at_engine(&[("log.index.interval.bytes", 1)]),
    row(Topic, "flush.messages", int(1, I64), "9223372036854775807", "Records after which the log is flushed; with 1 every acknowledgement waits for the flush.")
        .at_engine(&[("log.flush.interval.messages", 1)]),
    row(Topic, "flush.ms", int(0, I64), "1000", "Longest time that a written record stays unflushed, and so the window that a power cut may lose. Kafka's default is never.")
        .at_engine(&[("log.flush.interval.ms", 1)]),
    row(Topic, "retention.bytes", int(-1, I64), "-1", "Size of a partition beyond which the oldest segments are deleted; -1 is unlimited.")
        .at_engine(&[("log.retention.bytes", 1)]),
    row(Topic, "retention.ms", int(-1, I64), "604800000", "Age beyond which segments are deleted; -1 is unlimited.")
        .at_engine(&[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", HOUR)]),
    row(Topic, "max.message.bytes", int(0, I32), "1048588", "The largest batch, as it arrives, that is accepted.")
        .at_engine(&[("message.max.bytes", 1)]),
    row(Topic, "cleanup.policy", Kind::OneOf(&["delete"]), "delete", "What happens to old segments. Compaction is not supported yet.")
        .at_engine(&[("log.cleanup.policy", 1)]),
    row(Topic, "file.delete.delay.ms", int(0, I64), "60000", "How long a file stays, renamed, before it is deleted.")
        .at_engine(&[("log.segment.delete.delay.ms", 1)]),
    row(Topic, "compression.type", Kind::OneOf(&["producer", "uncompressed", "none", "gzip", "snappy", "lz4", "zstd"]), "producer", "How batches are stored; producer keeps them as they arrive.")
        .at_engine(&[("compression.type", 1)]),
    row(Topic, "preallocate", BOOL, "false", "Whether a new segment is allocated whole.")
        .at_engine(&[("log.preallocate", 1)]),
    row(Topic, "message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime", "Whose clock timestamps come from: the producer's, or the leader's at the append.")
        .at_engine(&[("log.message.timestamp.type", 1)]),
    row(Topic, "message.timestamp.before.max.ms", int(0, I64), "9223372036854775807", "How far a record's timestamp may lie in the past.")
        .at_engine(&[("log.message.timestamp.before.max.ms", 1)]),
    row(Topic, "message.timestamp.after.max.ms", int(0, I64), "3600000", "How far a record's timestamp may lie in the future.")
        .at_engine(&[("log.message.timestamp.after.max.ms", 1)]),
    row(Topic, "min.insync.replicas", int(1, I32), "1", "In-sync replicas without which acks=all is refused.")
        .at_engine(&[("min.insync.replicas", 1)]),
    row(Topic, "unclean.leader.election.enable", BOOL, "false", "Whether a replica that is not in sync may lead when no other is left; what it lacks is lost.")
        .at_engine(&[("unclean.leader.election.enable", 1)]),
    row(Topic, "dir.full.policy", Kind::OneOf(&["reject", "drop-oldest"]), "reject", "What an append does that would grow the directory past dir.max.bytes: fail, or drop the topic's oldest segments. Ours.")
        .at_engine(&[("dir.full.policy", 1)]),

    // Producers.
    row(Producer, "acks", Kind::OneOf(&["all", "-1", "0", "1"]), "all", "Who must have a record before its send is acknowledged."),
    row(Producer, "batch.size", int(0, I32), "16384", "Target size of a batch; a larger record goes alone, 0 sends every record alone."),
    row(Producer, "linger.ms", int(0, I64), "5", "How long a batch waits for company before it is sent."),
    row(Producer, "buffer.memory", int(0, I64), "33554432", "Bytes of records that may wait in the producer."),
    row(Producer, "max.block.ms", int(0, I64), "60000", "How long a send may wait for room in the buffer; 0: neither for that nor for late replicas."),
    row(Producer, "max.request.size", int(0, I32), "1048576", "The largest record, before compression."),
    row(Producer, "compression.type", Kind::OneOf(&["none", "gzip", "snappy", "lz4", "zstd"]), "none", "How batches are compressed."),
    row(Producer, "compression.gzip.level", int_or(-1, 1, 9), "-1", "How hard gzip tries; -1 is the codec's own default."),
    row(Producer, "compression.zstd.level", int(-131_072, 22), "3", "How hard zstd tries; more is smaller and slower."),
    row(Producer, "delivery.timeout.ms", int(0, I32), "120000", "Longest time from a send to its result."),
    row(Producer, "request.timeout.ms", int(0, I32), "30000", "How long one attempt may take: the leader's answer, its wait for the in-sync replicas included."),
    row(Producer, "retries", int(0, I32), "2147483647", "How often a batch is tried again after the first attempt; delivery.timeout.ms usually ends first. On one node nothing is retried."),
    row(Producer, "retry.backoff.ms", int(0, I64), "100", "Pause before the first retry of a partition; doubles with each failure, give or take 20 %."),
    row(Producer, "retry.backoff.max.ms", int(0, I64), "1000", "The longest pause before a retry."),
    row(Producer, "partitioner.ignore.keys", BOOL, "false", "Whether records with a key are spread as those without."),
    row(Producer, "partitioner.adaptive.partitioning.enable", BOOL, "true", "Whether records without a key prefer partitions with shorter queues."),
    row(Producer, "client.id", TEXT, "", "A name for logs and statistics."),

    // Consumers.
    row(Consumer, "auto.offset.reset", Kind::OneOf(&["latest", "earliest", "none"]), "latest", "Where to go on when the position is not in the log."),
    row(Consumer, "max.poll.records", int(1, I32), "500", "Most records that one poll returns."),
    row(Consumer, "fetch.min.bytes", int(0, I32), "1", "A fetch waits until there is this much, or until fetch.max.wait.ms."),
    row(Consumer, "fetch.max.bytes", int(0, I32), "52428800", "Most bytes of one fetch; the first batch always comes whole."),
    row(Consumer, "max.partition.fetch.bytes", int(0, I32), "1048576", "Most bytes of one partition in one fetch; the first batch always comes whole."),
    row(Consumer, "fetch.max.wait.ms", int(0, I32), "500", "How long a fetch waits for fetch.min.bytes."),
    row(Consumer, "check.crcs", BOOL, "true", "Whether the checksum of every batch is verified."),
    row(Consumer, "isolation.level", Kind::OneOf(&["read_uncommitted", "read_committed"]), "read_uncommitted", "Whether records of open and aborted transactions are handed out."),
    row(Consumer, "default.api.timeout.ms", int(0, I32), "60000", "How long a call that asks another node (ends of a partition, an offset by its time) may take."),
    row(Consumer, "client.id", TEXT, "", "A name for logs and statistics."),

    // Programs that host no data.
    row(Client, "bootstrap.servers", Kind::Urls, "", "Where to look for the cluster at first: addresses of some of its nodes, the more the surer. Kafka's have no scheme."),
    row(Client, "cluster.id", Kind::ClusterId, "", "The cluster that is meant: nodes of another one are not spoken with. Empty takes whichever answers, as Kafka's clients do. Ours."),
    row(Client, "cluster.secret", TEXT, "", "What all members of the cluster know and nobody else; needed where they have one. Never shown. Ours.").secret(),
    row(Client, "ssl.keystore.location", TEXT, "", "For tls://: the PEM file with the certificate that this program shows, then those of the authorities between it and one that the others believe; also its private key, unless ssl.key.location has it. Read once, at the opening."),
    row(Client, "ssl.key.location", TEXT, "", "The PEM file with the private key (PKCS#8, PKCS#1 or SEC1, without a password) where it lies apart from the certificate. librdkafka's; Kafka has it in the keystore."),
    row(Client, "ssl.truststore.location", TEXT, "", "For tls://: the PEM file with the authorities one of which must have signed the certificate of a node."),
    row(Client, "ssl.keystore.type", PEM, "PEM", "The form of ssl.keystore.location. Kafka's default is JKS."),
    row(Client, "ssl.truststore.type", PEM, "PEM", "The form of ssl.truststore.location. Kafka's default is JKS."),
    row(Client, "ssl.endpoint.identification.algorithm", Kind::OneOf(&["https", "none"]), "https", "Whether a node's certificate must name the host of the address that is dialled. In Kafka none is an empty text."),
    row(Client, "client.id", TEXT, "", "A name for logs and statistics."),
    row(Client, "default.api.timeout.ms", int(0, I32), "60000", "How long a call that asks the cluster may take, all its attempts together."),
    row(Client, "request.timeout.ms", int(0, I32), "30000", "How long one attempt may take."),
    row(Client, "retry.backoff.ms", int(1, I64), "100", "Pause before the first repetition of a request; doubles with each failure. Kafka allows 0."),
    row(Client, "retry.backoff.max.ms", int(1, I64), "1000", "The longest pause before a repetition. Kafka allows 0."),
    row(Client, "metadata.max.age.ms", int(0, I64), "300000", "The cluster is asked what it looks like at least that often, also when nothing seems to have changed."),
    row(Client, "fetch.pinned.max.bytes", int(65_536, I64), "67108864", "Memory that the fetched batches of one consumer may hold until they are released; beyond, fetching waits. Ours."),
    row(Client, "shutdown.timeout.ms", int(0, I32), "30000", "How long closing may take before it gives up what is not delivered. Ours."),
];

/// Names of Kafka that this version knows of and has no use for yet. They are refused in so many words.
#[rustfmt::skip]
pub(super) static NOT_YET: &[&str] = &[
    // Engine and topics.
    "alter.config.policy.class.name", "broker.id", "cleaner.backoff.ms", "delete.retention.ms", "delete.topic.enable",
    "follower.replication.throttled.replicas", "group.initial.rebalance.delay.ms", "group.max.session.timeout.ms",
    "group.max.size", "group.min.session.timeout.ms", "inter.broker.listener.name",
    "leader.replication.throttled.replicas", "local.retention.bytes", "local.retention.ms", "log.cleaner.backoff.ms",
    "log.cleaner.dedupe.buffer.size", "log.cleaner.delete.retention.ms", "log.cleaner.enable",
    "log.cleaner.max.compaction.lag.ms", "log.cleaner.min.cleanable.ratio", "log.cleaner.min.compaction.lag.ms",
    "log.cleaner.threads", "log.dir", "log.flush.scheduler.interval.ms", "log.initial.task.delay.ms",
    "max.compaction.lag.ms", "min.cleanable.dirty.ratio", "min.compaction.lag.ms", "num.io.threads",
    "num.network.threads", "num.recovery.threads.per.data.dir", "offset.metadata.max.bytes",
    "offsets.retention.minutes", "offsets.topic.num.partitions", "offsets.topic.replication.factor",
    "offsets.topic.segment.bytes", "process.roles", "producer.id.expiration.check.interval.ms", "queued.max.requests",
    "remote.storage.enable", "replica.fetch.min.bytes", "socket.request.max.bytes", "transaction.max.timeout.ms",
    "transaction.state.log.min.isr", "transaction.state.log.num.partitions", "transaction.state.log.replication.factor",
    "transaction.state.log.segment.bytes", "transactional.id.expiration.ms",
    // Clients.
    "allow.auto.create.topics", "auto.commit.interval.ms", "client.dns.lookup", "client.rack",
    "compression.lz4.level", "connections.max.idle.ms", "enable.auto.commit",
    "enable.idempotence", "enable.metrics.push", "exclude.internal.topics", "group.id", "group.instance.id",
    "group.protocol", "group.remote.assignor", "heartbeat.interval.ms", "interceptor.classes", "key.deserializer",
    "key.serializer", "max.in.flight.requests.per.connection", "max.poll.interval.ms", 
    "metadata.max.idle.ms", "metric.reporters", "metrics.num.samples", "metrics.recording.level",
    "metrics.sample.window.ms", "partition.assignment.strategy", "partitioner.availability.timeout.ms",
    "partitioner.class", "receive.buffer.bytes", "reconnect.backoff.max.ms", "reconnect.backoff.ms",
    "sasl.jaas.config", "sasl.mechanism", "security.protocol",
    "send.buffer.bytes", "session.timeout.ms",
    "ssl.cipher.suites", "ssl.enabled.protocols", "ssl.key.password", "ssl.keystore.certificate.chain", "ssl.keystore.key",
    "ssl.keystore.password", "ssl.protocol", "ssl.truststore.certificates", "ssl.truststore.password", "transaction.timeout.ms", "transactional.id", "value.deserializer", "value.serializer",
];
