-- wrk: one taxi trip per request; prints one line that the benchmark reads.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"pickup_time":"2019-01-01T00:00:50-05:00","pickup_zone":132,"dropoff_zone":140,"passengers":1,"rate_code":2,'
    .. '"payment_type":1,"duration":1858,"distance":18.0,"fare":52.0,"extra":0.0,"mta_tax":0.5,"tip":7.0,"tolls":0.0,'
    .. '"improvement_surcharge":0.3,"congestion_surcharge":0.0,"total":59.8}'

done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %.1f %.1f\n", summary.requests, summary.duration,
        errors.status + errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50), latency:percentile(99)))
end
