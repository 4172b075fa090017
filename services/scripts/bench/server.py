"""FastAPI servers with the contract of the scoring service for nyc-taxi: the same event, the same checks, the same answer.

    MODEL=FOLDER ENGINE=sklearn|onnx uvicorn server:app

ENGINE=sklearn is the usual way, ENGINE=onnx the fastest that an expert would write: the forest as one operator, scored on the event loop.
"""
import os
from datetime import datetime

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from features import vector

folder = os.environ["MODEL"]
if os.environ.get("ENGINE", "sklearn") == "onnx":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.path.join(folder, "forest.onnx"), options)

    def score(values):
        return float(session.run(None, {"x": np.array([values], np.float32)})[0][0, 0])

else:
    import joblib

    scaler, forest = joblib.load(os.path.join(folder, "forest.joblib"))

    def score(values):
        return float(forest.decision_function(scaler.transform([values]))[0])


class Trip(BaseModel):
    model_config = ConfigDict(extra="forbid")
    pickup_time: datetime
    pickup_zone: int = Field(ge=1, le=265)
    dropoff_zone: int = Field(ge=1, le=265)
    passengers: int = Field(ge=0, le=9)
    rate_code: int = Field(ge=1, le=99)
    payment_type: int = Field(ge=1, le=6)
    duration: float = Field(ge=0, le=86400)
    distance: float = Field(ge=0, le=500)
    fare: float = Field(ge=-1000, le=5000)
    tip: float = Field(ge=-500, le=2000)
    tolls: float = Field(ge=-200, le=1000)
    total: float = Field(ge=-1500, le=6000)
    extra: float = Field(default=0, ge=-100, le=200)
    mta_tax: float = Field(default=0, ge=-100, le=200)
    improvement_surcharge: float = Field(default=0, ge=-100, le=200)
    congestion_surcharge: float = Field(default=0, ge=-100, le=200)


class Reply(BaseModel):
    pickup_zone: int
    anomaly_score: float
    is_anomalous: bool
    status: str


app = FastAPI()


# async: scoring on the event loop; a plain def (thread pool) is slower here.
@app.post("/predict", response_model=Reply)
async def predict(trip: Trip):
    surcharges = trip.extra + trip.mta_tax + trip.improvement_surcharge + trip.congestion_surcharge
    value = score(vector(trip.duration, trip.distance, trip.fare, surcharges, trip.tip, trip.tolls, trip.total))
    return Reply(pickup_zone=trip.pickup_zone, anomaly_score=value, is_anomalous=value < 0, status="SUSPICIOUS" if value < 0 else "PLAUSIBLE")
