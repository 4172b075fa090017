"""Fits scikit-learn's isolation forest for the nyc-taxi use case on the same rows and the same three features as `trainer fit`, and
writes it twice: forest.joblib (scaler and forest) and forest.onnx, the same forest as one tree-ensemble operator on the raw features.

    python fit.py TRAIN.csv OUTPUT_FOLDER
"""
import csv
import os
import sys

import joblib
import numpy as np
import onnxruntime
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

import onnx_forest
from features import vector

train, out = sys.argv[1], sys.argv[2]
rows = []
with open(train, newline="") as file:
    for row in csv.DictReader(file):
        duration, distance = float(row["duration_s"]), float(row["trip_distance"])
        surcharges = sum(float(row[name]) for name in ("extra", "mta_tax", "improvement_surcharge", "congestion_surcharge"))
        fare, tip, tolls, total = (float(row[name]) for name in ("fare_amount", "tip_amount", "tolls_amount", "total_amount"))
        if 0 <= duration <= 86400 and 0 <= distance <= 500:
            rows.append(vector(duration, distance, fare, surcharges, tip, tolls, total))
x = np.array(rows)
scaler = StandardScaler().fit(x)
forest = IsolationForest(n_estimators=100, max_samples=256, contamination=0.02, random_state=7).fit(scaler.transform(x))
joblib.dump((scaler, forest), os.path.join(out, "forest.joblib"))

path = os.path.join(out, "forest.onnx")
onnx_forest.write(forest, scaler, path)

# A wrong export would make the comparison worthless.
fast = onnxruntime.InferenceSession(path).run(None, {"x": x.astype(np.float32)})[0].ravel()
slow = forest.decision_function(scaler.transform(x))
off = int((np.abs(fast - slow) > 1e-3).sum())
print(f"forest on {len(x)} rows; ONNX differs from scikit-learn by more than 0.001 in {off} of {len(x)} rows")
sys.exit(1 if off > len(x) // 100 else 0)
