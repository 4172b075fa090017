"""The three features of the nyc-taxi detector, as services/usecases/nyc-taxi/usecase.yaml defines them."""
from math import log


def vector(duration, distance, fare, surcharges, tip, tolls, total):
    charge_ratio = max(total, 0.5) / (2 + 1.8 * distance + 0.38 * duration / 60 + max(tolls, 0) + max(surcharges, 0))
    log_pace = log(max(duration / 60, 0.1) / (3 + 3.5 * distance))
    unexplained_total = round((total - fare - surcharges - tip - tolls) * 100) / 100
    return [charge_ratio, log_pace, unexplained_total]
