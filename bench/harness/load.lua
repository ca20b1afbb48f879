-- wrk script: method and body size from the command line, the totals as one line of JSON.

function init(arguments)
   wrk.method = arguments[1] or "GET"
   local size = tonumber(arguments[2] or 0)
   if size > 0 then wrk.body = string.rep("b", size) end
end

function done(summary)
   local e = summary.errors
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"bytes":%d,' ..
      '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
      summary.requests, summary.duration, summary.bytes,
      e.connect, e.read, e.write, e.status, e.timeout))
end
