//! Three members over one hub.

use kafkalog::{
    Acks, ChannelHub, Consumer, Engine, Error, NodeId, Offset, Producer, Record, TopicConfig, TopicPartition, Transport,
};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Far more than anything here takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const CLUSTER_ID: &str = "AAAAAAAAAAAAAAAAAAAAAQ";

pub struct Cluster {
    pub hub: ChannelHub,
    members: Vec<Member>,
    settings: Vec<(String, String)>,
}

struct Member {
    id: u32,
    engine: Engine,
    /// Its only way to the others.
    transport: Arc<dyn Transport>,
    is_cut_off: bool,
    dir: Arc<TempDir>,
}

impl Cluster {
    /// Members 1, 2 and 3, all of which take part.
    pub fn new() -> Cluster {
        Cluster::with(&[])
    }

    pub fn with(settings: &[(&str, &str)]) -> Cluster {
        Cluster::with_last(settings, &[])
    }

    /// The last one has these settings besides.
    pub fn with_last(settings: &[(&str, &str)], last: &[(&str, &str)]) -> Cluster {
        let hub = ChannelHub::new();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let last: Vec<_> = last.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let start = |id| {
            let all: Vec<_> = settings.iter().chain(last.iter().filter(|_| id == 3)).cloned().collect();
            Member::start(&hub, id, &all, Arc::new(tempfile::tempdir().expect("temp dir"))).expect("opens")
        };
        let cluster = Cluster { members: (1..=3).map(start).collect(), hub, settings };
        cluster.wait_for_members(3);
        cluster
    }

    pub fn engine(&self, id: u32) -> &Engine {
        &self.members[id as usize - 1].engine
    }

    /// Nobody hears from this member any more, as if its process had died.
    pub fn cut_off(&mut self, id: u32) {
        let member = &mut self.members[id as usize - 1];
        member.transport.stop();
        member.is_cut_off = true;
    }

    /// Closes a member and opens its directory again, with these settings besides.
    pub fn reopen_with(&mut self, id: u32, settings: &[(&str, &str)]) -> Result<(), Error> {
        let index = id as usize - 1;
        self.members[index].engine.close_timeout(PATIENCE).expect("closes");
        let dir = Arc::clone(&self.members[index].dir);
        let more = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let settings: Vec<_> = self.settings.iter().cloned().chain(more).collect();
        self.members[index].is_cut_off = true;
        self.members[index] = Member::start(&self.hub, id, &settings, dir)?;
        Ok(())
    }

    pub fn reopen(&mut self, id: u32) {
        self.reopen_with(id, &[]).expect("opens");
    }

    /// One more member: it knows the voters 1, 2 and 3, and they have not heard of it.
    pub fn join(&mut self, settings: &[(&str, &str)]) -> u32 {
        let id = self.members.len() as u32 + 1;
        let more = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let settings: Vec<_> = self.settings.iter().cloned().chain(more).collect();
        let dir = Arc::new(tempfile::tempdir().expect("temp dir"));
        self.members.push(Member::start(&self.hub, id, &settings, dir).expect("opens"));
        id
    }

    fn alive(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.is_cut_off)
    }

    pub fn wait_for_members(&self, count: usize) {
        for member in self.alive() {
            until("the members take part", || {
                let nodes = member.engine.describe_cluster().ok()?.nodes;
                (nodes.iter().filter(|node| !node.is_fenced).count() == count).then_some(())
            });
        }
    }

    /// A topic with these replicas that every member has heard of.
    pub fn create(&self, topic: &str, replicas: u16) {
        self.engine(1).create_topic(topic, TopicConfig::new().partitions(1).replication(replicas)).expect("creates");
        self.wait_for_topic(topic);
    }

    pub fn wait_for_topic(&self, topic: &str) {
        for member in self.alive() {
            until("every member knows the topic", || member.engine.describe(topic).ok());
        }
    }

    /// Where the one partition of the topic lies.
    pub fn replicas(&self, topic: &str) -> Vec<u32> {
        let found = self.alive().next().expect("is alive").engine.describe_replicas(topic, 0).expect("is known");
        found.replicas.iter().map(|node| node.0).collect()
    }

    /// Who leads it, as far as the members that are alive agree.
    pub fn leader(&self, topic: &str) -> u32 {
        until("the members agree who leads", || {
            let mut says = self.alive().map(|member| member.engine.describe_replicas(topic, 0).ok()?.leader);
            let first: NodeId = says.next().flatten()?;
            says.all(|other| other == Some(first)).then_some(first.0)
        })
    }

    /// The member that has no replica of the topic's one partition.
    pub fn stranger(&self, topic: &str) -> u32 {
        let replicas = self.replicas(topic);
        (1..=3).find(|id| !replicas.contains(id)).expect("there is one without")
    }
}

impl Member {
    fn start(hub: &ChannelHub, id: u32, settings: &[(String, String)], dir: Arc<TempDir>) -> Result<Member, Error> {
        let transport: Arc<dyn Transport> = Arc::new(hub.transport(&format!("n{id}")).expect("a free name"));
        let (number, listener) = (id.to_string(), format!("inproc://n{id}"));
        let own = [
            ("node.id", number.as_str()),
            ("listeners", &listener),
            ("cluster.id", CLUSTER_ID),
            ("controller.quorum.voters", "1@inproc://n1,2@inproc://n2,3@inproc://n3"),
        ];
        let builder = Engine::builder(dir.path()).transport(Arc::clone(&transport));
        let set = own.into_iter().chain(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let builder = set.fold(builder, |builder, (name, value)| builder.set(name, value).expect("legal"));
        Ok(Member { id, engine: builder.open()?, transport, is_cut_off: false, dir })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for member in &self.members {
                eprintln!("member {}: {:?}", member.id, member.engine.describe_cluster());
            }
        }
        // All at once: whoever goes last finds no majority to hand over to, and waits for it.
        thread::scope(|scope| {
            for member in &self.members {
                scope.spawn(|| member.engine.close_timeout(Duration::from_secs(5)));
            }
        });
    }
}

/// Looks again and again, giving way to the others.
pub fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        thread::yield_now();
    }
}

pub fn id(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 0)
}

/// Sends one record, which is acknowledged by all replicas in sync.
pub fn put(producer: &Producer, topic: &str, value: &str) -> Result<Offset, Error> {
    let metadata = producer.send(Record::new(topic, value))?.wait()?;
    Ok(metadata.offset.expect("acks=all"))
}

pub fn producer(engine: &Engine) -> Producer {
    engine.producer().acks(Acks::All).linger(Duration::ZERO).open().expect("opens")
}

/// Polls until so many records are there.
pub fn take(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let (began, mut values) = (Instant::now(), Vec::new());
    while values.len() < count {
        assert!(began.elapsed() < PATIENCE, "in vain for {count} records: {values:?}");
        let records = consumer.poll(PATIENCE).expect("polls");
        values.extend(records.iter().map(|r| String::from_utf8(r.value.expect("a value").to_vec()).expect("text")));
    }
    values
}
