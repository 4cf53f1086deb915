"""What is done to the cluster while it is under load. Each takes 5 to 15 seconds; what it broke is healed by whoever called it.

L1 to L9 are the failure patterns of replicated logs: truncation by the wrong measure, the ISR of one, the last replica standing, promises
made before the flush, two leaders, dirty reads, damaged bytes, late requests, metadata used before they are durable.
"""

import os
import time

from world import CLIENT, NODES, PARTITIONS, TOPIC, Broken

FLUSH = ":flush.messages=1"


class Scenario:
    def __init__(self, name, act, topic="", has_power_cuts=False, settings=None, cure=None):
        self.name, self.act, self.topic, self.has_power_cuts = name, act, topic, has_power_cuts
        self.settings, self.cure = settings or {}, cure


def follower_restart_and_leader_kill(hand):
    """L1: a follower restarts, and the leader dies within about one fetch of it."""
    for _ in range(3):
        leader = hand.leader()
        follower = hand.others(leader)[0]
        hand.kill(follower)
        hand.sleep(0.05, 0.6)
        hand.start(follower)
        hand.joined(follower)
        hand.sleep(0, 0.4)
        hand.kill(leader)
        hand.sleep(0.05, 1.5)
        hand.start(leader)
        hand.joined(leader)


def isolated_leader_dies(hand):
    """L2: a leader is cut off, from everybody or only from its followers, goes on as it likes, and dies."""
    for _ in range(2):
        leader = hand.leader()
        if hand.rng.random() < 0.5:
            hand.net("isolate", f"n{leader}")
        else:
            for other in hand.others(leader):
                hand.cut(leader, other)
        hand.sleep(0.3, 3.5)
        hand.kill(leader)
        hand.heal()
        hand.sleep(0.1, 1)
        hand.start(leader)
        hand.joined(leader)


def last_replica_standing(hand):
    """L3: the followers are cut off one after the other, then the leader, alone, loses its power; it comes back, and they do."""
    leader = hand.leader()
    first, second = hand.others(leader)
    if hand.rng.random() < 0.5:
        hand.net("isolate", f"n{first}")
    else:
        hand.kill(first)
    hand.sleep(1.5, 3)
    hand.net("isolate", f"n{second}")
    hand.sleep(0.2, 2.5)
    hand.cut_power(leader)
    both = [first, leader]
    hand.rng.shuffle(both)
    for number in both:
        hand.start(number)
        hand.sleep(0, 1.5)
    hand.heal()
    hand.sleep(0, 1.5)


def everybody_restarts(hand):
    """L3 as well: one after the other dies or loses its power until none is left, and they come back in any order. What is acknowledged
    is flushed: who restarted has lost nothing, and says of itself that it may have."""
    leader = hand.leader()
    for number in (*hand.others(leader), leader):
        if hand.rng.random() < 0.5:
            hand.kill(number)
        else:
            hand.cut_power(number)
        hand.sleep(0, 2.5)
    for number in hand.others():
        hand.start(number)
        hand.sleep(0, 1.5)


def power_of_follower_then_leader(hand):
    """L4: power cuts, one node after the other and all at once, where every acknowledgement waits for the flush."""
    for _ in range(2):
        leader = hand.leader()
        follower = hand.others(leader)[0]
        hand.cut_power(follower)
        hand.sleep(0, 0.5)
        hand.cut_power(leader)
        hand.sleep(0, 0.5)
        both = [leader, follower]
        hand.rng.shuffle(both)
        for number in both:
            hand.start(number)
            hand.sleep(0, 0.5)
        hand.sleep(1, 2)
    everybody = hand.others()
    hand.cut_power(*everybody)
    for number in everybody:
        hand.start(number)
        hand.sleep(0, 0.3)
    hand.sleep(1, 2)


def one_way_cut(hand):
    """L5: a leader that hears and is not heard, or the other way round; sometimes the client is the one that is not heard."""
    for _ in range(3):
        leader = hand.leader()
        for other in hand.others(leader)[: hand.rng.randint(1, 2)]:
            hand.cut(*((leader, other) if hand.rng.random() < 0.6 else (other, leader)), oneway=True)
        if hand.rng.random() < 0.3:
            hand.cut(leader, CLIENT, oneway=True)
        hand.sleep(1.5, 3)
        hand.heal()
        hand.sleep(0.3, 1)


def paused_leader(hand):
    """L5: a leader stands still for longer than its session and goes on as if nothing had been."""
    for _ in range(3):
        leader = hand.leader()
        hand.pause(leader)
        hand.sleep(1, 3)
        hand.resume(leader)
        hand.sleep(0.3, 1.2)


def stalling_disks(hand):
    """One disk after the other takes nothing for longer than a session, as cheap flash does now and then. Nobody is taken for dead."""
    reigns = [hand.lab.known_reign(partition) for partition in range(PARTITIONS)]
    for number in hand.others():
        hand.stall_disk(number)
        hand.sleep(2, 3.5)
        hand.disk_goes_on(number)
        hand.sleep(0.5, 1)
    for partition, before in enumerate(reigns):
        now = hand.lab.known_reign(partition)
        if now != before:
            raise Broken(f"partition {partition}: node {before[1]} led in epoch {before[0]}, node {now[1]} leads in epoch {now[0]}")


def dirty_read(hand):
    """L6: clients still reach a leader that its followers do not; then leadership moves, and moves again, while everybody reads."""
    for _ in range(2):
        leader = hand.leader()
        for other in hand.others(leader):
            hand.cut(leader, other)
        hand.sleep(0.5, 3)
        hand.heal()
        hand.sleep(0, 0.5)
        successor = hand.leader()
        hand.kill(successor)
        hand.sleep(0.2, 1.8)
        hand.start(successor)
        hand.joined(successor)


def flipped_byte(hand):
    """L7: a byte flips in the files of a node that then leads, in what a follower that was away has yet to fetch."""
    hand.sleep(0.5)
    leader = hand.leader(0)
    away, next_one = hand.others(leader)
    hand.kill(away)
    hand.sleep(3, 4)
    # What it has in its files alone, and not in memory for those who follow the end: it is restarted before it leads.
    hand.end(next_one)
    hand.start(next_one)
    hand.joined(next_one)
    hand.in_sync_at_least(leader, next_one)
    hand.end(leader)
    hand.sleep(0.3)
    segments = [os.path.join(hand.lab.nodes[number].dir, f"{TOPIC}-0", f"{0:020}.log") for number in (away, next_one)]
    has, there = (os.path.getsize(segment) for segment in segments)
    missing = [(at, size) for at, size in batches(segments[1]) if at >= has]
    if len(missing) < 100:
        raise Broken(f"the follower does not lag as it should: {has} of {there} bytes")
    # Kafka's checksum covers a batch from its 21st byte on; of what stands before it, the offset and the length have to fit.
    at, size = missing[len(missing) // 2]
    at += hand.rng.choice([hand.rng.randrange(0, 12), hand.rng.randrange(17, 61), hand.rng.randrange(61, size)])
    flip(segments[1], at)
    hand.lab.flipped = (segments[1], at)
    hand.lab.note("flip", on=f"n{next_one}", at=at, batch=size)
    hand.start(away)
    deadline = time.monotonic() + 20
    while "CORRUPT_MESSAGE" not in said(hand.lab, away):
        if time.monotonic() > deadline:
            raise Broken(f"the follower, node {away}, was given a flipped byte at {at} by node {next_one} and does not say so")
        hand.sleep(0.05)
    hand.start(leader)
    hand.sleep(0.5)
    got = os.path.getsize(segments[0])
    if got > at:
        raise Broken(f"the follower has taken {got} bytes, past the flipped one at {at}")
    # Whoever has it right becomes the leader, and gives it to the one that was away.
    hand.in_sync_at_least(next_one, leader)
    hand.kill(next_one)
    hand.in_sync_at_least(leader, away)


def batches(segment):
    """(position, bytes) of every batch in a segment of Kafka's format."""
    with open(segment, "rb") as file:
        data = file.read()
    at = 0
    while at + 12 <= len(data):
        size = 12 + int.from_bytes(data[at + 8:at + 12], "big")
        if at + size > len(data):
            return
        yield at, size
        at += size


def mend_the_byte(hand):
    """What an operator does who has a copy of that file."""
    flip(*hand.lab.flipped)


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x40]))


def said(lab, number):
    with open(os.path.join(lab.folder, f"node-{number}.err"), errors="replace") as file:
        return file.read()


def delayed(hand):
    """L8: old requests arrive late, and overtake each other, while leaders move."""
    pairs = hand.rng.sample([(1, 2), (1, 3), (2, 3)], 3)
    hand.net("delay", *(f"n{number}" for number in pairs[0]), 500, 400)
    for pair in pairs[1:]:
        most = hand.rng.randint(5, 100)
        hand.net("delay", *(f"n{number}" for number in pair), most, most * 4 // 5)
    for _ in range(3):
        leader = hand.leader()
        what = hand.rng.choice(["kill", "pause", "end", "elect"])
        if what == "elect":
            hand.lab.note("elect", came=hand.lab.client.ask("elect"))
            hand.sleep(1, 2)
        elif what == "pause":
            hand.pause(leader)
            hand.sleep(0.5, 5.5)
            hand.resume(leader)
        else:
            getattr(hand, what)(leader)
            hand.sleep(0.1, 4.5)
            hand.start(leader)
        hand.sleep(0.5, 2)


def elections_without_power(hand):
    """L9: the power of nodes fails while controllers and leaders are elected all the time."""
    for _ in range(6):
        number = hand.rng.choice(NODES)
        hand.cut_power(number)
        hand.sleep(0, 0.8)
        hand.start(number)
        hand.sleep(0, 1.2)


def cut_pairs(hand):
    """Cables between any two nodes, the client included, are pulled and put back."""
    for _ in range(5):
        a, b = hand.rng.sample((*NODES, CLIENT), 2)
        hand.cut(a, b)
        if hand.rng.random() < 0.4:
            hand.cut(*hand.rng.sample(NODES, 2))
        hand.sleep(0.3, 2.5)
        hand.heal()
        hand.sleep(0.1, 0.8)


def loss(hand):
    """Frames are lost between all of them."""
    for a, b in ((1, 2), (1, 3), (2, 3), (1, CLIENT), (2, CLIENT), (3, CLIENT)):
        hand.net("loss", f"n{a}", f"n{b}", hand.rng.choice([2, 5, 10, 25]))
    hand.sleep(8, 10)


def flapping(hand):
    """Links that come and go all the time, at different beats."""
    for a, b in hand.rng.sample([(1, 2), (1, 3), (2, 3), (1, CLIENT)], hand.rng.randint(1, 3)):
        hand.net("flap", f"n{a}", f"n{b}", round(hand.rng.uniform(0.05, 1.2), 2), 9)
    hand.sleep(9.5)


def restarts(hand):
    """Followers, and then each node in turn, are restarted: in order, or not."""
    for number in hand.others() + hand.others(hand.leader())[:1]:
        if hand.rng.random() < 0.6:
            hand.end(number)
        else:
            hand.kill(number)
        hand.sleep(0, 0.7)
        hand.start(number)
        hand.joined(number)
        hand.sleep(0, 0.7)


def kills(hand):
    """Single nodes die and come back; sometimes a second one dies before the first is in sync again."""
    for _ in range(5):
        number = hand.rng.choice(NODES)
        hand.kill(number)
        hand.sleep(0, 2)
        hand.start(number)
        hand.sleep(0.2, 1.2)


def power(hand):
    """Single nodes lose their power under the default flush policy, each when the one before has come back and is in sync again: two
    within flush.ms are more than is promised."""
    for _ in range(3):
        number = hand.rng.choice((*NODES, hand.leader()))
        hand.cut_power(number)
        hand.sleep(0, 1)
        hand.start(number)
        # Until it is registered anew, its place in the ISR is that of its former life.
        hand.joined(number)
        hand.in_sync()
        hand.sleep(0, 0.5)


def weather(hand):
    """Everything that a network does, at once."""
    for _ in range(4):
        for a, b in ((1, 2), (1, 3), (2, 3), (hand.rng.choice(NODES), CLIENT)):
            what = hand.rng.choice(["delay", "loss", "dup", "rate", "cut", "none", "none"])
            pair = (f"n{a}", f"n{b}", *(["--oneway"] if hand.rng.random() < 0.5 else []))
            if what == "delay":
                most = hand.rng.randint(5, 300)
                hand.net("delay", *pair, most, most // 2)
            elif what == "loss":
                hand.net("loss", *pair, hand.rng.randint(1, 30))
            elif what == "dup":
                hand.net("dup", *pair, hand.rng.randint(1, 50))
            elif what == "rate":
                hand.net("rate", *pair, hand.rng.randint(300, 5000))
            elif what == "cut":
                hand.net("cut", *pair)
        hand.sleep(1.5, 2.8)
        if hand.rng.random() < 0.5:
            hand.heal()


# Elections as often as a busy machine bears them.
ELECTIONS = {"controller.quorum.election.timeout.ms": 150, "controller.quorum.fetch.timeout.ms": 150}

# A round trip takes up to two seconds there.
PATIENT = {"broker.session.timeout.ms": 4500, "replica.lag.time.max.ms": 6000,
           "controller.quorum.election.timeout.ms": 2500, "controller.quorum.fetch.timeout.ms": 2500}

ALL = [
    Scenario("L1-restart-and-kill", follower_restart_and_leader_kill),
    Scenario("L2-isolated-leader", isolated_leader_dies),
    Scenario("L3-last-standing", last_replica_standing, has_power_cuts=True),
    Scenario("L3-everybody-restarts", everybody_restarts, FLUSH, has_power_cuts=True),
    Scenario("L4-power-flushed", power_of_follower_then_leader, FLUSH, has_power_cuts=True),
    Scenario("L5-one-way-cut", one_way_cut),
    Scenario("L5-paused-leader", paused_leader),
    Scenario("disk-stalls", stalling_disks, has_power_cuts=True),
    Scenario("L6-dirty-read", dirty_read),
    Scenario("L7-flipped-byte", flipped_byte, cure=mend_the_byte),
    Scenario("L8-delay", delayed, settings=PATIENT),
    Scenario("L9-elections-power", elections_without_power, FLUSH, has_power_cuts=True, settings=ELECTIONS),
    Scenario("cut", cut_pairs),
    Scenario("loss", loss),
    Scenario("flapping", flapping),
    Scenario("restarts", restarts),
    Scenario("kills", kills),
    Scenario("power", power, has_power_cuts=True),
    Scenario("weather", weather),
]
