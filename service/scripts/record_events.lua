-- Records events of the users of one partition: all that belongs to an event happens, or nothing.
--
-- KEYS[1]            the partition's stream
-- KEYS[2 ..]         per event: the user's history; then where duplicates are remembered, the present slice first
-- ARGV[1 .. 4]       longest history, keys per event, seconds a history lives, seconds a slice lives
-- ARGV[5 ..]         per event: fingerprint of its id, its JSON, its time in ms, its item number ("" = not a part
--                    of the history)
-- Returns per event: 1 recorded, 0 a duplicate.

local keys_per_event, history_seconds, slice_seconds = tonumber(ARGV[2]), ARGV[3], ARGV[4]

local function is_known(fingerprint, first, last)
  for i = first, last do
    if redis.call("SISMEMBER", KEYS[i], fingerprint) == 1 then
      return true
    end
  end
  return false
end

local answers = {}
for n = 0, (#ARGV - 4) / 4 - 1 do
  local user = 2 + n * keys_per_event
  local present, oldest = user + 1, user + keys_per_event - 1
  local fingerprint, event, time, number = unpack(ARGV, 5 + 4 * n, 8 + 4 * n)
  if is_known(fingerprint, present, oldest) then
    answers[n + 1] = 0
  else
    redis.call("SADD", KEYS[present], fingerprint)
    if redis.call("SCARD", KEYS[present]) == 1 then
      redis.call("EXPIRE", KEYS[present], slice_seconds)
    end
    redis.call("XADD", KEYS[1], "*", "e", event)
    if number ~= "" then
      local history = redis.call("GET", KEYS[user])
      redis.call("SET", KEYS[user], insert(history, tonumber(number), tonumber(time)), "EX", history_seconds)
    end
    answers[n + 1] = 1
  end
end
return answers
