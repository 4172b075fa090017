"""Taxi trips of months that no choice has seen, two in a hundred of the plausible ones altered: six kinds, seeded. What they alter and by how much
is stated here and nowhere fitted; a trip that breaks a plausibility rule by nature is marked `ignore`."""

import numpy as np

KINDS = ["overcharge", "distance_inflation", "long_trip", "clock_glitch", "tip_fraud", "total_mismatch"]
PARTS = ["fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge"]


def plausible(trip):
    seconds, miles, congestion = trip["duration_s"], trip["trip_distance"], trip["congestion_surcharge"]
    left = trip["total_amount"] - sum(trip[name] for name in PARTS)
    adds_up = abs(left) < 0.05 or abs(left - congestion) < 0.05
    return trip["fare_amount"] > 0 and miles > 0 and 60 <= seconds <= 10_800 and miles / seconds * 3600 < 70 and adds_up


def alter(trip, kind, random):
    """Changes a trip in place, as the kind does."""
    if kind == "overcharge":
        more = trip["fare_amount"] * random.uniform(0.8, 2.5) + random.uniform(2, 8)
        trip["fare_amount"] += more
        trip["total_amount"] += more
    elif kind == "distance_inflation":
        trip["trip_distance"] = trip["trip_distance"] * random.uniform(3, 6) + 2
    elif kind == "long_trip":
        trip["duration_s"] = min(trip["duration_s"] * random.uniform(4, 8) + 600, 10_500)
    elif kind == "clock_glitch":
        trip["duration_s"] = random.uniform(5, 50)
    else:
        more = random.uniform(15, 60) if kind == "tip_fraud" else random.uniform(10, 60)
        trip["total_amount"] += more
        if kind == "tip_fraud":
            trip["tip_amount"] += more


def altered(table, seed, share=0.02):
    """The table with `label` and `ignore` filled in; its rows are changed in place."""
    random = np.random.default_rng(seed)
    place = {name: table.header.index(name) for name in table.header}
    names = PARTS + ["congestion_surcharge", "trip_distance", "duration_s", "total_amount"]
    trips = [{name: float(row[place[name]] or 0) for name in names} for row in table.rows]
    good = [number for number, trip in enumerate(trips) if plausible(trip)]
    chosen = random.choice(good, int(len(good) * share), replace=False)
    kept = set(good)
    for number, row in enumerate(table.rows):
        row[place["label"]], row[place["ignore"]] = "0", "0" if number in kept else "1"
    for order, number in enumerate(chosen):
        alter(trips[number], KINDS[order % len(KINDS)], random)
        for name in names:
            table.rows[number][place[name]] = f"{trips[number][name]:.2f}"
        table.rows[number][place["label"]] = "1"
    return table
