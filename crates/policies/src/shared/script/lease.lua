-- Renews what a node holds of a key, and gives it more.
-- Kind, four parameters, the node, what it has left of its share, what it gives back of it, what it
-- used without having it, what it wants, the least of it that is of use, how long a share lasts.
-- Gives what was granted, what is left beside it, how long until there is the least that is of use,
-- the reset, how many nodes hold something, how long the share lasts.
local entry = read(KEYS[1], 1)
local kind, p, c = entry.kind, entry.p, entry.c
local node = ARGV[6]
local have, back, debt = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local want, least, ttl = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])

-- A share that is not known any more has been counted as used.
local held = entry.shares[node]
local others = entry.holders
if held then
  others = others - 1
  entry.held = entry.held - held
  have = min(have, held)
  debt = debt + max(0, held - have - back)
else
  have = 0
end
if debt > 0 then
  kind.add(p, c, debt)
end

-- Half of an even part of what is left: nobody can take it all, and the last ones go one by one.
local left = max(0, kind.left(p, c) - entry.held - have)
local granted = min(want, max(least, floor(left / (2 * (others + 1)))), left)
if granted < least then
  granted = 0
end
local wait = 0
if granted == 0 then
  wait = wait_for(entry, have + least)
end
have = have + granted
local valid = min(ttl, kind.valid(p) or ttl)
entry.held = entry.held + have
write(entry, valid)
-- After what has expired is gone, for that may be an older share of this very node.
if have > 0 then
  redis.call('HSET', entry.key, node, whole(have) .. ':' .. whole(now + valid))
elseif held then
  redis.call('HDEL', entry.key, node)
end
return { granted, left - granted, wait, kind.reset(p, c), others + (have > 0 and 1 or 0), valid }
