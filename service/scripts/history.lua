-- Reads and writes a user's history as service/history.py describes it. Stands in front of the scripts that need it.
-- ARGV[1]            how many interactions a history holds at most

local longest = tonumber(ARGV[1])
local FORMAT, HEAD, MANTISSA = 2, 10, 2048
local byte, char, sub, floor = string.byte, string.char, string.sub, math.floor

local function number_at(text, at, width)
  local value, scale = 0, 1
  for i = at, at + width - 1 do
    value = value + byte(text, i) * scale
    scale = scale * 256
  end
  return value
end

local function bytes_of(value, width)
  local out = {}
  for i = 1, width do
    out[i] = char(value % 256)
    value = floor(value / 256)
  end
  return table.concat(out)
end

local function code_of(gap)
  local shift = 0
  while gap >= MANTISSA do
    gap = floor(gap / 2)
    shift = shift + 1
  end
  return bytes_of(shift * MANTISSA + gap, 2)
end

local function gap_at(text, at)
  local code = number_at(text, at, 2)
  return (code % MANTISSA) * 2 ^ floor(code / MANTISSA)
end

local function width_of(number)
  local width = 1
  while number >= 256 ^ width do
    width = width + 1
  end
  return width
end

local function head_of(width, count, newest)
  return char(FORMAT, width) .. bytes_of(count, 2) .. bytes_of(newest, 6)
end

-- width and count of a history, or nil for what is none
local function shape_of(history)
  if not history or #history < HEAD or byte(history, 1) ~= FORMAT then
    return nil
  end
  local width, count = byte(history, 2), number_at(history, 3, 2)
  if width < 1 or width > 4 or count < 1 or #history ~= HEAD + width * count + 2 * (count - 1) then
    return nil
  end
  return width, count
end

-- the usual case: the event is the newest, and its number as wide as the others
local function append(history, width, count, number, time)
  local gap = time - number_at(history, 5, 6)
  local dropped = count >= longest and count - longest + 1 or 0
  local numbers_end = HEAD + width * count
  local numbers = sub(history, HEAD + width * dropped + 1, numbers_end)
  local gaps = sub(history, numbers_end + 2 * dropped + 1)
  if dropped >= count then
    return head_of(width, 1, time) .. bytes_of(number, width)
  end
  return head_of(width, count - dropped + 1, time) .. numbers .. bytes_of(number, width) .. gaps .. code_of(gap)
end

local function decode(history, width, count)
  local numbers, times = {}, {}
  local time = number_at(history, 5, 6)
  for i = count, 1, -1 do
    numbers[i] = number_at(history, HEAD + 1 + width * (i - 1), width)
    times[i] = time
    if i > 1 then
      time = time - gap_at(history, HEAD + width * count + 1 + 2 * (i - 2))
    end
  end
  return numbers, times
end

local function encode(numbers, times)
  local first = math.max(1, #numbers - longest + 1)
  local width, out = 1, {}
  for i = first, #numbers do
    width = math.max(width, width_of(numbers[i]))
  end
  for i = first, #numbers do
    out[#out + 1] = bytes_of(numbers[i], width)
  end
  for i = first, #numbers - 1 do
    out[#out + 1] = code_of(times[i + 1] - times[i])
  end
  return head_of(width, #numbers - first + 1, times[#times]) .. table.concat(out)
end

-- the history with the event in its place by time; of equal times, what came later is the newer
local function insert(history, number, time)
  local width, count = shape_of(history)
  if not width then
    return encode({ number }, { time })
  end
  if time >= number_at(history, 5, 6) and width_of(number) <= width then
    return append(history, width, count, number, time)
  end
  local numbers, times = decode(history, width, count)
  local place = count
  while place > 0 and times[place] > time do
    place = place - 1
  end
  table.insert(numbers, place + 1, number)
  table.insert(times, place + 1, time)
  return encode(numbers, times)
end
