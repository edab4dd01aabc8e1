-- Writes histories that a log holds, of users of one partition. What is newer in the cache, for it came as an event
-- after the log ended, stays behind what the log says.
--
-- KEYS               the users' keys
-- ARGV[1 .. 3]       longest history, seconds a history lives, "replace" where nothing newer is to stay
-- ARGV[4 ..]         the histories, in the order of the keys

-- Times that are read back may be too late by this part of what lies between them and the newest.
local ROUNDING = 0.001

local function merge(cached, given)
  local width, count = shape_of(cached)
  local given_width, given_count = shape_of(given)
  if not width or not given_width then
    return given
  end
  local newest, end_of_log = number_at(cached, 5, 6), number_at(given, 5, 6)
  if newest <= end_of_log then
    return given
  end
  local numbers, times = decode(given, given_width, given_count)
  local cached_numbers, cached_times = decode(cached, width, count)
  for i = 1, count do
    if cached_times[i] - (newest - cached_times[i]) * ROUNDING > end_of_log then
      numbers[#numbers + 1] = cached_numbers[i]
      times[#times + 1] = cached_times[i]
    end
  end
  return encode(numbers, times)
end

for i, key in ipairs(KEYS) do
  local cached = ARGV[3] ~= "replace" and redis.call("GET", key)
  redis.call("SET", key, merge(cached, ARGV[i + 3]), "EX", ARGV[2])
end
return #KEYS
