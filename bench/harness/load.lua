-- wrk script: method, body size and number of keys from the command line, the totals as one line of JSON.
-- With keys each request has the next of them in a header field.

function init(arguments)
   wrk.method = arguments[1] or "GET"
   local size = tonumber(arguments[2] or 0)
   if size > 0 then wrk.body = string.rep("b", size) end
   local keys = tonumber(arguments[3] or 0)
   if keys > 0 then
      local requests, last = {}, 0
      for key = 1, keys do
         wrk.headers["x-api-key"] = string.format("client-%06d", key)
         requests[key] = wrk.format()
      end
      function request()
         last = last % keys + 1
         return requests[last]
      end
   end
end

function done(summary)
   local e = summary.errors
   io.write(string.format(
      '{"requests":%d,"microseconds":%d,"bytes":%d,' ..
      '"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}\n',
      summary.requests, summary.duration, summary.bytes,
      e.connect, e.read, e.write, e.status, e.timeout))
end
