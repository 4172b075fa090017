"""Series of many kinds, judged by means over families: many files hold one event only, and a family of many files must not outvote the others."""

import numpy as np

import metrics
from rows import Row


def family(path):
    return path.stem.split("__")[0]


def by_family(row, files):
    """The mean over families of the means over their files, and each family as a part."""
    grouped = {}
    for name, values in files:
        grouped.setdefault(name, []).append(values)
    for name, values in grouped.items():
        row.add(name, {key: float(np.mean([value[key] for value in values])) for key in values[0]}, 0.0)
    low, high = metrics.bootstrap([part["VUS-PR"] for part in row.parts.values()])
    row.values |= {"VUS-PR from": low, "VUS-PR to": high}


def of_events(table, scores):
    labels, kept = table.judged()
    recall = metrics.event_recall_at_false_alarms(labels, scores[kept])
    return {"VUS-PR": metrics.vus_pr(labels, scores[kept], 50), "event recall": recall}


def series_uni(data, trainer, folder):
    row = Row("series_uni, stream, ensemble, mean over families", {"VUS-PR": 0.36, "event recall": 0.60}, "LOF on windows .31 / .51")
    files = []
    for path in sorted((data / "series_uni").glob("*.csv")):
        files.append((family(path), of_events(*trainer.stream(path, "ensemble"))))
        row.seconds += trainer.seconds
    by_family(row, files)
    yield row


def series_multi(data, trainer, folder):
    row = Row("series_multi, ensemble, mean over families", {"VUS-PR": 0.58, "event recall": 0.60}, "PCA .45 / .53")
    files = []
    for train in sorted((data / "series_multi").glob("*_train.csv")):
        test = train.with_name(train.name.replace("_train", "_test"))
        files.append((family(train), of_events(*trainer.split(train, test, "ensemble"))))
        row.seconds += trainer.seconds
    by_family(row, files)
    yield row
