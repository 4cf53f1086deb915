"""A cluster of real processes: three nodes and one client, each in a network of its own (n1 to n4 of net-lab)."""

import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TOOLS = os.path.join(ROOT, "..", "shared", "tools")
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"
TOPIC = "t"
PARTITIONS = 3
NODES = (1, 2, 3)
CLIENT = 4
SKIP = 77
# Shorter than by default, so that more happens in a run.
SHORT = {"broker.session.timeout.ms": 1200, "replica.lag.time.max.ms": 2000}
CLIENT_SHORT = {
    "default.api.timeout.ms": 10000, "request.timeout.ms": 1500, "producer.request.timeout.ms": 1500,
    "producer.delivery.timeout.ms": 4000, "producer.linger.ms": 0, "consumer.default.api.timeout.ms": 10000,
}
IMAGE_BYTES = 192 << 20
FREEZE, THAW = (3 << 30) | (4 << 16) | (ord("X") << 8) | 119, (3 << 30) | (4 << 16) | (ord("X") << 8) | 120
EXT4_SHUTDOWN, WITHOUT_FLUSH = (2 << 30) | (4 << 16) | (ord("X") << 8) | 125, 2


class Broken(Exception):
    """A promise was not kept, or something did not come in time."""


class Skip(Exception):
    """This machine cannot do it."""


def binary(name):
    """What was built: in KAFKALOG_LAB_BIN, or the newer one of release and debug."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    own = os.environ.get("KAFKALOG_LAB_BIN")
    places = [own] if own else [os.path.join(target, profile) for profile in ("release", "debug")]
    found = [path for path in (os.path.join(place, name) for place in places) if os.access(path, os.X_OK)]
    if not found:
        raise Skip(f"{name} is not built (cargo build --release --bin kafkalog --example history)")
    return max(found, key=os.path.getmtime)


class Network:
    """The switch of net-lab, and faults between its nodes."""

    def __init__(self, name, seed):
        self.tool, self.name, self.seed = os.path.join(TOOLS, "net-lab"), name, seed

    def up(self):
        done = subprocess.run([self.tool, "up", "--lab", self.name, "--nodes", str(CLIENT), "--seed", str(self.seed)],
                              capture_output=True, text=True)
        if done.returncode == SKIP:
            raise Skip(done.stderr.strip())
        if done.returncode:
            raise Broken(f"net-lab up: {done.stderr}")

    def down(self):
        subprocess.run([self.tool, "down", "--lab", self.name], capture_output=True)

    def ask(self, command, *words):
        words = [str(word) for word in words]
        done = subprocess.run([self.tool, command, "--lab", self.name, *words], capture_output=True, text=True)
        if done.returncode:
            raise Broken(f"net-lab {command} {words}: {done.stderr}")

    def start(self, node, command, **how):
        return subprocess.Popen([self.tool, "exec", "--lab", self.name, f"n{node}", *command], start_new_session=True, **how)


class Disk:
    """The file system of one node: a folder, or ext4 in a file whose power can be cut."""

    def __init__(self, folder, has_power_cuts):
        self.folder, self.image, self.stalls = folder, folder + ".img" if has_power_cuts else None, False
        os.makedirs(folder)
        if self.image:
            with open(self.image, "wb") as file:
                file.truncate(IMAGE_BYTES)
            made = subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=4", "-E", "lazy_itable_init=0,nodiscard", self.image],
                                  env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"), capture_output=True, text=True)
            if made.returncode:
                raise Skip(f"mkfs.ext4: {made.stderr.strip()}")
            self.mount()

    def mount(self):
        done = subprocess.run(["mount", "-o", "loop", self.image, self.folder], capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"a loop device cannot be mounted here: {done.stderr.strip()}")

    def cut_power(self):
        """From here on nothing reaches the disk any more: what was not flushed by then is gone, the journal included."""
        self.control(EXT4_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))

    def stall(self):
        """From here on every write and every sync waits."""
        self.control(FREEZE)
        self.stalls = True

    def go_on(self):
        if self.stalls:
            self.stalls = False
            self.control(THAW)

    def control(self, what, argument=0):
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, what, argument)
        finally:
            os.close(folder)

    def power_comes_back(self):
        self.unmount()
        self.mount()

    def unmount(self):
        if self.image:
            for _ in range(50):
                if subprocess.run(["umount", self.folder], capture_output=True).returncode == 0:
                    return
                time.sleep(0.1)
            subprocess.run(["umount", "-l", self.folder], capture_output=True)


class Node:
    """One `kafkalog serve`, which may die and come back."""

    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        self.disk = Disk(os.path.join(lab.folder, f"disk-{number}"), lab.has_power_cuts)
        self.dir = os.path.join(self.disk.folder, "data")
        self.process, self.events, self.changed, self.lives = None, [], threading.Condition(), 0

    def start(self):
        """Starts it and does not wait until it takes part."""
        if self.process is not None:
            return
        self.lives += 1
        command = [binary("kafkalog"), "--json", "serve", "--dir", self.dir, "--node-id", str(self.number), "--listen", url(self.number),
                   "--cluster-id", CLUSTER_ID, "--secret-file", self.lab.secret, "--topic", self.lab.topic]
        command += [word for peer in NODES for word in ("--peer", f"{peer}={url(peer)}")]
        command += [word for name, value in self.lab.settings.items() for word in ("--property", f"{name}={value}")]
        with open(os.path.join(self.lab.folder, f"node-{self.number}.err"), "ab") as err:
            err.write(f"--- life {self.lives} at {time.time_ns()}\n".encode())
            err.flush()
            self.process = self.lab.network.start(self.number, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        threading.Thread(target=self.listen, args=(self.process.stdout, self.lives), daemon=True).start()

    def listen(self, out, life):
        with open(os.path.join(self.lab.folder, f"node-{self.number}.out"), "a") as copy:
            for line in out:
                copy.write(f"{time.time_ns()} {line.decode()}")
                copy.flush()
                with self.changed:
                    self.events.append(dict(json.loads(line), life=life))
                    self.changed.notify_all()

    def wait_for(self, name, patience=60):
        """Until this life has said so."""
        with self.changed:
            said = lambda: any(e["event"] == name and e["life"] == self.lives for e in self.events)
            if not self.changed.wait_for(said, patience):
                raise Broken(f"node {self.number} has not {name} within {patience} s")

    def signal(self, number):
        if self.process is not None:
            os.kill(self.process.pid, number)

    def kill(self):
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def end(self, patience=45):
        """SIGTERM; it has to end in order."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise Broken(f"node {self.number} does not end within {patience} s of SIGTERM") from None
        self.process = None
        if status:
            raise Broken(f"node {self.number} ended with {status} after SIGTERM")

    def cut_power(self):
        """It stands still, the disk loses its power, and then it is gone."""
        self.signal(signal.SIGSTOP)
        self.disk.cut_power()
        self.kill()
        self.disk.power_comes_back()


class Client:
    """`history record`: the load, and what came of it."""

    def __init__(self, lab, settings):
        self.lab = lab
        words = {"bootstrap.servers": ",".join(url(node) for node in NODES), "cluster.id": CLUSTER_ID, "cluster.secret": lab.secret_text,
                 "topic": TOPIC, "partitions": PARTITIONS, **settings}
        command = [binary("examples/history"), "record", lab.history] + [f"{name}={value}" for name, value in words.items()]
        self.err = open(os.path.join(lab.folder, "client.err"), "ab")
        self.process = lab.network.start(CLIENT, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err)

    def ask(self, word):
        try:
            self.process.stdin.write(f"{word}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise Broken(f"the client has ended (see client.err): {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        if self.process.wait(60):
            raise Broken("the client ended with an error")


def url(node):
    return f"tcp://10.77.0.{node}:9301"


class Lab:
    """All of it, for one run."""

    def __init__(self, folder, seed, settings=None, topic_settings="", has_power_cuts=False):
        self.folder, self.seed, self.has_power_cuts = os.path.abspath(folder), seed, has_power_cuts
        self.settings = SHORT if settings is None else settings
        self.topic = f"{TOPIC}:{PARTITIONS}:{len(NODES)}:min.insync.replicas=2{topic_settings}"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.history = os.path.join(self.folder, "history.jsonl")
        self.secret, self.secret_text = os.path.join(self.folder, "secret"), "open sesame"
        with open(self.secret, "w") as file:
            file.write(self.secret_text + "\n")
        self.network = Network(f"kafkalog-{os.getpid()}-{threading.get_ident() % 100000}", seed)
        self.nodes, self.notes, self.client = {}, [], None

    def __enter__(self):
        self.network.up()
        try:
            self.nodes = {number: Node(self, number) for number in NODES}
            for node in self.nodes.values():
                node.start()
            for node in self.nodes.values():
                node.wait_for("topic")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes.values():
            node.disk.go_on()
            node.kill()
        if self.client:
            self.client.process.kill()
            self.client.process.wait()
            self.client.err.close()
        self.network.down()
        for node in self.nodes.values():
            node.disk.unmount()
            if node.disk.image:
                os.unlink(node.disk.image)

    def connect(self, settings=None):
        self.client = Client(self, CLIENT_SHORT if settings is None else settings)

    def note(self, what, **more):
        self.notes.append({"e": "note", "t": time.time_ns(), "what": what, **more})

    def write_notes(self):
        """What was done, beside what the history has."""
        with open(os.path.join(self.folder, "notes.jsonl"), "w") as file:
            file.writelines(json.dumps(note) + "\n" for note in self.notes)

    def known_reign(self, partition=0):
        """The newest leader epoch, and who leads in it, by what the nodes have said."""
        newest = (-1, None)
        for node in self.nodes.values():
            with node.changed:
                for e in node.events:
                    if e["event"] == "leader_changed" and e["partition"] == partition:
                        newest = max(newest, (e["leader_epoch"], e["leader"]), key=lambda found: found[0])
        return newest

    def known_leader(self, partition=0):
        return self.known_reign(partition)[1]

    def leader(self, partition=0, patience=30):
        deadline = time.monotonic() + patience
        while self.known_leader(partition) is None:
            if time.monotonic() > deadline:
                raise Broken(f"partition {partition} has no leader for {patience} s")
            time.sleep(0.02)
        return self.known_leader(partition)

    def wait_in_sync(self, patience, nodes=NODES):
        """Until the cluster says twice in a row that every partition has a leader and all of these in sync; how long it took."""
        began, times, seen = time.monotonic(), 0, None
        while times < 2:
            seen = self.client.ask("isr")["partitions"]
            whole = all(p.get("leader") and set(nodes) <= set(p["isr"]) for p in seen)
            times = times + 1 if whole else 0
            if time.monotonic() - began > patience:
                raise Broken(f"not in sync {patience} s after everything was healed: {seen}")
            time.sleep(0.05)
        return time.monotonic() - began
