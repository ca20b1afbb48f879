-- Takes back what was counted for a request that did not pass after all.
-- For the one key: kind, four parameters, amount, how long ago it was counted, how long after that
-- all would have been there again.
-- No share lasts longer.
local longest_share = 10000000
local entry = read(KEYS[1], 1)
entry.kind.back(entry.p, entry.c, tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]))
write(entry, longest_share)
return 0
