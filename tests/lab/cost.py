"""What a replicated record costs each of three processes over TCP loopback, in CPU time as the kernel's scheduler counts it."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from world import CLUSTER_ID, NODES, binary

PATIENCE = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_ns(pid):
    """Of all threads that live; those of a node live as long as it does."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total


def described(kafkalog, at):
    told = subprocess.run([kafkalog, "topics", "--describe", "--topic", "t", "--bootstrap-server", at, "--json"], capture_output=True, text=True)
    text = told.stdout
    leader, isr = re.search(r'"leader":\s*(\d+)', text), re.search(r'"isr":\s*(\[[^\]]*\])', text)
    return (int(leader.group(1)), json.loads(isr.group(1))) if leader and isr else (None, [])


def cost(records, say):
    kafkalog = binary("kafkalog")
    addresses = {number: f"tcp://127.0.0.1:{free_port()}" for number in NODES}
    peers = [f"--peer={number}={address}" for number, address in addresses.items()]
    with tempfile.TemporaryDirectory(prefix="kafkalog-cost-") as folder:
        nodes = {
            number: subprocess.Popen(
                [kafkalog, "serve", "--dir", f"{folder}/{number}", "--node-id", str(number), "--listen", address, "--cluster-id", CLUSTER_ID,
                 "--topic", "t:1:3:min.insync.replicas=2", *peers], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for number, address in addresses.items()
        }
        try:
            until = time.monotonic() + PATIENCE
            leader, isr = None, []
            while len(isr) < len(NODES):
                assert time.monotonic() < until, "the three nodes are not in sync"
                leader, isr = described(kafkalog, addresses[1])
                time.sleep(0.1)
            send = [kafkalog, "producer-perf-test", "--bootstrap-server", addresses[leader], "--topic", "t", "--record-size", "100",
                    "--num-records", str(records), "--producer-props", "acks=all"]
            rows = []
            for _ in range(5):
                before = {number: cpu_ns(node.pid) for number, node in nodes.items()}
                told = subprocess.run(send, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
                time.sleep(0.5)  # what trails behind the last acknowledgement belongs to it, too
                rows.append({number: (cpu_ns(node.pid) - before[number]) / records for number, node in nodes.items()})
                say(told)
        finally:
            for node in nodes.values():
                node.send_signal(signal.SIGTERM)
            for node in nodes.values():
                node.wait(PATIENCE)
    for number in NODES:
        of = sorted(row[number] for row in rows)
        say(f"node {number}, {'leader' if number == leader else 'follower'}: {of[len(of) // 2]:.0f} ns of CPU a record (of five runs {of[0]:.0f} to {of[-1]:.0f})")
    return True
