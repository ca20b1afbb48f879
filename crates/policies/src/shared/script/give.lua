-- Takes back what was counted for a request that did not pass after all.
-- For the one key: kind, four parameters, amount.
-- No share lasts longer.
local longest_share = 10000000
local entry = read(KEYS[1], 1)
if entry.kind.valid(entry.p) == nil or entry.c.ending == entry.p[2] then
  entry.kind.add(entry.p, entry.c, -tonumber(ARGV[6]))
  write(entry, longest_share)
end
return 0
