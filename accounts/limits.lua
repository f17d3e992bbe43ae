-- Batches of operations on rate limits: the same sums as accounts/limits.py, atomic, with this server's clock.
-- ARGV[1] is JSON: a list of operations. Indexes into KEYS count from 1; times are microseconds.
--   [1, call id, lease, [[key, kind, limit, step, amount], ...]]  take all or none; kind 1 is a window, 2 concurrency
--   [2, key, step, bucket, difference]                            correct what was counted
--   [3, key, call id]                                             a call has ended
--   [4, key, call id, lease]                                      a call is still running
-- The answer is JSON in one string, which the client reads in a fraction of the time of nested replies: a list with, per
-- operation: take [1 or index-of-refusing-rule * -1, wait, then per rule: remaining, reset, bucket]; wait -1: never,
-- -2: unknown. Others: [].
local STEPS = 60
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function advance(key, step)
  local current = math.floor(now / step)
  local found = redis.call('HMGET', key, 't', 'lo', 'hi')
  local total, lo, hi = tonumber(found[1]) or 0, tonumber(found[2]), tonumber(found[3])
  if not hi then return 0, nil, nil, current end
  if hi > current then current = hi end
  local gone = current - STEPS - 1
  if hi <= gone then
    redis.call('DEL', key)
    return 0, nil, nil, current
  end
  if lo <= gone then
    while lo <= gone do
      local count = redis.call('HGET', key, lo)
      if count then
        total = total - count
        redis.call('HDEL', key, lo)
      end
      lo = lo + 1
    end
    redis.call('HSET', key, 't', total, 'lo', lo)
  end
  return total, lo, hi, current
end

local function window_wait(key, limit, step, amount)
  local total, lo, hi, current = advance(key, step)
  local excess = total + amount - limit
  local reset = 0
  if hi then reset = (hi + STEPS + 1) * step - now end
  if excess <= 0 then return 0, total, reset, current, hi end
  if amount > limit then return -1, total, reset, current, hi end
  for bucket = lo, hi do
    excess = excess - (redis.call('HGET', key, bucket) or 0)
    if excess <= 0 then return (bucket + STEPS + 1) * step - now, total, reset, current, hi end
  end
  return -1, total, reset, current, hi
end

local function count(key, step, amount, current, had)
  redis.call('HINCRBY', key, current, amount)
  if had then
    redis.call('HINCRBY', key, 't', amount)
    redis.call('HSET', key, 'hi', current)
  else
    redis.call('HSET', key, 't', amount, 'lo', current, 'hi', current)
  end
  redis.call('PEXPIRE', key, math.ceil((STEPS + 2) * step / 1000))
end

local function take(operation)
  local id, lease, rules = operation[2], operation[3], operation[4]
  local seen, refusing, weight, wait = {}, nil, -1, 0
  for index, rule in ipairs(rules) do
    local key = KEYS[rule[1]]
    if rule[2] == 2 then
      redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
      local running = redis.call('ZCARD', key)
      seen[index] = { running, 0, 0 }
      if running >= rule[3] and weight < 0 then refusing, weight, wait = index, 0, -2 end
    else
      local this, total, reset, current, had = window_wait(key, rule[3], rule[4], rule[5])
      seen[index] = { total, reset, current, had }
      local heavy = this
      if this == -1 then heavy = math.huge end
      if this ~= 0 and heavy > weight then refusing, weight, wait = index, heavy, this end
    end
  end
  local answer = { refusing and -refusing or 1, wait }
  for index, rule in ipairs(rules) do
    local key, state = KEYS[rule[1]], seen[index]
    if not refusing then
      if rule[2] == 2 then
        redis.call('ZADD', key, now + lease, id)
        redis.call('PEXPIRE', key, math.ceil(lease / 1000) + 1000)
        state[1] = state[1] + 1
      else
        count(key, rule[4], rule[5], state[3], state[4])
        state[1] = state[1] + rule[5]
        state[2] = (state[3] + STEPS + 1) * rule[4] - now
      end
    end
    answer[#answer + 1] = math.max(0, rule[3] - state[1])
    answer[#answer + 1] = state[2]
    answer[#answer + 1] = state[3]
  end
  for index, number in ipairs(answer) do answer[index] = string.format('%.0f', number) end
  return '[' .. table.concat(answer, ',') .. ']'
end

local function correct(operation)
  local key, step, bucket, difference = KEYS[operation[2]], operation[3], operation[4], operation[5]
  advance(key, step)
  if redis.call('HEXISTS', key, bucket) == 1 then
    redis.call('HINCRBY', key, bucket, difference)
    redis.call('HINCRBY', key, 't', difference)
  end
end

local answers = {}
for index, operation in ipairs(cjson.decode(ARGV[1])) do
  local kind = operation[1]
  answers[index] = '[]'
  if kind == 1 then
    answers[index] = take(operation)
  elseif kind == 2 then
    correct(operation)
  elseif kind == 3 then
    redis.call('ZREM', KEYS[operation[2]], operation[3])
  else
    redis.call('ZADD', KEYS[operation[2]], now + operation[4], operation[3])
    redis.call('PEXPIRE', KEYS[operation[2]], math.ceil(operation[4] / 1000) + 1000)
  end
end
return '[' .. table.concat(answers, ',') .. ']'
