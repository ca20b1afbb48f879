-- Counts a request against several limits: against all of them or none.
-- For each key: kind, four parameters, cost, the longest wait.
-- Gives whether it may pass, and for each key: what is left, the wait, the reset, whether this one
-- refused.
-- No share lasts longer.
local longest_share = 10000000
local entries, allowed = {}, 1
for i, key in ipairs(KEYS) do
  local first = (i - 1) * 7 + 1
  local entry = read(key, first)
  entry.cost = tonumber(ARGV[first + 5])
  entry.wait = entry.kind.wait(entry.p, entry.c, entry.cost + entry.held)
  entry.refused = entry.wait > tonumber(ARGV[first + 6])
  if entry.refused then
    allowed = 0
  end
  entries[i] = entry
end
local answer = { allowed }
for _, entry in ipairs(entries) do
  if allowed == 1 then
    entry.kind.add(entry.p, entry.c, entry.cost)
    write(entry, longest_share)
  end
  local reset = entry.refused and wait_for(entry, entry.cost) or entry.kind.reset(entry.p, entry.c)
  answer[#answer + 1] = max(0, entry.kind.left(entry.p, entry.c) - entry.held)
  answer[#answer + 1] = entry.refused and 0 or entry.wait
  answer[#answer + 1] = reset
  answer[#answer + 1] = entry.refused and 1 or 0
end
return answer
