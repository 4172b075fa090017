"""The pods of a rendering as containers of a Docker Engine; see manifest-containers.py."""
import base64
import os
import re
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from lib.environment import ROOT

from .render import Rendering, bytes_of, environment
from .rules import MAIN, name_of

LABEL = "vyuha.manifest-containers"
LOAD = int(os.environ.get("LOAD", "20000"))


class Failed(Exception):
    """What was expected did not come; the text says what."""


class Pod:
    """One pod template, and the docker commands that come nearest to what the kubelet would do."""

    def __init__(self, rendering: Rendering, owner: dict, template: dict, run: str, work: Path):
        self.rendering, self.owner, self.spec = rendering, owner, template["spec"]
        self.name = name_of(template)
        self.run, self.work = run, work / self.name
        self.container = self.spec["containers"][0]
        self.id = f"{run}-{self.name}"

    @property
    def host(self) -> str:
        return f"{self.name}-0"

    def image(self, container: dict) -> str:
        image = container["image"]
        if "vyuha/" in image:
            return image.rsplit(":", 1)[0] + ":" + os.environ.get("VYUHA_VERSION", image.rsplit(":", 1)[1])
        return os.environ.get("KAFKA_IMAGE" if "kafka" in image else "REDIS_IMAGE") or image

    def value(self, kind: str, name: str, key: str) -> str:
        found = next((o for o in self.rendering.of(kind) if o["metadata"]["name"] == name), {})
        if key in found.get("stringData", {}):
            return found["stringData"][key]
        text = found["data"][key]
        return base64.b64decode(text).decode() if kind == "Secret" else text

    def environment(self, container: dict) -> dict[str, str]:
        fields = {"metadata.name": self.host, "metadata.namespace": self.rendering.namespace}

        def secret(_: str, reference: dict) -> str | None:
            return None if reference.get("optional") else self.value("Secret", reference["name"], reference["key"])

        return environment(self.rendering, container, fields.__getitem__, secret)

    @staticmethod
    def expanded(text: str, known: dict[str, str]) -> str:
        return re.sub(r"\$\((\w+)\)", lambda m: known.get(m.group(1), m.group(0)), text)

    def mounts(self, container: dict, shared: bool) -> list[str]:
        """Files of ConfigMaps as read-only binds, claims as folders, empty directories as memory, or as a volume where two containers share them."""
        volumes = {v["name"]: v for v in self.spec.get("volumes", [])}
        user = self.spec["securityContext"]
        result = []
        for mount in container.get("volumeMounts", []):
            volume = volumes.get(mount["name"], {})
            if "configMap" in volume:
                source = next(o for o in self.rendering.of("ConfigMap") if o["metadata"]["name"] == volume["configMap"]["name"])
                folder = self.work / mount["name"]
                folder.mkdir(parents=True, exist_ok=True)
                for key, text in source["data"].items():
                    (folder / key).write_text(text)
                path = folder / mount["subPath"] if "subPath" in mount else folder
                result += ["--volume", f"{path}:{mount['mountPath']}:ro"]
            elif "emptyDir" in volume and shared:
                result += ["--volume", f"{self.id}-{mount['name']}:{mount['mountPath']}"]
            elif "emptyDir" not in volume:
                folder = self.work / mount["name"]
                folder.mkdir(parents=True, exist_ok=True)
                # In place of fsGroup, which makes the group of the pod the owner.
                folder.chmod(0o2777)
                result += ["--volume", f"{folder}:{mount['mountPath']}"]
            else:
                options = f"size={int(bytes_of(volume['emptyDir']['sizeLimit']))},uid={user['runAsUser']},gid={user['fsGroup']},mode=2775"
                result += ["--tmpfs", f"{mount['mountPath']}:{options}"]
        return result

    def command(self, container: dict, name: str, extra: dict[str, str] | None = None, alive: bool = True) -> list[str]:
        user, own, limits = self.spec["securityContext"], container["securityContext"], container["resources"]["limits"]
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("allowPrivilegeEscalation") is not False:
            raise Failed(f"{self.name}: its security context is not what this program knows how to hand to an engine.")
        shared = bool(self.spec.get("initContainers"))
        environment = self.environment(container) | (extra or {})
        line = ["docker", "run", "--detach" if alive else "--rm", "--name", name, "--label", LABEL, "--hostname", self.host, "--network", self.run]
        for alias in (self.name, f"{self.name}.{self.rendering.namespace}.svc"):
            line += ["--network-alias", alias]
        line += ["--user", f"{user['runAsUser']}:{user['runAsGroup']}", "--group-add", str(user["fsGroup"]), "--cap-drop", "ALL"]
        line += ["--security-opt", "no-new-privileges"]
        if own.get("readOnlyRootFilesystem"):
            line.append("--read-only")
        memory = int(bytes_of(limits["memory"]))
        if not (self.name == "kafka" and self.stands_in(container)):
            # The same for memory and memory with swap: no swap, as in a pod. A stand-in is another program than the limit was made for.
            line += ["--memory", str(memory), "--memory-swap", str(memory), "--cpus", str(bytes_of(limits["cpu"]))]
        if self.name == "kafka" and self.stands_in(container):
            environment["STAND_IN_FETCH_LIMIT"] = "1"
        line += ["--stop-timeout", str(self.spec.get("terminationGracePeriodSeconds", 30))]
        for key, value in environment.items():
            line += ["--env", f"{key}={value}"]
        line += self.mounts(container, shared)
        words = [self.expanded(word, environment) for word in container.get("command", [])]
        if words:
            line += ["--entrypoint", words[0]]
        line.append(self.image(container))
        return line + words[1:] + [self.expanded(word, environment) for word in container.get("args", [])]

    def stands_in(self, container: dict) -> bool:
        return self.image(container).rsplit(":", 1)[0] != container["image"].rsplit(":", 1)[0]

    # --- what it does

    def start(self, extra: dict[str, str] | None = None) -> None:
        docker(*self.command(self.container, self.id, extra)[1:])

    def work_off(self) -> None:
        """A job: its init containers and its container, each to its end."""
        for index, container in enumerate([*self.spec.get("initContainers", []), self.container]):
            docker(*self.command(container, f"{self.id}-{index}", alive=False)[1:])

    def address(self) -> str:
        return docker("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.id)

    def running(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.id) == "true"

    def probe(self, kind: str) -> bool:
        how = self.container[kind]
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        if "httpGet" in how:
            url = f"http://{self.address()}:{ports[how['httpGet']['port']]}{how['httpGet']['path']}"
            try:
                with urllib.request.urlopen(url, timeout=how["timeoutSeconds"]) as answer:
                    return 200 <= answer.status < 400
            except (urllib.error.URLError, OSError):
                return False
        if "tcpSocket" in how:
            import socket

            try:
                socket.create_connection((self.address(), ports[how["tcpSocket"]["port"]]), how["timeoutSeconds"]).close()
                return True
            except OSError:
                return False
        return subprocess.run(["docker", "exec", self.id, *how["exec"]["command"]], capture_output=True).returncode == 0

    def await_ready(self, seconds: int) -> float:
        start = time.monotonic()
        while not self.probe("readinessProbe"):
            if not self.running() or time.monotonic() - start > seconds:
                raise Failed(f"{self.name} is not ready after {seconds} s. Its log ends: {self.log()}")
            time.sleep(0.1)
        return time.monotonic() - start

    def log(self) -> str:
        done = subprocess.run(["docker", "logs", "--tail", "8", self.id], capture_output=True, text=True)
        return (done.stdout + done.stderr).strip()

    def pid(self) -> int:
        return int(docker("inspect", "--format", "{{.State.Pid}}", self.id))

    def hardened(self) -> None:
        """What the kernel says of the process, not what was asked for."""
        try:
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{self.pid()}/status").read_text().splitlines() if ":\t" in line)
            roots = [line.split() for line in Path(f"/proc/{self.pid()}/mountinfo").read_text().splitlines()]
        except PermissionError:
            say(f"skipped {self.name}: only root may look at the process of a container")
            return
        uid = str(self.spec["securityContext"]["runAsUser"])
        root = next(entry[5] for entry in roots if entry[4] == "/")
        wanted = {"Uid": uid, "CapEff": "0000000000000000", "NoNewPrivs": "1"}
        found = {key: status[key].split()[0] for key in wanted}
        if found != wanted:
            raise Failed(f"{self.name} runs with {found}, not {wanted}.")
        if "ro" not in root.split(","):
            raise Failed(f"{self.name}: its root file system is writable.")
        if status.get("Seccomp", "2").strip() != "2":
            say(f"note {self.name}: this engine sets no seccomp profile")

    def peak(self) -> int | None:
        """Most memory of the cgroup, page cache included, in bytes; None where the kernel does not say."""
        try:
            entries = Path(f"/proc/{self.pid()}/cgroup").read_text().splitlines()
        except (PermissionError, FileNotFoundError):
            return None
        for entry in entries:
            _, controllers, path = entry.split(":", 2)
            for file in (f"/sys/fs/cgroup{path}/memory.peak", f"/sys/fs/cgroup/memory{path}/memory.max_usage_in_bytes"):
                if (controllers in ("", "memory") or "memory" in controllers.split(",")) and os.path.exists(file):
                    return int(Path(file).read_text())
        return None

    def resident(self) -> int:
        """Largest resident size of the process so far, bytes."""
        text = Path(f"/proc/{self.pid()}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) * 1024

    def survived(self) -> str:
        state = docker("inspect", "--format", "{{.State.Running}} {{.State.OOMKilled}} {{.RestartCount}}", self.id)
        if state != "true false 0":
            raise Failed(f"{self.name} did not live through the load (running, killed for memory, restarts: {state}). Its log ends: {self.log()}")
        limit, peak = bytes_of(self.container["resources"]["limits"]["memory"]), self.peak()
        cgroup = "" if peak is None else f", with page cache {peak / 2**20:.0f} MiB"
        return f"{self.resident() / 2**20:.0f} MiB resident at most{cgroup}, limit {limit / 2**20:.0f} MiB"

    def stop(self) -> float:
        start = time.monotonic()
        docker("stop", "-t", str(self.spec["terminationGracePeriodSeconds"]), self.id)
        code = docker("inspect", "--format", "{{.State.ExitCode}}", self.id)
        took = time.monotonic() - start
        if code != "0":
            raise Failed(f"{self.name} ended with status {code} after {took:.1f} s of SIGTERM. Its log ends: {self.log()}")
        return took


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True)
    if done.returncode != 0:
        shown = " ".join(shlex.quote(word) for word in words[:6])
        raise Failed(f"docker {shown} …: {(done.stderr or done.stdout).strip()[-1500:]}")
    return done.stdout.strip()


def say(text: str) -> None:
    print(f"manifest-containers: {text}", flush=True)


def pods(rendering: Rendering, run_name: str, work: Path) -> dict[str, Pod]:
    return {name_of(t): Pod(rendering, o, t, run_name, work) for o, t in rendering.pods()}


def show(rendering: Rendering) -> int:
    work = ROOT / ".build" / "manifest-containers"
    run_name = rendering.namespace
    print(f"docker network create {run_name}")
    for name, pod in pods(rendering, run_name, work).items():
        every = [(c, f"{pod.id}-{i}") for i, c in enumerate(pod.spec.get("initContainers", []))] + [(pod.container, pod.id)]
        for container, identity in every:
            print(shlex.join(pod.command(container, identity, alive=pod.owner["kind"] == "StatefulSet")))
    return 0


def run(rendering: Rendering) -> int:
    if subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        say("SKIPPED: no Docker Engine answers.")
        return 0
    run_name = f"vyuha-manifest-{os.getpid()}"
    work = ROOT / ".build" / "manifest-containers" / run_name
    work.mkdir(parents=True)
    every = pods(rendering, run_name, work)
    started: list[Pod] = []
    try:
        docker("network", "create", "--label", LABEL, run_name)
        go_through(every, started)
        say("passed")
        return 0
    except Failed as failure:
        say(f"FAILED: {failure}")
        return 1
    finally:
        names = docker("ps", "--all", "--quiet", "--filter", f"network={run_name}").split()
        if names:
            docker("rm", "--force", *names)
        for volume in docker("volume", "ls", "--quiet", "--filter", f"name={run_name}").split():
            docker("volume", "rm", volume)
        subprocess.run(["docker", "network", "rm", run_name], capture_output=True)
        shutil.rmtree(work, ignore_errors=True)


def go_through(every: dict[str, Pod], started: list[Pod]) -> None:
    for name, seconds in (("kafka", 180), ("redis", 60)):
        pod = every[name]
        started.append(pod)
        pod.start()
        stand_in = f" ({pod.image(pod.container)} in its place)" if pod.stands_in(pod.container) else ""
        say(f"ok   {name} is ready after {pod.await_ready(seconds):.1f} s{stand_in}")
        pod.hardened()
    for name in ("topics", "train"):
        every[name].work_off()
        say(f"ok   the job {name} succeeds")
    services = [every[name] for name in sorted(MAIN, key=lambda name: name == "producer")]
    for pod in services:
        pod.start({"VYUHA_RATE": str(LOAD)} if pod.name == "producer" else None)
        started.append(pod)
    for pod in services:
        startup = pod.container["startupProbe"]
        took = pod.await_ready(startup["periodSeconds"] * startup["failureThreshold"])
        if not pod.probe("livenessProbe"):
            raise Failed(f"{pod.name} is ready, but its liveness probe fails.")
        pod.hardened()
        say(f"ok   {pod.name} is ready {took:.1f} s after it was looked at, and hardened as its manifest says")
    end = time.monotonic() + 15
    while time.monotonic() < end:
        for pod in services:
            if not pod.running():
                raise Failed(f"{pod.name} ended under load. Its log ends: {pod.log()}")
        time.sleep(0.5)
    for pod in [*services, every["redis"], *([] if every["kafka"].stands_in(every["kafka"].container) else [every["kafka"]])]:
        say(f"ok   {pod.name} lives under a load of {LOAD} events a second: {pod.survived()}")
    for pod in reversed(services):
        say(f"ok   {pod.name} ends on SIGTERM by itself after {pod.stop():.1f} s of {pod.spec['terminationGracePeriodSeconds']} s")
