-- How counting goes on the server, for all three scripts: the same numbers as in `limit`, in
-- microseconds, so that they stay below 2^53 and Lua's numbers are exact. The time is the server's:
-- nodes whose clocks differ count alike.
--
-- A key is a hash: `s` is the state of what was used; every other field is a node with what it
-- holds of shares that it took ahead, and until when: `AMOUNT:UNTIL`.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local function whole(number)
  return string.format('%.0f', number)
end

-- A bucket: p = { interval, its nanoseconds beyond, a full one, its nanoseconds beyond }. The state
-- is the moment at which it is full again, in microseconds and the nanoseconds beyond.
local bucket = {}

function bucket.load(_, state)
  local at, beyond = string.match(state or '', '^(%d+):(%d+)$')
  at, beyond = tonumber(at), tonumber(beyond)
  if at and at >= now then
    return { at = at, beyond = beyond }
  end
  return { at = now, beyond = 0 }
end

function bucket.after(p, c, amount)
  local beyond = c.beyond + amount * p[2]
  local carry = floor(beyond / 1000)
  return c.at + amount * p[1] + carry, beyond - carry * 1000
end

function bucket.add(p, c, amount)
  c.at, c.beyond = bucket.after(p, c, amount)
end

function bucket.wait(p, c, amount)
  local at, beyond = bucket.after(p, c, amount)
  local wait = at - now - p[3]
  if beyond > p[4] then
    wait = wait + 1
  end
  return max(0, wait)
end

function bucket.left(p, c)
  local room = (p[3] - (c.at - now)) * 1000 + p[4] - c.beyond
  local left = max(0, floor(room / max(1, p[1] * 1000 + p[2])))
  if left > 0 and bucket.wait(p, c, left) > 0 then
    left = left - 1
  elseif bucket.wait(p, c, left + 1) == 0 then
    left = left + 1
  end
  return left
end

function bucket.reset(_, c)
  return max(0, c.at - now)
end

function bucket.save(_, c)
  return whole(max(0, c.at)) .. ':' .. whole(c.beyond)
end

function bucket.life(_, c)
  return max(0, c.at - now)
end

function bucket.valid()
  return nil
end

-- A sliding window: p = { limit, length }. The state is the number of the window, its count and the
-- count before.
local window = {}

function window.load(p, state)
  local number = floor(now / p[2])
  local passed = now - number * p[2]
  local of, current, before = string.match(state or '', '^(%d+):(%d+):(%d+)$')
  of, current, before = tonumber(of), tonumber(current), tonumber(before)
  if of == number - 1 then
    before, current = current, 0
  elseif not of or of < number - 1 then
    before, current = 0, 0
  elseif of > number then
    -- The server's clock went back: what was counted counts as if it were now.
    before = 0
  end
  return { number = number, passed = passed, current = current, before = before }
end

function window.add(_, c, amount)
  c.current = c.current + amount
  if c.current < 0 then
    c.before = max(0, c.before + c.current)
    c.current = 0
  end
end

function window.left(p, c)
  return max(0, p[1] - c.current - ceil(c.before * (p[2] - c.passed) / p[2]))
end

function window.wait(p, c, amount)
  if amount <= window.left(p, c) then
    return 0
  end
  local spare = p[1] - amount - c.current
  if spare >= 0 then
    return max(1, ceil(p[2] - spare * p[2] / c.before) - c.passed)
  end
  spare = p[1] - amount
  if spare < 0 then
    return 2 * p[2] - c.passed
  end
  return p[2] - c.passed + max(0, ceil(p[2] - spare * p[2] / c.current))
end

function window.reset(p, c)
  return 2 * p[2] - c.passed
end

function window.save(_, c)
  return whole(c.number) .. ':' .. whole(c.current) .. ':' .. whole(c.before)
end

function window.life(p, c)
  return 2 * p[2] - c.passed
end

function window.valid()
  return nil
end

-- A period of the calendar: p = { limit, the minute at which it ends, how long until then }. Which
-- period it is, the node says. The state is that minute and the count. Who is behind in time counts
-- into the newer period, so that no period ever has more than its limit.
local period = {}

function period.load(p, state)
  local ending, count = string.match(state or '', '^(%d+):(%d+)$')
  ending, count = tonumber(ending), tonumber(count)
  if ending and ending >= p[2] then
    return { ending = ending, count = count }
  end
  return { ending = p[2], count = 0 }
end

function period.add(_, c, amount)
  c.count = max(0, c.count + amount)
end

function period.left(p, c)
  return max(0, p[1] - c.count)
end

function period.wait(p, c, amount)
  if amount <= p[1] - c.count then
    return 0
  end
  return max(1, p[3])
end

function period.reset(p)
  return p[3]
end

function period.save(_, c)
  return whole(c.ending) .. ':' .. whole(c.count)
end

-- A day longer: nodes may disagree about the time.
function period.life(p)
  return p[3] + 86400000000
end

function period.valid(p)
  return p[3]
end

local kinds = { b = bucket, w = window, p = period }

-- What is known of a key. The parameters are a letter for the kind and four numbers, from `first` on.
local function read(key, first)
  local kind = kinds[ARGV[first]]
  local p = {}
  for i = 1, 4 do
    p[i] = tonumber(ARGV[first + i])
  end
  local entry = { key = key, kind = kind, p = p, held = 0, holders = 0, shares = {}, gone = {} }
  local fields = redis.call('HGETALL', key)
  local state, lost = nil, 0
  for i = 1, #fields, 2 do
    if fields[i] == 's' then
      state = fields[i + 1]
    else
      local amount, till = string.match(fields[i + 1], '^(%d+):(%d+)$')
      amount, till = tonumber(amount), tonumber(till)
      if till and till > now then
        entry.held = entry.held + amount
        entry.holders = entry.holders + 1
        entry.shares[fields[i]] = amount
      else
        -- Whoever held it is gone or out of reach. It may have used all of it.
        lost = lost + (amount or 0)
        entry.gone[#entry.gone + 1] = fields[i]
      end
    end
  end
  entry.c = kind.load(p, state)
  if lost > 0 then
    kind.add(p, entry.c, lost)
  end
  return entry
end

-- Within this time nodes give back what they hold and do not use.
local idle = 1000000

-- How long until so much may be had. What others hold may come back before anything comes in.
local function wait_for(entry, amount)
  local wait = entry.kind.wait(entry.p, entry.c, amount + entry.held)
  if entry.held > 0 then
    wait = min(wait, max(idle, entry.kind.wait(entry.p, entry.c, amount)))
  end
  return wait
end

local function write(entry, ttl)
  redis.call('HSET', entry.key, 's', entry.kind.save(entry.p, entry.c))
  if #entry.gone > 0 then
    redis.call('HDEL', entry.key, unpack(entry.gone))
  end
  local life = entry.kind.life(entry.p, entry.c)
  if entry.held > 0 then
    life = max(life, ttl)
  end
  redis.call('PEXPIRE', entry.key, whole(ceil(life / 1000) + 1000))
end
