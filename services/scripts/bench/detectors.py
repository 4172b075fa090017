"""The published libraries on the rows of `benchmarks detectors`, one thread: rows per CPU second, or CPU seconds of a fit, as one JSON object.

    OMP_NUM_THREADS=1 python detectors.py TRAIN.csv TEST.csv
"""
import json
import os
import sys
import tempfile
import time

import numpy as np
import onnxruntime
from river import anomaly
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

import onnx_forest

# Each figure is the best of so many runs: what else the machine does only ever slows one down.
RUNS = 3


def best(work, *arguments):
    """Least CPU seconds of `work`, and what it gave."""
    least, result = float("inf"), None
    for _ in range(RUNS):
        begin = time.process_time()
        result = work(*arguments)
        least = min(least, time.process_time() - begin)
    return least, result


def each(call, rows):
    for row in rows:
        call(row)


def main():
    train, test = (np.loadtxt(path, delimiter=",", skiprows=1) for path in sys.argv[1:3])
    scaler = StandardScaler().fit(train)
    train, raw, test = scaler.transform(train), test, scaler.transform(test)
    figures = {}
    models = {
        "isolation-forest": IsolationForest(n_estimators=100, max_samples=256, random_state=7, n_jobs=1),
        "lof": LocalOutlierFactor(n_neighbors=20, novelty=True, n_jobs=1),
        "ocsvm": OneClassSVM(nu=0.01, gamma="scale"),
    }
    for name, model in models.items():
        figures[f"{name} fit"], _ = best(model.fit, train)
        seconds, _ = best(model.score_samples, test)
        figures[f"{name} batch"] = len(test) / seconds
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "forest.onnx")
        onnx_forest.write(models["isolation-forest"], scaler, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        single = [row.astype(np.float32).reshape(1, -1) for row in raw]
        seconds, _ = best(each, lambda row: session.run(None, {"x": row}), single)
        figures["isolation-forest single, ONNX"] = len(single) / seconds
        whole = raw.astype(np.float32)
        seconds, _ = best(session.run, None, {"x": whole})
        figures["isolation-forest batch, ONNX"] = len(whole) / seconds
    # River wants its numbers between 0 and 1.
    low, high = raw.min(axis=0), raw.max(axis=0)
    events = [dict(enumerate(row)) for row in ((raw - low) / (high - low)).tolist()]
    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=7)

    def step(event):
        trees.score_one(event)
        trees.learn_one(event)

    seconds, _ = best(each, step, events)
    figures["half-space-trees stream"] = len(events) / seconds
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
