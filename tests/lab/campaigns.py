"""One run of a scenario from the first node to the verdict; and the two that measure: leaders killed, nodes asked to end."""

import json
import os
import random
import shutil
import signal
import threading
import time
import traceback

from hand import Hand
from judge import judge
from scenarios import ALL
from world import CLIENT_SHORT, NODES, SHORT, Broken, Lab, Skip

# From healed to all in sync. Far more than it takes: not reached is a finding.
PATIENCE = 90
# Of one run, on the screen.
FINDINGS_SHOWN = 8


def heal(hand, scenario):
    lab = hand.lab
    hand.heal()
    for number in NODES:
        hand.resume(number)
        lab.nodes[number].disk.go_on()
    if scenario.cure:
        scenario.cure(hand)
    for number in NODES:
        hand.start(number)


def run_once(scenario, seed, folder):
    """A dictionary of figures; `wrong` is empty when all was well."""
    row = {"scenario": scenario.name, "seed": seed, "wrong": []}
    rng = random.Random(f"{scenario.name} {seed}")
    began = time.monotonic()
    times, since = row.setdefault("times", {}), [began]

    def took(what):
        now = time.monotonic()
        times[what], since[0] = round(now - since[0], 1), now

    try:
        with Lab(folder, seed, dict(SHORT, **scenario.settings), scenario.topic, scenario.has_power_cuts) as lab:
            try:
                hand = Hand(lab, rng)
                lab.connect(load(rng))
                lab.wait_in_sync(PATIENCE)
                hand.sleep(0.5)
                took("start")
                scenario.act(hand)
                took("faults")
                heal(hand, scenario)
                row["in_sync_s"] = round(lab.wait_in_sync(PATIENCE), 2)
                hand.sleep(0.5)
                took("heal")
                lab.client.ask("stop")
                took("stop")
                drained = lab.client.ask("drain")
                took("drain")
                row["wrong"] += [f"a consumer failed: {why}" for why in drained["failed"]]
                lab.client.close()
                time.sleep(1)  # the last high watermark travels with the next fetch, within replica.fetch.wait.max.ms
                for node in lab.nodes.values():
                    node.end()
                took("end")
                figures, wrong = judge(lab)
                took("judge")
                row.update(figures)
                row["wrong"] += wrong
            except Broken as broken:
                row["wrong"].append(str(broken))
                lab.write_notes()
    except Skip:
        raise
    except Exception:
        row["wrong"].append(traceback.format_exc())
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


def load(rng):
    """Short of patience, and with more or fewer records under way."""
    return dict(CLIENT_SHORT, window=rng.choice([2, 8, 32]), producers=4)


def campaign(names, runs, seed, jobs, folder, keep, say):
    """Runs scenarios, the first run of each first; True when all was well. What failed is kept."""
    chosen = [scenario for scenario in ALL if not names or scenario.name in names]
    todo = [(scenario, seed + number) for number in range(runs) for scenario in chosen]
    rows, lock, skipped = [], threading.Lock(), []

    # Whoever asks it to end waits for the runs that have begun: they have networks, disks and processes to give back.
    signal.signal(signal.SIGTERM, lambda *_: todo.clear())

    def work():
        while True:
            with lock:
                if not todo or skipped:
                    return
                scenario, own = todo.pop(0)
            place = os.path.join(folder, f"{scenario.name}-{own}")
            try:
                row = run_once(scenario, own, place)
            except Skip as why:
                skipped.append(str(why))
                return
            with lock:
                rows.append(row)
                with open(os.path.join(folder, "results.jsonl"), "a") as file:
                    file.write(json.dumps(row) + "\n")
                say(one_line(row, place))
            if not row["wrong"] and not keep:
                shutil.rmtree(place, ignore_errors=True)

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if skipped:
        raise Skip(skipped[0])
    say("\n".join(table(rows)))
    return not any(row["wrong"] for row in rows)


def one_line(row, place):
    text = f"{row['scenario']:<22} seed {row['seed']:<5} {row['seconds']:5.1f} s  " + " ".join(
        f"{name} {row[name]}" for name in ("sent", "acked", "unknown", "failed", "again", "pause_s", "in_sync_s") if name in row)
    text += "  (" + ", ".join(f"{name} {took}" for name, took in row["times"].items()) + ")"
    for why in row["wrong"][:FINDINGS_SHOWN]:
        text += f"\n    WRONG: {why[:1500]}"
    if len(row["wrong"]) > FINDINGS_SHOWN:
        text += f"\n    and {len(row['wrong']) - FINDINGS_SHOWN} more like these"
    return text + (f"\n    kept in {place}" if row["wrong"] else "")


def table(rows):
    """One line a scenario."""
    yield f"{'scenario':<22} {'runs':>4} {'good':>4} {'sent':>8} {'acked':>8} {'unknown':>7} {'failed':>6} {'twice':>5} {'lost':>4} {'diverged':>8} " \
          f"{'most s without an ack':>21} {'most s until in sync':>20}"
    for name in dict.fromkeys(scenario.name for scenario in ALL):
        own = [row for row in rows if row["scenario"] == name]
        if own:
            total = lambda key: sum(row.get(key, 0) for row in own)
            found = lambda kind: sum(row.get("findings", {}).get(kind, 0) for row in own)
            most = lambda key: max((row.get(key, 0) for row in own), default=0)
            yield f"{name:<22} {len(own):>4} {sum(not row['wrong'] for row in own):>4} {total('sent'):>8} {total('acked'):>8} {total('unknown'):>7} " \
                  f"{total('failed'):>6} {total('again'):>5} {found('lost'):>4} {found('diverged'):>8} {most('pause_s'):>21} {most('in_sync_s'):>20}"


def quantiles(values):
    own = sorted(values)
    at = lambda q: own[min(len(own) - 1, int(q * len(own)))]
    return f"p50 {at(0.5):.3f} s, p99 {at(0.99):.3f} s, max {own[-1]:.3f} s"


def measured(folder, times, seed, say, do):
    """Default settings on both sides; `do` is done to a leader under load, again and again."""
    rng = random.Random(seed)
    moments = []
    with Lab(folder, seed, {}) as lab:
        lab.connect({"window": 1000, "producers": 4, "pace.us": 4000, "afresh.ms": 0})
        hand = Hand(lab, rng)
        for _ in range(times):
            lab.wait_in_sync(PATIENCE)
            hand.sleep(0.7, 1.3)
            partition = hand.partition()
            number = hand.leader(partition)
            moments.append((time.time_ns(), partition, number))
            took = do(hand, number)
            hand.sleep(0.5)
            hand.start(number)
            hand.joined(number)
            say(f"{len(moments):>3}: leader of partition {partition}, node {number}{took}")
        lab.wait_in_sync(PATIENCE)
        hand.sleep(0.5)
        lab.client.ask("stop")
        wrong = [f"a consumer failed: {why}" for why in lab.client.ask("drain")["failed"]]
        lab.client.close()
        time.sleep(1)
        for node in lab.nodes.values():
            node.end()
        figures, found = judge(lab)
        return moments, figures, wrong + found, sends(lab.history)


def sends(path):
    """(partition, sent, acknowledged) of every record that was, by the time of its acknowledgement."""
    began, ended = {}, []
    with open(path) as file:
        for line in file:
            event = json.loads(line)
            if event["e"] == "send":
                began[event["id"]] = (event["p"], event["t"])
            elif event["e"] == "ack":
                ended.append((*began[event["id"]], event["t"]))
    return sorted(ended, key=lambda found: found[2])


def kills(folder, times, seed, say):
    """How long it takes, after the death of a leader, until a record is acknowledged again that was sent to its partition after it."""
    def do(hand, number):
        hand.kill(number)
        hand.sleep(2.5, 3)
        return ""

    moments, figures, wrong, ended = measured(folder, times, seed, say, do)
    waits = []
    for moment, partition, _ in moments:
        first = min((acked for own, sent, acked in ended if own == partition and sent > moment), default=None)
        if first is None:
            wrong.append(f"nothing was acknowledged after the kill at {moment}")
        else:
            waits.append((first - moment) / 1e9)
    say("each: " + " ".join(f"{wait:.2f}" for wait in waits))
    say(f"{len(waits)} leaders killed, until the next acknowledged record: {quantiles(waits)}")
    return finish(figures, wrong, say)


def shutdowns(folder, times, seed, say):
    """Leaders that are asked to end: no send may fail; how long the longest one waited."""
    def do(hand, number):
        began = time.monotonic()
        hand.end(number)
        return f", ended within {time.monotonic() - began:.2f} s"

    moments, figures, wrong, ended = measured(folder, times, seed, say, do)
    waits = []
    for moment, partition, _ in moments:
        # Of every partition, since the node led others as well: the slowest send around the hand-over.
        waits.append(max((acked - sent) / 1e9 for _, sent, acked in ended if moment - 10**8 < sent < moment + 3 * 10**9))
    failed = figures["failed"] + figures["unknown"]
    say("each: " + " ".join(f"{wait:.2f}" for wait in waits))
    say(f"{len(moments)} leaders ended in order: {failed} failed sends; the slowest send around each: {quantiles(waits)}")
    if failed:
        wrong.append(f"{failed} sends failed")
    return finish(figures, wrong, say)


def finish(figures, wrong, say):
    say(f"{figures}")
    for why in wrong:
        say(f"WRONG: {why[:1500]}")
    return not wrong
