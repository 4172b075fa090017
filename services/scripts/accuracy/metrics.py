"""How well scores find labelled anomalies. Arrays of one length in row order; labels are 0 or 1; higher scores are more anomalous."""

import math

import numpy as np


def roc_auc(labels, scores):
    """The chance that an anomaly scores above a normal row, ties counting half."""
    _, groups, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[groups]
    anomalies = int(labels.sum())
    normals = len(labels) - anomalies
    if anomalies == 0 or normals == 0:
        return math.nan
    return float((ranks[labels == 1].sum() - anomalies * (anomalies + 1) / 2) / (anomalies * normals))


def average_precision(labels, scores):
    """Sum of precision times gain in recall down the ranking, equal scores taken together."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    found = np.cumsum(labels[order])[ends]
    return float(np.sum(np.diff(found, prepend=0) / labels.sum() * found / (ends + 1)))


def runs(labels, numbers=None):
    """First and last row of each event: a run of anomalous rows, or the rows of one number above 0 where events are numbered."""
    if numbers is not None:
        rows = [np.flatnonzero(numbers == number) for number in np.unique(numbers[numbers > 0])]
        return sorted((int(r[0]), int(r[-1])) for r in rows)
    edges = np.diff(np.concatenate(([0], labels, [0])))
    return [(int(a), int(b)) for a, b in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1)]


def event_recall_at_false_alarms(labels, scores, per_thousand=1.0):
    """Share of the events with an alert, at the lowest threshold whose false alarms (runs of alerting normal rows) stay within a share of
    the normal rows. Thresholds are taken at 400 ranks, spaced geometrically."""
    budget = per_thousand * (len(labels) - labels.sum()) / 1000
    ranked = -np.sort(-scores)
    threshold = math.inf
    for rank in np.unique(np.geomspace(1, len(scores), 400).astype(int)) - 1:
        alarms = ((scores >= ranked[rank]) & (labels == 0)).astype(int)
        if np.count_nonzero(np.diff(alarms, prepend=0) == 1) > budget:
            break
        threshold = ranked[rank]
    events = runs(labels)
    found = sum(bool((scores[a : b + 1] >= threshold).any()) for a, b in events)
    return found / len(events) if events else math.nan


def vus_pr(labels, scores, widest, steps=250):
    """Volume under the precision-recall surface over ranges widened by 0 to `widest` rows (Paparrizos et al., VLDB 2022): labels fade out beside
    each event, and recall is weighted by the share of events that are met."""
    events, count = runs(labels), len(labels)
    if not events:
        return math.nan
    ranked = -np.sort(-scores)
    thresholds = ranked[np.linspace(0, count - 1, steps).astype(int)]
    alerting = np.searchsorted(-ranked, -thresholds, side="right").astype(float)
    volume = 0.0
    for width in range(widest + 1):
        half = width // 2
        soft = labels.astype(float)
        merged = []
        for first, last in events:
            after = np.arange(last + 1, min(last + half + 1, count))
            soft[after] += np.sqrt(1 - (after - last) / width) if width else 0
            before = np.arange(max(first - half, 0), first)
            soft[before] += np.sqrt(1 - (first - before) / width) if width else 0
            first, last = max(first - half, 0), min(last + half, count - 1)
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
        soft = np.minimum(soft, 1)
        inside = np.concatenate([np.arange(first, last + 1) for first, last in merged])
        order = inside[np.argsort(-scores[inside], kind="stable")]
        weight, is_event = soft[order], labels[order] == 1
        met = np.searchsorted(-scores[order], -thresholds, side="right")
        hits = np.concatenate(([0.0], np.cumsum(weight)))[met]
        # Rows beside an event count as anomalous only as far as alerts touch them.
        beside = np.concatenate(([0.0], np.cumsum(np.where(is_event, 0, weight))))[met]
        positives = labels.sum() + beside / 2
        peaks = np.array([scores[first : last + 1].max() for first, last in merged])
        recall = np.minimum(hits / positives, 1) * (peaks[None, :] >= thresholds[:, None]).mean(1)
        volume += float(np.dot(np.diff(recall, prepend=0), hits / alerting))
    return volume / (widest + 1)


def bootstrap(values, draws=2000, share=0.9, seed=7):
    """The interval that holds a share of the means of values drawn anew from these."""
    values = np.asarray(values)
    means = np.random.default_rng(seed).choice(values, (draws, len(values))).mean(1)
    return float(np.quantile(means, (1 - share) / 2)), float(np.quantile(means, (1 + share) / 2))


def _sigmoid(position):
    """Numenta's scaled sigmoid: 1 well before the end of a window, 0 at its end, -1 well after."""
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 50))) - 1)


def _nab_rows(windows, count):
    """What an alert at each row is worth, and the window that it is in: -1 for none, -2 for the probation."""
    value = np.full(count, -1.0)
    window = np.full(count, -1)
    rows = np.arange(count)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        window[first : last + 1] = number
        value[first : last + 1] = _sigmoid(-(last - rows[first : last + 1] + 1) / width) / _sigmoid(np.array(-1.0))
        after = windows[number + 1][0] if number + 1 < len(windows) else count
        value[last + 1 : after] = _sigmoid((rows[last + 1 : after] - last) / (width - 1)) if width > 1 else -1.0
    window[rows < min(math.floor(0.15 * count), 750)] = -2
    return value, window


def nab_score(files, false_positive=0.11, threshold=None):
    """The Numenta Anomaly Benchmark (Lavin and Ahmad, ICMLA 2015), standard profile unless the price of a false positive says otherwise.

    files: (windows, scores, ignored rows or None) each. One threshold for all files: the best one where none is given.
    Returns the score, 0 for no alert at all and 100 for a perfect detector, and the threshold.
    """
    values, owners, scores, total = [], [], [], 0
    for windows, own, ignored in files:
        value, window = _nab_rows(windows, len(own))
        if ignored is not None:
            window[ignored == 1] = -2
        kept = window != -2
        values.append(value[kept])
        owners.append(np.where(window[kept] >= 0, window[kept] + total, -1))
        scores.append(np.asarray(own, float)[kept])
        total += len(windows)
    values, owners, scores = map(np.concatenate, (values, owners, scores))
    alive = np.unique(owners[owners >= 0])
    if len(alive) == 0:
        return math.nan, math.nan
    best_of_window = dict.fromkeys(alive.tolist(), -1.0)
    sum_now = -float(len(alive))
    best, chosen, before = sum_now, 1.1, None
    for row in np.argsort(-scores, kind="stable"):
        score = scores[row]
        if threshold is None and before is not None and score != before and sum_now > best:
            best, chosen = sum_now, before
        if threshold is not None and score < threshold:
            break
        owner = int(owners[row])
        if owner < 0:
            sum_now += values[row] * false_positive
        elif values[row] > best_of_window[owner]:
            sum_now += values[row] - best_of_window[owner]
            best_of_window[owner] = values[row]
        before = score
    if threshold is not None:
        best, chosen = sum_now, threshold
    elif sum_now > best:
        best, chosen = sum_now, before
    return float(100 * (best + len(alive)) / (2 * len(alive))), float(chosen)
