"""What came of a run: the history is completed by what the nodes said and by what lies in their files, and judged."""

import collections
import json
import os
import re
import subprocess

from world import NODES, PARTITIONS, TOOLS, TOPIC, Broken, binary

LAST_IN_SYNC = re.compile(r"cluster: (\S+): node \d+, the last in sync, was not closed in order")
UNCLEANLY = re.compile(r"cluster: (\S+): node \d+ was elected uncleanly, in sync were \[\]")


def leaders(lab):
    """Every node that said of itself that it leads."""
    for number, node in lab.nodes.items():
        for e in node.events:
            if e["event"] == "leader_changed" and e["leader"] == number:
                yield {"e": "leader", "rep": f"n{number}", "p": e["partition"], "epoch": e["leader_epoch"]}


def checkpoint(path):
    """A checkpoint file of Kafka's: a version, a count, and that many lines."""
    with open(path) as file:
        return [line.split() for line in file.read().splitlines()[2:]]


def logs(lab):
    """What the files of each node hold, with the high watermark and the epochs that are written beside them."""
    for number, node in lab.nodes.items():
        done = subprocess.run([binary("examples/history"), "log", node.dir, f"n{number}", TOPIC], capture_output=True, text=True)
        if done.returncode:
            raise Broken(f"the log of node {number} cannot be read: {done.stderr.strip()}")
        marks = {int(p): int(hw) for topic, p, hw in checkpoint(os.path.join(node.dir, "replication-offset-checkpoint")) if topic == TOPIC}
        for line in done.stdout.splitlines():
            event = json.loads(line)
            epochs = checkpoint(os.path.join(node.dir, f"{TOPIC}-{event['p']}", "leader-epoch-checkpoint"))
            yield dict(event, hw=marks.get(event["p"], 0), epochs=[[int(epoch), int(start)] for epoch, start in epochs])


def judge(lab):
    """Appends to the history, asks check-history, looks for what it does not: figures of the run."""
    final = list(logs(lab))
    with open(lab.history, "a") as file:
        for event in [*lab.notes, *leaders(lab), *final]:
            file.write(json.dumps(event) + "\n")
    wrong = replicas_alike(final) + damage(lab) + complaints(lab)
    done = subprocess.run([os.path.join(TOOLS, "check-history"), "--at-least-once", "--json", lab.history], capture_output=True, text=True)
    try:
        verdict = json.loads(done.stdout)
    except ValueError:
        raise Broken(f"check-history: {done.stderr}") from None
    wrong += [f"{x['kind']} (partition {x['p']}): {x['msg']}" for x in verdict["details"] if x["level"] == "error"]
    figures = count(lab.history)
    figures["findings"] = verdict["findings"]
    figures["again"] = sum(len(event["recs"]) - len({v for _, v in event["recs"]}) for event in final[:PARTITIONS])
    if figures["acked"] == 0:
        wrong.append("nothing was acknowledged at all")
    return figures, wrong


def replicas_alike(final):
    """When all are in sync and nobody sends any more, every replica holds the same."""
    wrong = []
    for partition in range(PARTITIONS):
        own = {event["rep"]: event for event in final if event["p"] == partition}
        if len(own) != len(NODES):
            wrong.append(f"partition {partition}: only {sorted(own)} have a log")
        ends = {rep: (event["start"], event["end"], event["hw"], len(event["recs"])) for rep, event in own.items()}
        if len({json.dumps([event["recs"], event["start"], event["end"]]) for event in own.values()}) > 1:
            wrong.append(f"partition {partition}: the replicas are not alike: (start, end, hw, records) {ends}")
        if any(event["hw"] != event["end"] for event in own.values()):
            wrong.append(f"partition {partition}: a high watermark did not come to the end: (start, end, hw, records) {ends}")
    return wrong


def damage(lab):
    wrong = []
    for number, node in lab.nodes.items():
        done = subprocess.run([binary("kafkalog"), "check", "--dir", node.dir], capture_output=True, text=True)
        if done.returncode:
            wrong.append(f"node {number}: kafkalog check: {(done.stdout + done.stderr).strip()[-600:]}")
    return wrong


def complaints(lab):
    """What the nodes themselves say. An unclean election is wrong but where every replica in sync was restarted without having been closed
    (KIP-966): each time that the last one was, the last leader may be elected, and the history says whether that lost anything."""
    wrong, unclean, last = [], [], collections.Counter()
    for name in sorted(os.listdir(lab.folder)):
        if name.endswith(".err"):
            with open(os.path.join(lab.folder, name), errors="replace") as file:
                for line in file:
                    wrong += [f"{name}: {line.strip()}"] if "panicked" in line else []
                    unclean += [f"{name}: {line.strip()}"] if "unclean" in line.lower() else []
                    last.update(LAST_IN_SYNC.findall(line))
    for line in unclean:
        partition = UNCLEANLY.search(line)
        if partition is None or last[partition[1]] == 0:
            wrong.append(line)
        else:
            last[partition[1]] -= 1
    return wrong


def count(path):
    """Sends by how they ended, and the longest time without any acknowledgement."""
    how, last, pause = collections.Counter(), None, 0
    with open(path) as file:
        for line in file:
            event = json.loads(line)
            how[event["e"]] += 1
            if event["e"] == "ack":
                pause = max(pause, event["t"] - last) if last else 0
                last = event["t"]
    return {"sent": how["send"], "acked": how["ack"], "unknown": how["unknown"], "failed": how["fail"], "pause_s": round(pause / 1e9, 2)}
