-- wrk's script: POST /predict for random known users; what it found goes to standard output as one line of JSON.
-- Arguments after `--`: how many users there are, k, `load` or `check` to look at every answer (slower, never
-- timed), how many connections there are, and maybe a file of user ids, a JSON string a line, to ask for instead of
-- u00000, u00001, and so on.

local LATE_US = 100000
local threads = {}
local prepared = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local users, k = tonumber(args[1]), tonumber(args[2])
  wanted_items = k
  local headers = { ["Content-Type"] = "application/json", ["Host"] = wrk.headers["Host"] }
  local function prepare(id)
    table.insert(prepared, wrk.format("POST", nil, headers, string.format('{"user_id": %s, "k": %d}', id, k)))
  end
  if args[5] then
    for id in io.lines(args[5]) do prepare(id) end
  else
    for number = 0, users - 1 do prepare(string.format('"u%05d"', number)) end
  end
  answers, good, bad = 0, 0, ""
  connections = tonumber(args[4]) or 1
  if args[3] == "check" then
    response = check
  end
end

function request()
  return prepared[math.random(#prepared)]
end

function check(status, headers, body)
  answers = answers + 1
  local _, items = body:gsub('"item_id"', "")
  if status == 200 and items == wanted_items and body:find('"source"%s*:%s*"model"') then
    good = good + 1
  elseif bad == "" then
    bad = string.format("status %d: %s", status, body:sub(1, 300))
  end
end

local function quoted(text)
  local function escaped(character)
    return string.format("\\u%04x", character:byte())
  end
  return '"' .. text:gsub('[%c"\\\127-\255]', escaped) .. '"'
end

-- How many answers took over LATE_US. wrk has already put into `latency` what it would have asked while an answer
-- was late: one of x us stands there again at x - e, x - 2e, ... down to e, the mean time of an answer. So between
-- LATE_US and e further on (from e, where that is more) every later answer stands once. Those of over 2 s wrk
-- leaves out and counts as timeouts.
local function late_answers(summary, latency)
  local of_each = math.floor(summary.requests / threads[1]:get("connections"))
  local expected = of_each > 0 and math.floor(summary.duration / of_each) or math.huge
  local low, high = 1, #latency + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if latency(middle) > LATE_US then high = middle else low = middle + 1 end
  end
  local late, last = summary.errors.timeout, math.max(LATE_US, expected) + expected
  for place = low, #latency do
    local value, count = latency(place)
    if value > last then break end
    late = late + count
  end
  return late
end

function done(summary, latency, requests)
  local seen, fine, example = 0, 0, ""
  for _, thread in ipairs(threads) do
    seen, fine = seen + thread:get("answers"), fine + thread:get("good")
    example = example ~= "" and example or thread:get("bad")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"duration_us": %d, "answers": %d, "mean_us": %.1f, "p50_us": %d, "p90_us": %d, "p99_us": %d, '
      .. '"max_us": %d, "errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}, '
      .. '"checked": %d, "good": %d, "bad": %s, "over_100_ms": %d}\n',
    summary.duration, summary.requests, latency.mean, latency:percentile(50), latency:percentile(90),
    latency:percentile(99), latency.max, errors.connect, errors.read, errors.write, errors.status, errors.timeout, seen, fine, quoted(example),
    late_answers(summary, latency)
  ))
end
