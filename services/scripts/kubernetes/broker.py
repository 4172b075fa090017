"""Whether the parts of a Kafka broker's memory fit each other: heap, log cleaner's buffer, collector and limit."""
import re
from collections.abc import Iterator

from .render import Rendering, bytes_of

MIB = 2**20
# What no flag bounds: stacks of about ninety threads, the compilers' and collectors' own memory, the C library. A broker with a heap of 192 MiB
# and the bounds of k8s/base/kafka.yaml, 512 MiB by this sum, held 471 MiB after 12 minutes at 100 events a second.
UNBOUNDED = 128 * MIB
# The rest of the limit is for the page cache, without which every fetch would read from the disk.
SHARE_OF_LIMIT = 0.9
# Part of a heap that holds what lives long: -XX:NewRatio is 2; G1 starts to collect in earnest when about half is in use.
OLD_GENERATION = {"UseSerialGC": 2 / 3, "UseParallelGC": 2 / 3, "UseG1GC": 1 / 2}
# The log cleaner takes its buffer in one piece when it starts. Everything else that lives long needs the rest.
SHARE_OF_OLD_GENERATION = 1 / 4
# A cleaner thread refuses less.
SMALLEST_BUFFER = 1 * MIB


def memory(r: Rendering) -> Iterator[str]:
    kafka = r.find("StatefulSet", "kafka")
    if kafka:
        container = kafka["spec"]["template"]["spec"]["containers"][0]
        settings = {e["name"]: e.get("value", "") for e in container["env"]}
        yield from (f"kafka: {fault}" for fault in faults(settings, bytes_of(container["resources"]["limits"]["memory"])))


def faults(settings: dict[str, str], limit: float) -> Iterator[str]:
    """`settings` are the variables of Apache Kafka's image, `limit` the container's memory in bytes."""
    flags = settings.get("KAFKA_HEAP_OPTS", "") + " " + settings.get("KAFKA_JVM_PERFORMANCE_OPTS", "")
    bounds = {}
    for name, flag in (
        ("heap", "-Xmx"), ("metaspace", "-XX:MaxMetaspaceSize="), ("code", "-XX:ReservedCodeCacheSize="), ("direct buffers", "-XX:MaxDirectMemorySize=")):
        found = re.search(rf"(?:^|\s){flag}(\d+)([kmg])(?:\s|$)", flags)
        if not found:
            yield f"KAFKA_HEAP_OPTS states no {flag.rstrip('=')}, so nothing bounds its {name}."
            return
        bounds[name] = int(found.group(1)) * {"k": 2**10, "m": 2**20, "g": 2**30}[found.group(2)]
    chosen = [name for name in OLD_GENERATION if f"-XX:+{name}" in settings.get("KAFKA_JVM_PERFORMANCE_OPTS", "")]
    if len(chosen) != 1 or "GC" in settings.get("KAFKA_HEAP_OPTS", ""):
        yield ("KAFKA_JVM_PERFORMANCE_OPTS, and no other variable, names the one collector: without a name the JVM chooses one by the size of the pod, and "
               "with two it does not start.")
        return
    stated = settings.get("KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE")
    # Kafka's own default.
    buffer = int(stated) if stated else 128 * MIB
    old = bounds["heap"] * OLD_GENERATION[chosen[0]]
    if not SMALLEST_BUFFER <= buffer <= old * SHARE_OF_OLD_GENERATION:
        yield (f"KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE is {buffer / MIB:.0f} MiB{'' if stated else ' by default'}; with a heap of {bounds['heap'] / MIB:.0f} MiB and "
               f"{chosen[0]} the old generation has {old / MIB:.0f} MiB, of which the buffer may be a quarter.")
    need = sum(bounds.values()) + UNBOUNDED
    if need > limit * SHARE_OF_LIMIT:
        yield f"its parts sum to {need / MIB:.0f} MiB, more than nine tenths of its limit of {limit / MIB:.0f} MiB."
