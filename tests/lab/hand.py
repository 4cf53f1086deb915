"""What a scenario can do to a cluster."""

import signal
import time

from world import NODES, PARTITIONS


class Hand:
    """Does something to a lab and notes it in the history."""

    def __init__(self, lab, rng):
        self.lab, self.rng = lab, rng

    def net(self, command, *words):
        self.lab.note(command, on=[str(word) for word in words])
        self.lab.network.ask(command, *words)

    def cut(self, a, b, oneway=False):
        self.net("cut", f"n{a}", f"n{b}", *(["--oneway"] if oneway else []))

    def heal(self):
        self.net("heal")

    def each(self, what, *numbers):
        for number in numbers:
            self.lab.note(what, on=f"n{number}")
            getattr(self.lab.nodes[number], what)()

    def kill(self, *numbers):
        self.each("kill", *numbers)

    def start(self, *numbers):
        self.each("start", *numbers)

    def end(self, *numbers):
        self.each("end", *numbers)

    def cut_power(self, *numbers):
        self.each("cut_power", *numbers)

    def stall_disk(self, number):
        self.lab.note("stall_disk", on=f"n{number}")
        self.lab.nodes[number].disk.stall()

    def disk_goes_on(self, number):
        self.lab.note("disk_goes_on", on=f"n{number}")
        self.lab.nodes[number].disk.go_on()

    def pause(self, number):
        self.lab.note("pause", on=f"n{number}")
        self.lab.nodes[number].signal(signal.SIGSTOP)

    def resume(self, number):
        self.lab.note("resume", on=f"n{number}")
        self.lab.nodes[number].signal(signal.SIGCONT)

    def joined(self, number):
        self.lab.nodes[number].wait_for("joined")

    def sleep(self, least, most=None):
        time.sleep(least if most is None else self.rng.uniform(least, most))

    def partition(self):
        return self.rng.randrange(PARTITIONS)

    def leader(self, partition=None):
        return self.lab.leader(self.partition() if partition is None else partition)

    def others(self, *numbers):
        left = [number for number in NODES if number not in numbers]
        self.rng.shuffle(left)
        return left

    def in_sync(self, patience=60):
        self.lab.wait_in_sync(patience)

    def in_sync_at_least(self, *numbers):
        self.lab.wait_in_sync(60, numbers)
