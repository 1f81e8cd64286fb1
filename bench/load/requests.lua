-- Run by wrk. Arguments: method, bytes of the body, and what a baggage begins with that each
-- request ends with a number of its own (none: no such field).
init = function(args)
  wrk.method = args[1]
  local bytes = tonumber(args[2])
  if bytes > 0 then wrk.body = string.rep("x", bytes) end
  if args[3] then numbered(args[3]) end
end

-- wrk asks for each request only where `request` is defined.
numbered = function(prefix)
  local sent = os.time() * 1000000
  request = function()
    sent = sent + 1
    wrk.headers["baggage"] = prefix .. string.format("%d", sent)
    return wrk.format()
  end
end

-- At its end: the whole report as one line of JSON.
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"durationMicros":%d,"failed":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
