-- wrk's own report rounds; this prints one line of JSON, times in microseconds.
done = function(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    'FIGURES {"requests":%d,"micros":%d,"bytes":%d,"p50":%d,"p99":%d,"mean":%.2f,"failed":%d}',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), latency.mean,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
