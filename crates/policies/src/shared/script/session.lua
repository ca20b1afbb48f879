-- One session of a browser: its sealed content in `v`, and in `lock` until when somebody renews it.
-- Every call names what it wants; a session that is not there is nothing, and stays so.
local what = ARGV[1]
if what == 'begin' then
  redis.call('HSET', KEYS[1], 'v', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return ARGV[2]
end

local value, lock = false, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  if fields[i] == 'v' then value = fields[i + 1] end
  if fields[i] == 'lock' then lock = tonumber(fields[i + 1]) end
end
if not value then return false end

if what == 'end' then
  redis.call('PEXPIRE', KEYS[1], 0)
elseif what == 'read' then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
elseif what == 'change' then
  redis.call('HSET', KEYS[1], 'v', ARGV[2])
  redis.call('HDEL', KEYS[1], 'lock')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
elseif what == 'unlock' then
  redis.call('HDEL', KEYS[1], 'lock')
elseif what == 'lock' then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  if lock > now then return {value, 0} end
  redis.call('HSET', KEYS[1], 'lock', string.format('%.0f', now + tonumber(ARGV[3])))
  return {value, 1}
end
return value
