"""What `make deploy-test` sees happen, on the images that run.sh has built. Given a use case's name.

Up, cold starts and memory at rest, scaling to three, then a killed, a restarted, a paused, a stopped and a hanging container, a restarted
Redis and a paused broker under traffic; health turns and comes back; Prometheus scrapes all, an alert fires and resolves; every event is
accounted for by its id; one id is followed through all topics and the log; down, and nothing is left.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

USE_CASE = sys.argv[1]
ROOT = Path(__file__).resolve().parents[2]
PROJECT = f"vyuha-deploy-test-{os.getpid()}"
sys.path.insert(0, str(ROOT / "services/scripts"))
import catalog  # noqa: E402

CONSUMERS = [service.name for service in catalog.services() if service.reads]
PORTS = {service.name: service.port for service in catalog.services()}
# Events a second, from the first disturbance to the last; slow enough that counting them all takes little time.
RATE = 200
COMPOSE = ["docker", "compose", "-p", PROJECT, "-f", str(ROOT / f"compose/{USE_CASE}.yaml"), "-f", str(ROOT / "services/deploy-test/compose.yaml"),
           "--profile", "full"]
ENVIRONMENT = os.environ | {
    "VYUHA_RATE": str(RATE), "VYUHA_INSTANCE_ID": "hostname", "VYUHA_PREDICT_PORTS": "0", "PROMETHEUS_PORT": "0",
    "ALERTMANAGER_PORT": "0", "GRAFANA_PORT": "0", "KAFKA_UI_PORT": "0",
}


# --- words


started = time.monotonic()


def say(text):
    print(f"deploy-test: {time.monotonic() - started:6.1f} s  {text}", flush=True)


class Failed(Exception):
    """What was expected did not come; the text says what."""


def check(condition, text):
    if not condition:
        raise Failed(text)
    say("ok   " + text)


def until(seconds, text, question):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = question()
        except (OSError, ValueError, KeyError) as error:
            answer, last = None, error
        else:
            last = answer
        if answer:
            say("ok   " + text)
            return answer
        if time.monotonic() > end:
            raise Failed(f"{text}: not within {seconds} s; last: {last}")
        time.sleep(0.1)


# --- Docker


def run(*command, quiet=True):
    done = subprocess.run(command, env=ENVIRONMENT, text=True, capture_output=quiet)
    if done.returncode:
        raise Failed(f"{' '.join(command[:3])} … {' '.join(command[-3:])}: {(done.stderr or '')[-2000:]}")
    return done.stdout.strip() if quiet else ""


def compose(*arguments):
    return run(*COMPOSE, *arguments)


def containers(service):
    return compose("ps", "-a", "-q", service).split()


def inspect(container):
    return json.loads(run("docker", "inspect", container))[0]


def health(container):
    return inspect(container)["State"].get("Health", {}).get("Status")


def address(container):
    return next(iter(inspect(container)["NetworkSettings"]["Networks"].values()))["IPAddress"]


def get(url, body=None, timeout=3):
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=timeout) as answer:
        return answer.read().decode()


def is_ready(service, container):
    try:
        get(f"http://{address(container)}:{PORTS[service]}/ready", timeout=1)
        return True
    except (OSError, urllib.error.URLError):
        return False


def metric(service, container, name):
    text = get(f"http://{address(container)}:{PORTS[service]}/metrics")
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(name + r"[{ ]", line))


def pause(container):
    """cgroup v1's freezer gives up now and then on a busy machine (runc: "unable to freeze"); that is no finding about the suite."""
    for attempt in range(5):
        try:
            return run("docker", "pause", container)
        except Failed as failure:
            if attempt == 4 or "unable to freeze" not in str(failure):
                raise


def published(service, port):
    return "http://" + compose("port", service, str(port)).replace("0.0.0.0", "127.0.0.1")


# --- Kafka


def records(topics):
    """Every record of the topics: topic → list of (id header or None, value)."""
    from kafka import KafkaConsumer, TopicPartition

    broker = address(containers("kafka")[0])
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: resolve(broker if host == "kafka" else host, *rest, **more)
    consumer = KafkaConsumer(bootstrap_servers=f"{broker}:9092", consumer_timeout_ms=4000, auto_offset_reset="earliest",
                             enable_auto_commit=False, max_partition_fetch_bytes=1 << 22, max_poll_records=100_000,
                             isolation_level="read_committed")
    found = {topic: [] for topic in topics}
    # As of one moment: open windows of entities that are silent now may still be told while this reads.
    ends = consumer.end_offsets([TopicPartition(topic, number) for topic in topics for number in consumer.partitions_for_topic(topic) or []])
    # A partition at a time: the stand-in for Kafka puts everything that it has of what is asked for into one answer.
    for partition, end in ends.items():
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        silent = 0
        while consumer.position(partition) < end:
            batch = consumer.poll(timeout_ms=2000)
            silent = 0 if batch else silent + 1
            if silent == 15:
                raise Failed(f"the broker shows nothing of {partition.topic} [{partition.partition}] behind offset {consumer.position(partition)} of {end}")
            for message in batch.get(partition, []):
                if message.offset < end:
                    found[partition.topic].append((dict(message.headers), message.value))
    consumer.close()
    return found


def identity(record):
    headers, value = record
    return headers["id"].decode() if "id" in headers else json.loads(value)["id"]


# --- the steps


def bring_up():
    say(f"up: {USE_CASE}, {RATE} events/s, broker {os.environ.get('KAFKA_IMAGE', 'of compose/.env')}")
    compose("up", "-d", "--no-build", "--quiet-pull", *CONSUMERS, "prometheus", "alertmanager")
    for service in CONSUMERS:
        until(90, f"{service} is healthy", lambda: health(containers(service)[0]) == "healthy")


def measure():
    """Cold starts and memory, before any event has come."""
    sizes = {name: int(run("docker", "image", "inspect", "-f", "{{.Size}}", f"vyuha/{name}:{os.environ['VYUHA_VERSION']}")) / 1e6
             for name in [*PORTS, *catalog.tools()]}
    say("image sizes, MB: " + ", ".join(f"{name} {size:.0f}" for name, size in sizes.items()))
    for service in CONSUMERS:
        container = containers(service)[0]
        run("docker", "stop", container)
        run("docker", "start", container)
        begin = time.time()
        url = f"http://{address(container)}:{PORTS[service]}"
        seen = {}
        while "ready" not in seen and time.time() < begin + 30:
            for path in ("health", "ready"):
                try:
                    if path not in seen:
                        get(f"{url}/{path}", timeout=1)
                        seen[path] = time.time()
                except (OSError, urllib.error.URLError):
                    pass
            time.sleep(0.005)
        at = inspect(container)["State"]["StartedAt"]
        since = time.mktime(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + float("0" + at[19:].rstrip("Z")[:7])
        check("ready" in seen, f"{service}: answers {1e3 * (seen.get('health', 0) - since):.0f} ms after its start, "
                               f"ready after {1e3 * (seen.get('ready', 0) - since):.0f} ms")
    time.sleep(2)
    resident = {service: metric(service, containers(service)[0], "process_resident_memory_bytes") / 1e6 for service in CONSUMERS}
    say("resident memory at rest, MB: " + ", ".join(f"{name} {size:.1f}" for name, size in resident.items()))
    names = {inspect(container)["Name"][1:]: service for service in [*CONSUMERS, "redis", "prometheus", "alertmanager", "kafka"]
             for container in containers(service)}
    stats = run("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
    say("memory of the containers (docker stats): " + ", ".join(
        f"{names[line.split()[0]]} {line.split()[1]}" for line in stats.splitlines()))


def start_traffic():
    compose("up", "-d", "--no-build", "producer")
    until(60, "the producer is healthy", lambda: health(containers("producer")[0]) == "healthy")
    until(60, "alerts reach the log", alert_ids)
    try:
        get(published("scoring-service", 8000) + "/predict", b"{}")
    except urllib.error.HTTPError as error:
        check(error.code == 422, "POST /predict on the published port answers (422 for an empty event, with the wrong fields)")


def log_lines(service):
    done = subprocess.run(["docker", "logs", containers(service)[0]], text=True, capture_output=True)
    return [json.loads(line) for line in (done.stderr + done.stdout).splitlines() if line.startswith("{")]


def alert_ids():
    return [line["id"] for line in log_lines("alert-sink") if line["message"] == "alert"]


def scale():
    # One after the other: the stand-in broker's coordinator can hang for a minute when two members join within a second.
    for count in (2, 3):
        compose("up", "-d", "--no-build", "--no-recreate", "--scale", f"stream-processor={count}", "stream-processor")
        replicas = containers("stream-processor")
        check(len(replicas) == count, f"{count} stream processors run")
        until(150, f"each of the {count} has partitions and all are ready", lambda: all(
            is_ready("stream-processor", replica) and metric("stream-processor", replica, "vyuha_assigned_partitions") > 0 for replica in replicas))
        time.sleep(3)
    say("     partitions: " + ", ".join(f"{metric('stream-processor', replica, 'vyuha_assigned_partitions'):.0f}" for replica in replicas))
    return replicas


def disturb(replicas):
    run("docker", "kill", replicas[1])
    check(not is_ready("stream-processor", replicas[1]), "a killed stream processor is not ready")
    run("docker", "start", replicas[1])
    until(60, "it is healthy again", lambda: health(replicas[1]) == "healthy")

    scorer = containers("scoring-service")[0]
    run("docker", "restart", scorer)
    until(60, "a restarted scoring service is healthy again", lambda: health(scorer) == "healthy")

    writer = containers("feature-writer")[0]
    pause(writer)
    check(not is_ready("feature-writer", writer), "a paused feature writer does not answer")
    time.sleep(3)
    run("docker", "unpause", writer)
    until(60, "it is ready again", lambda: is_ready("feature-writer", writer))

    # Shorter than the group's session: the stand-in broker never expires a member and would fence this one, where Kafka lets it join anew.
    sink = containers("alert-sink")[0]
    run("docker", "kill", "--signal", "STOP", sink)
    until(60, "the health of a hanging alert sink turns", lambda: health(sink) == "unhealthy")
    run("docker", "kill", "--signal", "CONT", sink)
    until(60, "and comes back", lambda: health(sink) == "healthy")

    redis = containers("redis")[0]
    run("docker", "restart", redis)
    until(60, "a restarted Redis is healthy", lambda: health(redis) == "healthy")

    kafka = containers("kafka")[0]
    run("docker", "kill", "--signal", "STOP", kafka)
    time.sleep(3)
    run("docker", "kill", "--signal", "CONT", kafka)
    say("     Redis restarted, the broker stood still for three seconds")
    for service in CONSUMERS:
        for container in containers(service):
            until(60, f"{service} is ready after Redis and Kafka were away", lambda: is_ready(service, container))


def watch_alert():
    """Prometheus sees a service that is gone, tells Alertmanager, and takes it back."""
    prometheus, manager = published("prometheus", 9090), published("alertmanager", 9093)

    def targets():
        active = json.loads(get(prometheus + "/api/v1/targets?state=active"))["data"]["activeTargets"]
        return {(target["labels"]["job"], target["scrapeUrl"]) for target in active if target["health"] == "up"}

    def jobs():
        return {job for job, _ in targets()}

    until(60, "Prometheus scrapes every service, and all three stream processors", lambda: jobs() >= set(PORTS)
          and sum(job == "stream-processor" for job, _ in targets()) == 3)
    groups = json.loads(get(prometheus + "/api/v1/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    check(len(rules) == (ROOT / "compose/observability/prometheus/rules.yaml").read_text().count("expr:")
          and all(rule["health"] in ("ok", "unknown") for rule in rules), f"all {len(rules)} rules are loaded and evaluate")

    known = set(json.loads(get(prometheus + "/api/v1/label/__name__/values"))["data"])
    used = set(run(sys.executable, str(ROOT / "services/scripts/checks/deployment.py"), "--print-metrics").split())
    # Registered only where a use case has windows or histories.
    missing = sorted(name for name in used - known if not name.startswith("vyuha_snapshot"))
    check(not missing, f"{len(used & known)} of {len(used)} metrics of dashboards and rules are in Prometheus{': missing ' + ', '.join(missing) if missing else ''}")

    def firing():
        alerts = json.loads(get(manager + "/api/v2/alerts?active=true"))
        return any(alert["labels"]["alertname"] == "VyuhaServiceDown" and "feature-writer" in str(alert["labels"]) for alert in alerts)

    check(not firing(), "VyuhaServiceDown is not firing")
    writer = containers("feature-writer")[0]
    run("docker", "stop", writer)
    until(120, "the feature writer is stopped and Alertmanager has VyuhaServiceDown", firing)
    run("docker", "start", writer)
    until(60, "the feature writer is ready again", lambda: is_ready("feature-writer", writer))
    until(120, "VyuhaServiceDown is resolved", lambda: not any(
        alert["labels"]["alertname"] == "VyuhaServiceDown" for alert in json.loads(get(prometheus + "/api/v1/alerts"))["data"]["alerts"]))
    until(360, "and Alertmanager has taken it back", lambda: not firing())


def drain():
    """Stops the source in order and lets the chain finish."""
    producer = containers("producer")[0]
    run("docker", "stop", producer)
    check(inspect(producer)["State"]["ExitCode"] == 0, "the producer stops in order")
    until(120, "nothing waits any more", lambda: sum(
        metric(service, container, "kafka_consumer_lag") for service in CONSUMERS for container in containers(service)) == 0)
    return sum(line["events"] for line in log_lines("producer") if "rejected" in line)


def account(sent):
    """Every event has features or a dead letter, and so on, by distinct id."""
    names = ["events", "features", "scores", "anomalies", "alerts", "dead-letter"]

    found = {name.split(".")[-1]: found for name, found in records([f"{USE_CASE}.{name}" for name in names]).items()}
    letters = [(headers.get("service", b"").decode(), headers["id"].decode()) for headers, _ in found["dead-letter"]]
    refused = {key for service, key in letters if service == "stream-processor"}
    # The topic of anomalies also says when an entity is normal again.
    found["anomalies"] = [record for record in found["anomalies"] if json.loads(record[1])["is_anomaly"]]
    ids = {name: {identity(record) for record in found[name]} for name in names[:-1]}
    # Vectors of windows are of many events and have ids of their own.
    windows = {identity(record) for record in found["features"] if json.loads(record[1])["kind"] != "event"}
    raised_by = {json.loads(value)["raised_by"] for _, value in found["alerts"]}
    say("     records (distinct ids): " + ", ".join(f"{name} {len(found[name])} ({len(ids[name])})" for name in names[:-1])
        + f", dead letters {len(letters)}")
    check(len(found["events"]) == len(ids["events"]) == sent, f"the producer's closing line says {sent} events, and so many are there, none twice")
    of_events = ids["features"] - windows
    check(of_events | refused == ids["events"], f"events = {len(of_events)} with features + {len(refused)} dead letters; none lost")
    check(ids["scores"] == ids["features"],
          "every feature record has a score" + (f", also those of {len(windows)} windows" if windows else ""))
    flagged = {identity(record) for record in found["scores"] if json.loads(record[1]).get("is_anomaly")}
    check(ids["anomalies"] == flagged, f"every score over the threshold is an anomaly: {len(flagged)}")
    check(raised_by and raised_by <= ids["anomalies"], f"{len(ids['alerts'])} messages of {len(raised_by)} alerts, each raised by an anomaly")

    key = sorted(raised_by & ids["events"])[0]
    hops = [name for name in names[:-1] if any(
        headers.get("raised_by" if name == "alerts" else "id") == key.encode() for headers, _ in found[name])]
    check(hops == names[:-1], f"the id {key} is in the headers on " + ", ".join(hops))
    check(set(alert_ids()) >= ids["alerts"], "and the alert sink has logged it and every other alert")


def take_down():
    compose("down", "-v", "--remove-orphans", "--timeout", "20")
    left = [kind for kind, command in {
        "containers": ["docker", "ps", "-aq"], "volumes": ["docker", "volume", "ls", "-q"], "networks": ["docker", "network", "ls", "-q"],
    }.items() if run(*command, "--filter", f"label=com.docker.compose.project={PROJECT}")]
    check(not left, "down; nothing is left")


def main():
    try:
        bring_up()
        measure()
        start_traffic()
        disturb(scale())
        watch_alert()
        account(drain())
    except Failed as failure:
        say(f"FAILED: {failure}")
        subprocess.run([*COMPOSE, "ps", "-a"], env=ENVIRONMENT)
        subprocess.run([*COMPOSE, "logs", "--tail", "15", "--no-color", "kafka", "topics", "train", "producer", *CONSUMERS], env=ENVIRONMENT)
        return 1
    finally:
        take_down()
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
