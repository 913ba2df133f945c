-- Prints one line that a program can read. There is no request or response hook, so the load itself is wrk's own.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'sidekey-bench {"requests":%d,"micros":%d,"bytes":%d,"p50_us":%.1f,"p99_us":%.1f,"mean_us":%.2f,' ..
    '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), latency.mean,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
