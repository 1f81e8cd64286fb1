-- Run by wrk. Arguments: method, bytes of the body, and what a baggage begins with that each
-- request ends with a number (none: no such field): one of so many in turn, or one of its own.
init = function(args)
  wrk.method = args[1]
  local bytes = tonumber(args[2])
  if bytes > 0 then wrk.body = string.rep("x", bytes) end
  if args[4] then inTurn(args[3], tonumber(args[4])) elseif args[3] then numbered(args[3]) end
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

-- The heads are made before the load: it is the proxy that is to be measured.
inTurn = function(prefix, count)
  local heads = {}
  for number = 0, count - 1 do
    wrk.headers["baggage"] = prefix .. string.format("%06d", number)
    heads[number] = wrk.format()
  end
  local sent = 0
  request = function()
    sent = sent + 1
    return heads[sent % count]
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
