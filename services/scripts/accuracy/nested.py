#!/usr/bin/env python3
"""nested.py DATA: would the choice of a detector hold on a family that it was not made on?

Each family is judged by the detector that is best in mean over the OTHER families (leave one family out, Varma and Simon 2006), beside the detector
that is best over all (plain, which is too good by construction), the gap between both with a bootstrap interval over families, and `ensemble`,
which chooses without labels. Scores are kept beside the build and computed again only with another trainer.
"""

import argparse
import hashlib
import pathlib
import sys
import tempfile

import numpy as np

import metrics
import needs
from accuracy import halves
from rows import ROOT, Failure, Trainer
from series import family as family_of

CANDIDATES = ["ensemble", "pca", "isolation-forest", "lof", "ocsvm", "robust-z"]


def series_multi(data, folder):
    for train in sorted((data / "series_multi").glob("*_train.csv")):
        yield family_of(train), train, train.with_name(train.name.replace("_train", "_test")), "VUS-PR"


def adbench(data, folder):
    for name, train, test in halves(data, folder):
        yield name, train, test, "AP"


SETS = {"series_multi": series_multi, "adbench": adbench}


def measured(trainer, cache, train, test, detector, figure):
    """The figure of a detector on a pair of files, from the cache where trainer and files are the same."""
    state = [(path.name, path.stat().st_size) for path in (train, test)] + [trainer.program.stat().st_mtime_ns, detector, figure]
    note = cache / hashlib.sha256(repr(state).encode()).hexdigest()[:24]
    if note.exists():
        return float(note.read_text())
    table, scores = trainer.split(train, test, detector)
    labels, kept = table.judged()
    judge = {"AP": metrics.average_precision, "VUS-PR": lambda labels, scores: metrics.vus_pr(labels, scores, 50)}[figure]
    value = judge(labels, scores[kept])
    note.write_text(repr(float(value)))
    return float(value)


def report(name, figure, table):
    """`table`: family to detector to mean figure."""
    families = sorted(table)
    values = np.array([[table[family][detector] for detector in CANDIDATES] for family in families])
    plain = int(values.mean(0).argmax())
    chosen = [int(np.delete(values, place, axis=0).mean(0).argmax()) for place in range(len(families))]
    nested = np.array([values[place, choice] for place, choice in enumerate(chosen)])
    gaps = values[:, plain] - nested
    low, high = metrics.bootstrap(gaps)
    print(f"{name}, {figure}, means over {len(families)} families")
    print("    family                " + "".join(f"{detector[:12]:>13}" for detector in CANDIDATES) + "   chosen by the others")
    for place, family in enumerate(families):
        print(f"    {family:22.22}" + "".join(f"{value:13.3f}" for value in values[place]) + f"   {CANDIDATES[chosen[place]]}")
    print("    mean                  " + "".join(f"{value:13.3f}" for value in values.mean(0)))
    print(f"    plain {values[:, plain].mean():.3f} ({CANDIDATES[plain]}), nested {nested.mean():.3f}, gap {gaps.mean():.3f} ({low:.3f} to {high:.3f})")
    print(f"    ensemble {values[:, CANDIDATES.index('ensemble')].mean():.3f}\n", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="", help="folder with the data")
    parser.add_argument("--trainer", type=pathlib.Path, default=ROOT / ".build/release/trainer")
    options = parser.parse_args()
    if not needs.met(options.data):
        return 2
    data = pathlib.Path(options.data).absolute()
    cache = ROOT / ".build/accuracy-nested"
    cache.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as name:
            trainer = Trainer(options.trainer, pathlib.Path(name))
            for group, files in SETS.items():
                table, figure = {}, ""
                for family, train, test, figure in files(data, pathlib.Path(name)):
                    for detector in CANDIDATES:
                        value = measured(trainer, cache, train, test, detector, figure)
                        table.setdefault(family, {}).setdefault(detector, []).append(value)
                report(group, figure, {family: {key: float(np.mean(all)) for key, all in row.items()} for family, row in table.items()})
    except (Failure, OSError, ValueError) as error:
        print(f"nested: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
