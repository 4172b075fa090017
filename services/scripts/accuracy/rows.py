"""What `make accuracy` is made of: tables of text, the trainer as a user runs it, and a row of the report."""

import csv
import pathlib
import resource
import subprocess
import time

import numpy as np

import metrics

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# What says that a row is an anomaly, or what became of it. No detector sees these.
HIDDEN = ["label", "ignore", "event_id", "window_id", "label_point", "anomaly_type", "natural_suspect", "changepoint"]


class Failure(Exception):
    """A sentence for the user."""


class Table:
    """A CSV file's columns as text."""

    def __init__(self, path, rows=slice(None)):
        with open(path, newline="") as file:
            reader = csv.reader(file)
            self.header = next(reader)
            self.rows = list(reader)[rows]

    def numbers(self, name):
        """The column as whole numbers, None where there is no such column."""
        if name not in self.header:
            return None
        index = self.header.index(name)
        return np.array([int(float(row[index])) for row in self.rows])

    def features(self):
        """Every column of numbers that is no label and no time."""
        names = [i for i, name in enumerate(self.header) if name not in HIDDEN + ["timestamp"]]
        return np.array([[float(row[i]) for i in names] for row in self.rows])

    def write(self, path):
        with open(path, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self.header)
            writer.writerows(self.rows)
        return path

    def judged(self):
        """Labels of the rows that count, and which rows those are."""
        labels = self.numbers("label")
        ignored = self.numbers("ignore")
        kept = np.ones(len(labels), bool) if ignored is None else ignored == 0
        return labels[kept], kept


def processor_time():
    """Seconds that ended child processes have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Trainer:
    """Runs `trainer score`."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.seconds = 0.0
        self.processor_seconds = 0.0

    def _run(self, arguments, header, rows):
        hidden = [name for name in HIDDEN if name in header]
        out = self.folder / "scores.csv"
        command = [str(self.program), "score", *map(str, arguments), "--timestamp", "timestamp", "--out", str(out)]
        if hidden:
            command += ["--exclude", ",".join(hidden)]
        start, spent = time.monotonic(), processor_time()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        self.seconds, self.processor_seconds = time.monotonic() - start, processor_time() - spent
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)}\nended with status {done.returncode}: {done.stderr.strip()}")
        with open(out, newline="") as file:
            lines = list(csv.reader(file))
        if lines[0][:2] != ["score", "is_anomaly"] or len(lines) != rows + 1:
            raise Failure(f"{' '.join(command)}\nwrote {len(lines) - 1} lines for {rows} rows.")
        scores = np.array([float(line[0]) for line in lines[1:]])
        if not ((scores >= 0) & (scores <= 1)).all():
            raise Failure(f"{' '.join(command)}\nwrote a score outside 0..1.")
        return scores

    def split(self, train, test, detector, *more):
        table = Table(test)
        return table, self._run(["--train", train, "--test", test, "--detector", detector, *more], table.header, len(table.rows))

    def stream(self, path, detector, probation=0.15):
        table = Table(path)
        return table, self._run(["--stream", path, "--probation", probation, "--detector", detector], table.header, len(table.rows))


class Row:
    """One line of the table: what was reached, and what is wanted."""

    def __init__(self, name, goals, references):
        self.name, self.goals, self.references = name, goals, references
        self.values, self.parts, self.seconds = {}, {}, 0.0

    def add(self, part, values, seconds):
        self.parts[part] = values
        self.seconds += seconds
        self.values = {key: float(np.mean([values[key] for values in self.parts.values()])) for key in values}

    def meets(self):
        return all(self.values[key] <= goal if key in UPPER else self.values[key] >= goal for key, goal in self.goals.items())

    def shortfall(self):
        """By how much each missed goal is missed."""
        gaps = {key: (self.values[key] - goal if key in UPPER else goal - self.values[key]) for key, goal in self.goals.items()}
        return {key: gap for key, gap in gaps.items() if gap > 0}


# Figures that are better when they are smaller.
UPPER = {"difference", "processor seconds"}


def usual(table, scores):
    labels, kept = table.judged()
    return {"ROC-AUC": metrics.roc_auc(labels, scores[kept]), "AP": metrics.average_precision(labels, scores[kept])}
